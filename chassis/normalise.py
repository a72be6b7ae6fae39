"""The command that brings stored text into its form, for `scripts/normalise`.

    python -m microservice1.normalise [--dry-run]

Exit status 1 if rows are left that a person has to change, or if the database does not answer.
"""

import argparse
import sys

from chassis import settings
from chassis.errors import Problem
from chassis.service import Service
from chassis.stored_text import normalise

MOST_SHOWN = 100  # rows that are left, of one table


def run(name, tables):
    """Be the command `python -m <name>.normalise`. tables: a Texts for each table."""
    parser = argparse.ArgumentParser(
        prog=f"{name}.normalise", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be changed")
    dry_run = parser.parse_args().dry_run
    try:
        with Service(settings.load(name)).active():
            left = sum(_normalise(name, texts, dry_run) for texts in tables)
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))
    sys.exit(left > 0)


def _normalise(name, texts, dry_run):
    """Do one table. Returns how many texts are left that a person has to change."""
    changed = left = 0
    for number, column, matter in normalise(texts, dry_run):
        if matter is None:
            changed += 1
            continue
        left += 1
        if left <= MOST_SHOWN:
            print(f"{name}  {texts.table} {number}: {column} {matter}", flush=True)
    if left > MOST_SHOWN:
        print(f"{name}  {texts.table}: {left - MOST_SHOWN:,} more like these", flush=True)
    if changed:
        done = "would be normalised" if dry_run else "normalised"
        print(f"{name}  {texts.table}: {changed:,} texts {done}", flush=True)
    return left
