"""What is in the four databases once all is quiet, as plain rows to be judged."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extras import RealDictCursor

STANDING = frozenset({"confirmed", "shipped", "delivered"})  # states of orders
ENDED = STANDING | {"cancelled", "refused"}

TABLES = {
    "microservice1": ("users", "points_entries", "redemptions"),
    "microservice2": ("products", "stock_entries", "reservations", "reservation_items"),
    "microservice3": ("orders", "order_items", "order_history", "sales"),
    "microservice4": ("notifications",),
}


@dataclass
class World:
    """Rows as dicts, by table. `outbox`: of all services, with `service` and `now` besides.

    `mails`: the ids of the events whose e-mails were accepted, in this order. `repeats_excused`:
    how many e-mails may have come twice, as often as their sender was killed in the middle.
    `late`: what was still under way when all should have ended, a line each.
    """

    users: list = field(default_factory=list)
    points_entries: list = field(default_factory=list)
    redemptions: list = field(default_factory=list)
    products: list = field(default_factory=list)
    stock_entries: list = field(default_factory=list)
    reservations: list = field(default_factory=list)
    reservation_items: list = field(default_factory=list)
    orders: list = field(default_factory=list)
    order_items: list = field(default_factory=list)
    order_history: list = field(default_factory=list)
    sales: list = field(default_factory=list)
    notifications: list = field(default_factory=list)
    outbox: list = field(default_factory=list)
    mails: list = field(default_factory=list)
    repeats_excused: int = 0
    late: list = field(default_factory=list)


def read_world(stack, **more):
    """Return the World of a stack. Each database is read at one moment of its own."""
    world = World(**more)
    for service, tables in TABLES.items():
        with _database(stack, service) as cursor:
            for table in tables:
                setattr(world, table, _rows(cursor, table))
            world.outbox += [{**row, "service": service} for row in _rows(cursor, "outbox")]
    return world


def count_under_way(stack):
    """Return how many orders have not ended, and how many messages wait in all outboxes.

    None for both while the databases do not answer.
    """
    try:
        waiting = sum(_count(stack, service, _WAITING) for service in TABLES)
        return count_orders_under_way(stack), waiting
    except psycopg2.OperationalError:
        return None, None


def count_orders_under_way(stack):
    """Return how many orders have not ended. Raises psycopg2.OperationalError."""
    return _count(stack, "microservice3", _UNDER_WAY)


_WAITING = "SELECT count(*) FROM outbox WHERE state = 'waiting'"
_UNDER_WAY = f"SELECT count(*) FROM orders WHERE state <> ALL(ARRAY{sorted(ENDED)})"


def _count(stack, service, query):
    with _database(stack, service) as cursor:
        cursor.execute(query)
        return cursor.fetchone()["count"]


@contextmanager
def _database(stack, service):
    """A cursor that sees one moment of a service's database."""
    connection = psycopg2.connect(
        host=str((stack.var / "run").resolve()),
        user="quartet",
        password=(stack.var / "secrets/postgres").read_text().strip(),
        dbname=service,
        cursor_factory=RealDictCursor,
    )
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield connection.cursor()
    finally:
        connection.close()


def _rows(cursor, table):
    """All rows of a table; none of one that is not there (yet). json comes as Python values."""
    cursor.execute("SELECT to_regclass(%s) AS name", (table,))
    if cursor.fetchone()["name"] is None:
        return []
    now = ", now() AS now" if table == "outbox" else ""
    cursor.execute(f"SELECT *{now} FROM {table} ORDER BY 1")  # noqa: S608 - our own names
    return [dict(row) for row in cursor.fetchall()]
