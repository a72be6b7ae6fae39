"""What an operator does at a terminal, with the settings of this service in the environment.

    python -m microservice1.commands create-admin USERNAME EMAIL < file-with-the-password
    python -m microservice1.commands reset-password USERNAME < file-with-the-password
    python -m microservice1.commands token USERNAME
    python -m microservice1.commands has-admin
    python -m microservice1.commands settle < lines-that-begin-with-user/7-or-user/7/deleted
    python -m microservice1.commands raise-versions < by-how-many

They exit with 1 and a sentence on standard error when they cannot do it.
"""

import argparse
import sys
from contextlib import suppress

from marshmallow import ValidationError

from chassis import audit, settings
from chassis.errors import NotFound, Problem
from chassis.service import Service
from chassis.tokens import Identity
from microservice1.errors import LastAdmin
from microservice1.logic import accounts, registering, resetting, sessions, settling
from microservice1.schemas import NewUser, PasswordReset

# Who can read the service's settings and keys can do what an administrator can.
OPERATOR = Identity(role="admin")


def create_admin(username, email):
    """Register an administrator with the password on standard input; one who exists stays."""
    with suppress(NotFound):
        found = accounts.get_user_called(OPERATOR, username)
        print(f"{found.username} exists, with the role {found.role}: nothing was changed")
        return
    wanted = {"username": username, "email": email, "password": _password(), "role": "admin"}
    registering.register(OPERATOR, **NewUser().load(wanted))
    print(f"created the administrator {username}")


def reset_password(username):
    """Set a user's password from standard input, and end all sessions and access tokens."""
    wanted = PasswordReset(only=("password",)).load({"password": _password()})
    try:
        user = resetting.reset_as_operator(username, **wanted)
    except NotFound:
        sys.exit(f"there is no user {username}")
    print(f"{user.username} has the new password, and has to sign in again everywhere")


def token(username):
    """Print an access token of a user."""
    try:
        print(sessions.access_token_of(username))
    except NotFound:
        sys.exit(f"there is no user {username}")


def has_admin():
    """Print whether there is an administrator: yes or no."""
    print("yes" if accounts.has_admin() else "no")


def settle():
    """Make Notifications agree about the users on standard input.

    A line is user/7, to announce, or user/7/deleted, for one whose deletion is to be done again.
    """
    failed, announced = False, []
    for line in sys.stdin:
        _, user_id, *deleted = line.strip().split("/")
        if not deleted:
            announced.append(int(user_id))
            continue
        try:
            settling.delete_again(int(user_id))
            print(f"user {user_id} had been deleted: is deleted again")
        except LastAdmin as error:
            print(f"user {user_id} had been deleted: {error.detail}")
            failed = True
    settling.announce_again(announced)
    for user_id in announced:
        print(f"user {user_id} is announced to Notifications")
    sys.exit(failed)


def raise_versions():
    """Raise the versions of all users, after the database was restored."""
    settling.raise_versions(int(sys.stdin.readline()))


def _password():
    return sys.stdin.readline().rstrip("\r\n")


def main():
    arguments = vars(_parser().parse_args())
    command = arguments.pop("command")
    try:
        with Service(settings.load("microservice1")).active(), audit.by_operator():
            command(**arguments)
    except ValidationError as error:
        sys.exit("; ".join(f"{name}: {' '.join(said)}" for name, said in error.messages.items()))
    except (Problem, settings.SettingsError) as error:
        sys.exit(str(error))


def _parser():
    parser = argparse.ArgumentParser(
        prog="microservice1.commands", description="What an operator does at a terminal."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command, *names in (
        (create_admin, "username", "email"),
        (reset_password, "username"),
        (token, "username"),
        (has_admin,),
        (settle,),
        (raise_versions,),
    ):
        subparser = commands.add_parser(
            command.__name__.replace("_", "-"), help=command.__doc__, description=command.__doc__
        )
        subparser.set_defaults(command=command)
        for name in names:
            subparser.add_argument(name, metavar=name.upper())
    return parser


if __name__ == "__main__":
    main()
