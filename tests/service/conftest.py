"""One service at a time: its real application on a real database, called as whoever may call it.

Each folder below says in its own conftest.py which service it is about, by the fixture `app`; what
stands beside them is about each of the four in turn.
"""

import importlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest

from chassis import testing
from chassis.settings import SERVICES
from tests.administrators import register_administrator

CUSTOMER, OTHER_CUSTOMER, ADMIN = 7, 8, 1


@pytest.fixture(params=SERVICES)
def name(request):
    return request.param


@pytest.fixture
def service(name, fresh_service):
    return fresh_service(name)


@pytest.fixture
def app(name, service):
    return importlib.import_module(f"{name}.app").create_app(service)


@pytest.fixture
def as_user(app, keys):
    """Returns a function: a client signed in as the user of that id."""
    return lambda user_id, role="customer": testing.Client(
        app, testing.user_token(keys, user_id, role)
    )


@pytest.fixture
def as_service(app, keys):
    """Returns a function: a client that is another service, on the internal listener."""
    return lambda name: testing.Client(
        app, testing.service_token(keys, name, app.name), internal=True
    )


@pytest.fixture
def anonymous(app):
    return testing.Client(app)


@pytest.fixture
def customer(as_user):
    return as_user(CUSTOMER)


@pytest.fixture
def other_customer(as_user):
    return as_user(OTHER_CUSTOMER)


@pytest.fixture
def admin(app, as_user, databases):
    if app.name == "microservice1":
        register_administrator(databases(app.name), ADMIN)
    return as_user(ADMIN, "admin")


@pytest.fixture
def users_service(as_service):
    return as_service("microservice1")


@pytest.fixture
def products_service(as_service):
    return as_service("microservice2")


@pytest.fixture
def orders_service(as_service):
    return as_service("microservice3")


@pytest.fixture
def notifications_service(as_service):
    return as_service("microservice4")


@pytest.fixture
def pages():
    """Returns a generator of the pages of a list behind a cursor, each a list of entries.

    The next page is fetched when it is asked for, so that a test can do something in between.
    """

    def walk(client, path, *, limit=None):
        path += f"{'&' if '?' in path else '?'}after="
        while path:
            answer = client.get(path + (f"&limit={limit}" if limit else ""))
            assert answer.status_code == 200, answer.text
            assert "X-Pagination" not in answer.headers  # nothing was counted
            yield answer.json
            path = following(answer)

    return walk


@pytest.fixture
def cursor():
    """Returns a function: the cursor of the page behind the first one of a list."""

    def of(client, path):
        answer = client.get(f"{path}{'&' if '?' in path else '?'}limit=1&after=")
        return parse_qs(urlsplit(following(answer)).query)["after"][0]

    return of


def following(answer):
    """The address of the next page as the service itself sees it, or None on the last page."""
    if "Link" not in answer.headers:
        return None
    found = re.fullmatch(r'</api/service[1-4](/[^>]+)>; rel="next"', answer.headers["Link"])
    return found[1]


@pytest.fixture
def overtaken(app, databases):
    """Returns a function that lets another write be committed while a call waits for its row.

    write: a statement. call: a function of nothing, whose answer is returned.
    """

    def overtaken(write, call):
        with (
            closing(psycopg2.connect(databases(app.name))) as connection,
            connection.cursor() as cursor,
            ThreadPoolExecutor() as pool,
        ):
            cursor.execute(write)
            answer = pool.submit(call)
            waiting = 0
            while not waiting and not answer.done():
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                (waiting,) = cursor.fetchone()
            assert waiting, "it did not wait for the row"
            connection.commit()
            return answer.result()

    return overtaken


@pytest.fixture
def rows(app, databases):
    """Returns a function: the rows that a statement finds in the service's own database."""
    return lambda sql, **values: testing.query(databases(app.name), sql, **values)


@pytest.fixture
def commands_of(own_url, keys, monkeypatch, capsys, tmp_path):
    """Returns a function of a module with a `main`; that returns one that runs a command.

    of: the service with whose settings. The command returns (exit code, standard output, standard
    error).
    """

    def runner(commands, of=None):
        name = of or commands.__name__.partition(".")[0]
        (tmp_path / "secret").write_text("a secret")
        monkeypatch.setenv("DATABASE_URL", own_url(name))
        monkeypatch.setenv("JWKS_FILE", str(keys / "jwks.json"))
        monkeypatch.setenv("SIGNING_KEY_FILE", str(keys / f"{name}.pem"))
        monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("REVOCATIONS_FILE", str(tmp_path / "revocations.json"))
        monkeypatch.setenv("INTERNAL_URL", "http://127.0.0.1:9")  # nobody, also beside a stack

        def run(*arguments, stdin=""):
            monkeypatch.setattr("sys.argv", ["commands", *arguments])
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
            code = 0
            try:
                commands.main()
            except SystemExit as end:
                code = end.code
            said, complained = capsys.readouterr()
            if isinstance(code, str):  # as Python itself does with a text given to sys.exit
                code, complained = 1, complained + code
            return code, said.strip(), complained.strip()

        return run

    return runner
