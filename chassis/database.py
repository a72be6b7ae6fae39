"""PostgreSQL through a pool that waits, checks and lets go, and transactions that read as one line.

    with transaction() as tx:
        user = tx.one(User, "SELECT id, name FROM users WHERE id = %(id)s", id=7)

The pool waits for a free connection with a deadline instead of raising at once, gives out no
connection that the server has closed, and drops one after any doubt. Every wait for the server has
a deadline of its own: a frozen server does not honour `statement_timeout`.
"""

import logging
import os
import queue
import select
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from chassis import context, crash, wire
from chassis.errors import Unavailable

log = logging.getLogger(__name__)

POOL_WAIT_SECONDS = 0.5
_PIECES = 10
LOCK_TIMEOUT_SECONDS = 0.5
STATEMENT_TIMEOUT_SECONDS = 1.0
# The server ends a statement first and says so; ours is for a server that no longer can.
ANSWER_SECONDS = STATEMENT_TIMEOUT_SECONDS + 0.2

_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "statement_timeout": int(STATEMENT_TIMEOUT_SECONDS * 1000),
        "lock_timeout": int(LOCK_TIMEOUT_SECONDS * 1000),
        "idle_in_transaction_session_timeout": 10_000,
        "TimeZone": "UTC",
    }.items()
)


class DatabaseUnavailable(Unavailable):
    title = "The database did not answer in time"


class Duplicate(Exception):
    """A UNIQUE constraint refused the statement. `constraint`: its name."""

    def __init__(self, constraint):
        super().__init__(constraint)
        self.constraint = constraint


class StatementRefused(Exception):
    """The database refused a value: a mistake of ours. It may be personal, and is not told."""

    def __init__(self, error):
        super().__init__(f"{type(error).__name__} {error.diag.constraint_name or ''}".strip())


class DeadlineExceeded(psycopg2.OperationalError):
    """The server did not answer in time: raised within psycopg2, DatabaseUnavailable outside."""


def transaction():
    """One transaction on the current service's database: committed at the end, or rolled back.

    Yields a Transaction. Raises DatabaseUnavailable if the database cannot be reached, is out of
    connections, or ran out of time (after a deadline in COMMIT the outcome is unknown, never a
    success), Duplicate for a unique constraint, and whatever the body raises.
    """
    joint = context.transaction.get()
    return _transaction() if joint is None else joint.part()


@contextmanager
def joint_transaction():
    """As `transaction`; and every one that is opened inside becomes a part of it.

    A part that raises is undone by itself; what remains is committed together, at the end.
    """
    with _transaction() as tx:
        token = context.transaction.set(tx)
        try:
            yield tx
        finally:
            context.transaction.reset(token)


@contextmanager
def _transaction():
    with context.service.get().database.connection() as connection:
        tx = Transaction(connection)
        try:
            yield tx
            tx.commit()
            crash.point("committed")
        except BaseException:
            if tx.can_go_on:
                tx.roll_back()
            raise
        finally:
            tx.close()


class Transaction:
    """Statements inside one transaction. Values are always bound, by name: `%(name)s`.

    Statements of which nothing is asked wait and travel together: BEGIN and what was queued go with
    the next statement or with COMMIT. A round trip costs more than most statements do.
    """

    def __init__(self, connection):
        self._connection = connection
        self._cursor = connection.cursor()
        self._has_begun = False
        self._queued = []

    def one(self, row_class, sql, **values):
        """Return the first row as a `row_class` (a dataclass with the columns' names), or None."""
        self._execute(sql, values)
        row = self._cursor.fetchone()
        return None if row is None else row_class(**dict(zip(self._columns(), row, strict=True)))

    def all(self, row_class, sql, **values):
        """Return all rows as a list of `row_class`."""
        self._execute(sql, values)
        columns = self._columns()
        return [row_class(**dict(zip(columns, row, strict=True))) for row in self._cursor]

    def value(self, sql, **values):
        """Return the first column of the first row, or None if there is no row."""
        self._execute(sql, values)
        row = self._cursor.fetchone()
        return None if row is None else row[0]

    def column(self, sql, **values):
        """Return the first column of all rows as a list."""
        self._execute(sql, values)
        return [row[0] for row in self._cursor]

    def run(self, sql, **values):
        """Execute a statement and return how many rows it touched."""
        self._execute(sql, values)
        return self._cursor.rowcount

    def queue(self, sql, **values):
        """Execute a statement with the next one or with COMMIT, in the order of the calls.

        For writes of which nothing is asked. What they raise comes from there.
        """
        self._queued.append(self._cursor.mogrify(sql, values))

    def limit_statements(self, seconds):
        """Let each statement take so long at most, from here to the end of the transaction.

        seconds: less than STATEMENT_TIMEOUT_SECONDS. One that takes longer ends as others do that
        run out of time: DatabaseUnavailable outside of the transaction.
        """
        self.queue("SET LOCAL statement_timeout = %(limit)s", limit=int(seconds * 1000))

    @contextmanager
    def part(self):
        """A part that is undone by itself if the body raises. Yields this Transaction."""
        self.run("SAVEPOINT part")
        try:
            yield self
            self.run("RELEASE SAVEPOINT part")
        except BaseException:
            if self.can_go_on:
                self._queued.clear()
                self.run("ROLLBACK TO SAVEPOINT part")
            raise

    @property
    def can_go_on(self):
        """False once the connection is lost, or was left in the middle of a statement."""
        return not self._connection.closed and not self._connection.isexecuting()

    def commit(self):
        """Raises RuntimeError if the server rolled back: a failed statement was passed over."""
        if self._has_begun or self._queued:
            self._execute("COMMIT", None)
            if self._cursor.statusmessage != "COMMIT":
                raise RuntimeError("A statement had failed, so the transaction was rolled back")

    def roll_back(self):
        if self._has_begun:
            self._cursor.execute("ROLLBACK")

    def close(self):
        self._cursor.close()

    def _execute(self, sql, values):
        statements = [*self._queued, self._cursor.mogrify(sql, values)]
        self._queued.clear()
        if not self._has_begun:
            statements.insert(0, b"BEGIN")
            self._has_begun = True
        try:
            self._cursor.execute(b"; ".join(statements))
        except psycopg2.errors.UniqueViolation as error:
            raise Duplicate(error.diag.constraint_name) from None
        except (psycopg2.IntegrityError, psycopg2.DataError) as error:
            raise StatementRefused(error) from None

    def _columns(self):
        return [column.name for column in self._cursor.description]


class Pool:
    """Up to `size` connections for the threads of one process, opened when needed, or by fill().

    After a fork the child starts with an empty pool of its own: two processes on one connection
    would corrupt each other's answers.
    """

    def __init__(self, url, password, size, name):
        self.size = size
        self._arguments = {
            "hostaddr": "",  # not that of a variable: uWSGI sets any that Nginx's user sends
            **psycopg2.extensions.parse_dsn(url),
            "application_name": name,
            "options": _OPTIONS,
        }
        if password:
            self._arguments["password"] = password
        self._lock = threading.Lock()
        self._pid = None

    @contextmanager
    def connection(self):
        """Lend a connection. It comes back, or is dropped if anything about it is in doubt."""
        free = self._slots()
        connection = self._borrow(free)
        try:
            yield connection
        except psycopg2.Error as error:
            if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
                log.warning("database: %s", _first_line(error))
                raise DatabaseUnavailable from error
            raise
        finally:
            free.put(_kept_or_dropped(connection))

    def fill(self):
        """Open all connections now, so that no request waits for one that is being opened.

        A database that does not answer is left to the requests.
        """
        with suppress(DatabaseUnavailable), ExitStack() as lent:
            for _ in range(self.size):
                lent.enter_context(self.connection())

    def connect(self):
        """Open a connection that is not the pool's, in autocommit. Raises psycopg2.Error."""
        self._slots()  # the wait callback is set with them
        connection = psycopg2.connect(**self._arguments)
        connection.autocommit = True
        return connection

    def close(self):
        """Close the connections that are not lent just now."""
        free = self._slots()
        for _ in range(self.size):
            with suppress(queue.Empty):
                connection = free.get_nowait()
                if connection is not None:
                    connection.close()
        with self._lock:
            self._pid = None

    def _slots(self):
        """The queue of free places, each a connection or None for one that is not open yet."""
        if self._pid == os.getpid():
            return self._free
        with self._lock:
            if self._pid != os.getpid():
                self._free = queue.LifoQueue()
                for _ in range(self.size):
                    self._free.put(None)
                psycopg2.extensions.set_wait_callback(wait_for_server)
                psycopg2.extras.register_default_json(globally=True, loads=wire.loads)
                psycopg2.extras.register_default_jsonb(globally=True, loads=wire.loads)
                self._pid = os.getpid()
        return self._free

    def _borrow(self, free):
        try:
            connection = _next(free)
        except queue.Empty:
            log.warning("database: all %d connections of this process are busy", self.size)
            raise DatabaseUnavailable("All connections to the database are busy") from None
        if connection is not None and _usable(connection):
            return connection
        try:
            if connection is not None:
                connection.close()
            return self.connect()
        except psycopg2.Error as error:
            free.put(None)
            log.warning("database: %s", _first_line(error))
            raise DatabaseUnavailable from error
        except BaseException:
            free.put(None)
            raise


def _next(free):
    """Return the place that comes free within POOL_WAIT_SECONDS. Raises queue.Empty.

    In pieces: when the whole computer has stood still, as virtual machines do, one of them has run
    out, and not the time of everybody who waited.
    """
    for _ in range(_PIECES):
        with suppress(queue.Empty):
            return free.get(timeout=context.at_most(POOL_WAIT_SECONDS / _PIECES))
    raise queue.Empty


@contextmanager
def listening(channel):
    """LISTEN on a connection of its own, outside the pool.

    Yields wait(seconds), which returns the set of payloads as soon as there are any, and an empty
    set when nothing was notified. Raises DatabaseUnavailable when the connection cannot be made or
    is lost.
    """
    try:
        connection = context.service.get().database.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {channel}")
            yield lambda seconds: _notified(connection, seconds)
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise DatabaseUnavailable(_first_line(error)) from error


def wait_for_server(connection):
    """psycopg2's wait callback: wait for the server, but never beyond the deadline.

    It only raises; closing the connection in here would deadlock. Whoever lent it drops it.
    """
    end = time.monotonic() + context.at_most(ANSWER_SECONDS)
    poller = select.poll()
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        reading = state == psycopg2.extensions.POLL_READ
        poller.register(connection.fileno(), select.POLLIN if reading else select.POLLOUT)
        left = end - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise DeadlineExceeded("the server did not answer in time")


def _notified(connection, seconds):
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    if poller.poll(seconds * 1000):
        connection.poll()
    payloads = {notification.payload for notification in connection.notifies}
    connection.notifies.clear()
    return payloads


def _usable(connection):
    """An idle connection has nothing to say: if it is readable, the server has closed it."""
    if connection.closed:
        return False
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return not poller.poll(0)


def _kept_or_dropped(connection):
    idle = psycopg2.extensions.TRANSACTION_STATUS_IDLE
    if not connection.closed and connection.info.transaction_status == idle:
        return connection
    connection.close()
    return None


def _first_line(error):
    return str(error).partition("\n")[0]
