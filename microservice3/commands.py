"""What an operator does at a terminal, with the settings of this service in the environment.

    python -m microservice3.commands settle < numbers-of-orders-one-a-line
    python -m microservice3.commands has-orders
    python -m microservice3.commands raise-versions < by-how-many
    python -m microservice3.commands erase-test-order < number-of-the-user

They exit with 1 if an order cannot be settled or erased, and with a sentence on standard error.
"""

import argparse
import sys

from chassis import settings
from chassis.errors import Problem
from chassis.service import Service
from microservice3.errors import InvalidTransition
from microservice3.logic import erasing, reading, settling


def settle():
    """Make the neighbours agree with the orders whose numbers are on standard input."""
    failed = False
    for order_id in map(int, sys.stdin):
        try:
            print(f"order {order_id} {settling.settle(order_id)}")
        except InvalidTransition as error:
            print(f"order {order_id} {error.detail}: correct the stock or the points by hand")
            failed = True
    sys.exit(failed)


def has_orders():
    """Print whether there are orders: yes or no."""
    print("yes" if reading.has_orders() else "no")


def raise_versions():
    """Raise the versions of orders that may still change, after the database was restored."""
    settling.raise_versions(int(sys.stdin.readline()))


def erase_test_order():
    """Delete what the smoke test has ordered as the user whose number is on standard input."""
    user_id = int(sys.stdin.readline())
    if not erasing.erase_test_order(user_id):
        sys.exit(f"the test order of user {user_id} is not cancelled yet, or not everywhere")


COMMANDS = {
    "settle": settle,
    "has-orders": has_orders,
    "raise-versions": raise_versions,
    "erase-test-order": erase_test_order,
}


def main():
    parser = argparse.ArgumentParser(
        prog="microservice3.commands", description="What an operator does at a terminal."
    )
    parser.add_argument("command", choices=COMMANDS)
    arguments = parser.parse_args()
    try:
        with Service(settings.load("microservice3")).active():
            COMMANDS[arguments.command]()
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
