"""The command that applies a service's rules of retention, for `scripts/prune`.

    python -m microservice1.prune [--dry-run]
    python -m chassis.prune microservice1 [--dry-run]    # the audit log, as the owner of its table

Exit status 1 and a sentence on standard error if the database does not answer.
"""

import argparse
import sys
from contextlib import contextmanager
from dataclasses import dataclass

from chassis import audit, context, retention, settings
from chassis.database import Pool
from chassis.errors import Problem
from chassis.service import Service


@dataclass(frozen=True, slots=True)
class _Owner:
    """Stands for the service while the owner of its tables works: it has the database only."""

    database: Pool
    settings: settings.Owner


def run(name, rules):
    """Be the command `python -m <name>.prune`: apply the rules, or only tell what they would do."""
    dry_run = _parser(f"{name}.prune").parse_args().dry_run
    with _complaints():
        _apply(name, rules, Service(settings.load(name)), dry_run)


def main():
    parser = _parser("chassis.prune")
    parser.add_argument("service", choices=settings.SERVICES)
    chosen = parser.parse_args()
    with _complaints():
        owner = settings.load_owner(chosen.service)
        rule = retention.Rule("audit entries", audit.ROWS, retention.always(owner.audit_kept))
        pool = Pool(owner.database_url, owner.database_password, size=1, name="prune")
        _apply(chosen.service, [rule], _Owner(pool, owner), chosen.dry_run)


def _parser(program):
    parser = argparse.ArgumentParser(prog=program, description=__doc__.partition("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="count, delete nothing")
    return parser


@contextmanager
def _complaints():
    try:
        yield
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))


def _apply(name, rules, service, dry_run):
    token = context.service.set(service)
    try:
        if dry_run:
            for found in retention.due(rules):
                _show(name, "due", *found)
        else:
            retention.prune(rules, lambda *found: _show(name, "pruned", *found))
    finally:
        context.service.reset(token)


def _show(name, word, rule, kept, number):
    state = f"{number:>10,} {word}" if kept else f"{'':>10} kept for ever"
    print(f"{name}  {rule.name:<28} {kept or '':<10} {state}", flush=True)


if __name__ == "__main__":
    main()
