"""What an operator does at a terminal, with the settings of this service in the environment.

    python -m microservice2.commands raise-versions < by-how-many

It exits with 1 and a sentence on standard error when it cannot do it.
"""

import argparse
import sys

from chassis import settings
from chassis.errors import Problem
from chassis.service import Service
from microservice2.logic import settling


def raise_versions():
    """Raise the versions of all products, after the database was restored."""
    settling.raise_versions(int(sys.stdin.readline()))


COMMANDS = {"raise-versions": raise_versions}


def main():
    parser = argparse.ArgumentParser(
        prog="microservice2.commands", description="What an operator does at a terminal."
    )
    parser.add_argument("command", choices=COMMANDS)
    arguments = parser.parse_args()
    try:
        with Service(settings.load("microservice2")).active():
            COMMANDS[arguments.command]()
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
