"""Settling: what follows from a restored database."""

from chassis.database import transaction
from microservice2 import database

RAISED_AT_ONCE = 1000


def raise_versions(by):
    """Raise the versions of all products, in pieces: no version is given out twice."""
    last = 0
    while last is not None:
        with transaction() as tx:
            last = database.raise_versions(tx, after=last, by=by, most=RAISED_AT_ONCE)
