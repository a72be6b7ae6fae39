"""For tests: a service's real application and worker on a real database, called as anybody.

Services that you add test themselves with this too; `tests/service/conftest.py` shows how.
"""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions
import requests
from requests.adapters import BaseAdapter
from werkzeug.exceptions import HTTPException
from werkzeug.test import Client as WsgiClient

from chassis import listener, migrate, openapi, tokens
from chassis.errors import NoRoute
from chassis.keys import ensure_keys
from chassis.service import Service
from chassis.settings import SERVICES, Settings, owner_of, prefix_of, with_role


def make_service(name, database_url, keys, **overrides):
    """Return a chassis.service.Service.

    database_url: as the service's own role, as `make_database` returns it. keys: a folder that
    `chassis.keys` has filled.
    """
    overrides = {"connections": 2, **overrides}
    return Service(
        Settings(
            name=name,
            database_url=database_url,
            jwks_file=keys / "jwks.json",
            signing_key_file=keys / f"{name}.pem",
            secret=f"the secret of {name}",
            **overrides,
        )
    )


def make_keys(folder):
    """Fill a folder with keys for all services, and return it."""
    ensure_keys(folder, SERVICES)
    return folder


def make_database(admin_url, name, database_url):
    """Make the database of a service anew, with its roles, and migrate it. Returns its own URL.

    admin_url: a superuser's, of another database. database_url: of the one to be made, as anybody.
    """
    with unhurried():
        owner = owner_of(name)
        execute(
            admin_url,
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            *(f"DROP ROLE IF EXISTS {role}" for role in (name, owner)),
            *(f"CREATE ROLE {role} LOGIN" for role in (name, owner)),
            f"CREATE DATABASE {name} OWNER {owner}",
            f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
        )
        connection = psycopg2.connect(with_role(database_url, owner))
        try:
            migrate.migrate_service(connection, name, say=lambda _line: None)
        finally:
            connection.close()
    return with_role(database_url, name)


@contextmanager
def unhurried():
    """Let statements take their time, which those of a service may not (`chassis.database`)."""
    callback = psycopg2.extensions.get_wait_callback()
    psycopg2.extensions.set_wait_callback(None)
    try:
        yield
    finally:
        psycopg2.extensions.set_wait_callback(callback)


def empty_database(database_url):
    """Delete all rows of all tables and start their numbers anew; the schema stays.

    For the few rows of a test, DELETE is ten times as fast as TRUNCATE. Needs a superuser.
    """
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_EMPTY)
    finally:
        connection.close()


def query(database_url, sql, **values):
    """Return the rows of a statement as tuples, for a test that looks behind the API."""
    connection = psycopg2.connect(database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


class Client:
    """Calls an application as somebody: Flask's test client with a token, or without.

    token: a string or None. internal: whether the calls come in by the internal listener.
    address: where they come from. An error that the document of the operation does not name fails
    the test.
    """

    def __init__(self, app, token=None, *, internal=False, address="127.0.0.1"):
        self._app = app
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._address = address
        self._internal = internal

    def open(self, method, path, *, headers=None, **arguments):
        with listener.pretended(internal=self._internal):
            answer = self._client.open(
                path,
                method=method,
                headers={**self._headers, **(headers or {})},
                environ_overrides={"REMOTE_ADDR": self._address},
                **arguments,
            )
        _check_that_it_is_documented(self._app, answer)
        return answer

    def get(self, path, **arguments):
        return self.open("GET", path, **arguments)

    def post(self, path, **arguments):
        return self.open("POST", path, **arguments)

    def put(self, path, **arguments):
        return self.open("PUT", path, **arguments)

    def patch(self, path, **arguments):
        return self.open("PATCH", path, **arguments)

    def delete(self, path, **arguments):
        return self.open("DELETE", path, **arguments)


def document_of(app):
    """Return the OpenAPI document of all operations of an application, the internal ones too."""
    public, internal = (
        api["ext_obj"].document for api in app.extensions["flask-smorest"]["apis"].values()
    )
    schemas = internal["components"]["schemas"] | public["components"]["schemas"]
    return {
        **public,
        "paths": {**public["paths"], **internal["paths"]},
        "components": {**public["components"], "schemas": schemas},
    }


class Network(BaseAdapter):
    """Neighbours where the network would be: calls go to their real applications, in this process.

    apps: {name: application}. `calls` is what was sent, as (neighbour, method, path). A neighbour
    in `down` cannot be reached; one in `deaf` does the work, but its answer is lost.
    """

    def __init__(self, **apps):
        super().__init__()
        self.apps = apps
        self.calls = []
        self.down = set()
        self.deaf = set()

    def send(self, request, **_arguments):
        name, path = self._receiver(request.url)
        self.calls.append((name, request.method, path))
        if name in self.down:
            raise requests.ConnectionError(f"{name} is down")
        with listener.pretended(internal=True):
            answer = WsgiClient(self.apps[name]).open(
                path,
                method=request.method,
                headers=dict(request.headers),
                data=request.body,
            )
        if name in self.deaf:
            raise requests.ReadTimeout(f"the answer of {name} was lost")
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers)
        response._content = answer.data
        response.request = request
        return response

    def close(self):
        """Nothing is open."""

    @staticmethod
    def _receiver(url):
        parts = urlsplit(url)
        for name in SERVICES:
            if parts.path.startswith(prefix_of(name) + "/"):
                path = parts.path.removeprefix(prefix_of(name))
                return name, f"{path}?{parts.query}" if parts.query else path
        raise AssertionError(f"no service is mounted at {url}")


def user_token(keys, user_id, role="customer"):
    """Return an access token as microservice1 signs it."""
    return tokens.Signer("microservice1", keys / "microservice1.pem").user_token(user_id, role)


def service_token(keys, name, audience):
    """Return a token by which the service `name` calls the service `audience`."""
    return tokens.Signer(name, keys / f"{name}.pem").service_token(audience)


def deliver_all(worker, rounds=1000):
    """Let a worker do all that is due now, in this thread. Returns how many messages it did."""
    done = 0
    with worker.service.active():
        for _ in range(rounds):
            handled = sum(worker.step(lane) for lane in worker.lanes)
            if not handled:
                return done
            done += handled
    raise AssertionError(f"still not done after {rounds} rounds")


_documented_codes = {}  # {service: what codes_of returns}


def _check_that_it_is_documented(app, answer):
    """Fail for an error that is missing in `raises` of its route, in an app that has documents."""
    if answer.mimetype != openapi.PROBLEM or not answer.data:
        return
    if "flask-smorest" not in app.extensions:
        return
    method = answer.request.method
    try:
        rule, _ = app.url_map.bind("").match(answer.request.path, method, return_rule=True)
    except HTTPException:
        return  # no route, or another method
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
    if app.name not in _documented_codes:
        _documented_codes[app.name] = openapi.codes_of(document_of(app))
    named = _documented_codes[app.name].get((method, path))
    code = answer.json["code"]
    assert named is None or code in named | {NoRoute.code}, f"{method} {path}: {code} in `raises`?"


_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;  -- references need not be followed
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables
                 WHERE schemaname = 'public' AND tablename <> 'schema_migrations' LOOP
        EXECUTE 'DELETE FROM ' || name;
    END LOOP;
    FOR name IN SELECT quote_ident(sequencename) FROM pg_sequences
                 WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART';
    END LOOP;
END
$$
"""


def execute(url, *statements):
    """Execute statements one by one, each outside of any transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()
