"""What a service's database holds, for operators: NAME VALUE, one a line, whole numbers.

    python -m chassis.figures microservice3

Exit status 1 and a sentence on standard error if the database does not answer.
"""

import argparse
import sys

from chassis import collations, outbox, settings
from chassis.database import transaction
from chassis.errors import Problem
from chassis.service import Service


def figures():
    """Return {name: whole number} of the current service. Raises DatabaseUnavailable."""
    with transaction() as tx:
        backlog = outbox.backlog(tx)
        outdated = collations.count_outdated(tx)
    return {
        "collations_outdated": outdated,
        "outbox_waiting": backlog.waiting,
        "outbox_dead": backlog.dead,
        "outbox_oldest_seconds": backlog.oldest_seconds,
    }


def main():
    parser = argparse.ArgumentParser(prog="chassis.figures", description=__doc__.partition("\n")[0])
    parser.add_argument("service", choices=settings.SERVICES)
    arguments = parser.parse_args()
    try:
        with Service(settings.load(arguments.service)).active():
            found = figures()
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))
    for name, value in found.items():
        print(name, value)


if __name__ == "__main__":
    main()
