"""What an operator does at a terminal, with the settings of this service in the environment.

    python -m microservice4.commands figures
    python -m microservice4.commands erase-test-notifications < number-of-the-user

It exits with 1 and a sentence on standard error when it cannot do it.
"""

import argparse
import sys

from chassis import settings
from chassis.errors import Problem
from chassis.service import Service
from microservice4.logic import erasing, watching


def figures():
    """Print NAME VALUE, one a line, whole numbers."""
    for name, waiting in (
        ("without_contact", watching.without_contact()),
        ("deferred", watching.deferred()),
    ):
        print(name, waiting.count)
        print(f"{name}_oldest_seconds", waiting.oldest_seconds)


def erase_test_notifications():
    """Delete what the smoke test has caused, whose user's number is on standard input."""
    erasing.erase_test_notifications(int(sys.stdin.readline()))


COMMANDS = {"figures": figures, "erase-test-notifications": erase_test_notifications}


def main():
    parser = argparse.ArgumentParser(
        prog="microservice4.commands", description="What an operator does at a terminal."
    )
    parser.add_argument("command", choices=COMMANDS)
    arguments = parser.parse_args()
    try:
        with Service(settings.load("microservice4")).active():
            COMMANDS[arguments.command]()
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
