"""Who may do what: every operation of the four OpenAPI documents, as everybody, by both listeners.

One line of the table is one operation, and who is let in:

    anyone     whoever calls, with a token or without
    customer   any user who is signed in
    owner      the user whose it is; to other users it does not exist (404)
    admin      administrators
    microserviceN   this service, by the internal listener

Everybody else is told 401 without a token, 403 with one. On the public listener, paths under
/internal are no route (404).
"""

import re
from itertools import count

import pytest

from chassis import testing, wire
from chassis.settings import SERVICES
from tests.administrators import ADMINISTRATOR, register_administrator
from tests.images import PNG

EVERYWHERE = """
    GET     /health/live                        anyone
    GET     /health/ready                       anyone
    GET     /status                             anyone
    GET     /audit                              admin
    GET     /dead-letters                       admin
    GET     /dead-letters/{letter_id}           admin
    DELETE  /dead-letters/{letter_id}           admin
    POST    /dead-letters/{letter_id}/replay    admin
"""
TABLE = {
    "microservice1": """
    POST    /users                              anyone
    GET     /users                              admin
    GET     /users/me                           customer admin
    GET     /users/{user_id}                    owner admin microservice3
    PUT     /users/{user_id}                    owner admin
    PATCH   /users/{user_id}                    owner admin
    DELETE  /users/{user_id}                    owner admin
    POST    /users/{user_id}/confirmation       owner admin
    POST    /users/{user_id}/points             admin
    PUT     /users/{user_id}/promotion          admin microservice3
    POST    /user                               anyone
    GET     /user/{username}                    owner admin microservice3
    PUT     /user/promote/{username}            admin microservice3
    POST    /tokens                             anyone
    DELETE  /tokens                             anyone
    POST    /tokens/refresh                     anyone
    GET     /internal/revocations               microservice2 microservice3 microservice4
    POST    /confirmations                      anyone
    POST    /password-resets                    anyone
    PUT     /password-resets                    anyone
    PUT     /internal/redemptions/{order_id}    microservice3
    DELETE  /internal/redemptions/{order_id}    microservice3
    POST    /internal/events                    microservice3
    """,
    "microservice2": """
    POST    /products                           admin
    GET     /products                           anyone
    GET     /products/{product_id}              anyone
    PUT     /products/{product_id}              admin
    PATCH   /products/{product_id}              admin
    DELETE  /products/{product_id}              admin
    PUT     /products/{product_id}/image        admin
    GET     /products/{product_id}/image        anyone
    DELETE  /products/{product_id}/image        admin
    POST    /products/{product_id}/stock        admin
    GET     /products/{product_id}/stock        admin
    GET     /categories                         anyone
    GET     /internal/products                  microservice3
    PUT     /internal/reservations/{order_id}   microservice3
    GET     /internal/reservations/{order_id}   microservice3
    DELETE  /internal/reservations/{order_id}   microservice3
    POST    /internal/events                    microservice3
    """,
    "microservice3": """
    POST    /orders                             customer admin
    GET     /orders                             customer admin
    GET     /orders/{order_id}                  owner admin
    PATCH   /orders/{order_id}                  owner admin
    GET     /orders/{order_id}/history          owner admin
    GET     /reports/sales                      admin
    """,
    "microservice4": """
    GET     /notifications                      customer admin
    GET     /notifications/{notification_id}    owner admin
    POST    /notifications/{notification_id}/retry    admin
    POST    /notifications/{notification_id}/give-up    admin
    POST    /internal/events                    microservice1 microservice3
    """,
}
DOCUMENTS = ("/openapi.json", "/docs", "/docs/start.js", "/docs/own.css", "/docs/<path:file>")
UNDOCUMENTED = {"/metrics", *DOCUMENTS, *(f"/internal{path}" for path in DOCUMENTS)}

CALLERS = ("anonymous", "owner", "other", "admin", *SERVICES)
WORDS = {
    "anyone": set(CALLERS),
    "customer": {"owner", "other"},
    **{name: {name} for name in ("owner", "admin", *SERVICES)},
}
METHODS = {"get", "post", "put", "patch", "delete"}


def rows():
    """Return {(service, method, path): the words of its line}."""
    return {
        (service, *line.split()[:2]): set(line.split()[2:])
        for service in SERVICES
        for line in (EVERYWHERE + TABLE[service]).splitlines()
        if line.strip()
    }


def expected(words, path, caller, listener):
    """Return `in` for who is let in, or how the answer to the others begins."""
    if path.startswith("/internal/") and listener == "public":
        return "404 no_route"
    is_kept_out = caller in SERVICES and caller in words and listener == "public"
    if caller in set().union(*(WORDS[word] for word in words)) and not is_kept_out:
        return "in"
    if caller == "anonymous":
        return "401 unauthenticated"
    return "404 not_found" if caller == "other" and "owner" in words else "403 forbidden"


def found(answer, words):
    """Return `in`, or the status and code of a closed door or a failure."""
    code = answer.json["code"] if answer.status_code >= 400 else None
    shut = code in ("unauthenticated", "forbidden", "no_route")
    hidden = code == "not_found" and "owner" in words
    failed = answer.status_code >= 500
    return f"{answer.status_code} {code}" if shut or hidden or failed else "in"


class World:
    """The four services, and in them things that belong to `owner`, made as they are needed."""

    def __init__(self, network, keys):
        self.network, self.keys = network, keys
        self.owner, self.other = 101, 102
        self.numbers = count(1)
        self.makers = {
            ("user_id", "microservice1"): lambda: self.a_user()["id"],
            ("username", "microservice1"): lambda: self.a_user()["username"],
            ("product_id", "microservice2"): self.a_product,
            ("order_id", "microservice1"): lambda: next(self.numbers),
            ("order_id", "microservice2"): lambda: next(self.numbers),
            ("order_id", "microservice3"): self.an_order,
            ("notification_id", "microservice4"): self.a_notification,
            **{("letter_id", name): lambda: next(self.numbers) for name in SERVICES},
        }

    def ask(self, caller, listener, service, method, path):
        """Make what the path names anew, and send a request that is as it should be."""
        body = self.body(service, method, path)
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", str(self.makers[name, service]()))
        return self.client(caller, service, listener).open(method, path, **body)

    def client(self, caller, service, listener="internal"):
        if caller in SERVICES:
            token = testing.service_token(self.keys, caller, service)
        elif caller == "anonymous":
            token = None
        else:
            user_id = {"owner": self.owner, "other": self.other, "admin": ADMINISTRATOR}[caller]
            role = "admin" if caller == "admin" else "customer"
            token = testing.user_token(self.keys, user_id, role)
        return testing.Client(self.network.apps[service], token, internal=listener == "internal")

    def openapi(self, service):
        return testing.document_of(self.network.apps[service])

    def body(self, service, method, path):
        """Return the arguments of a call: the examples of what the document requires."""
        document = self.openapi(service)
        operation = document["paths"][path][method.lower()]
        for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            if schema.get("format") == "binary":
                return {"data": PNG, "content_type": content_type}
            example = [] if "items" in schema else _example(schema, document)
            return {"data": wire.dumps(example), "content_type": content_type}
        return {}

    def a_user(self):
        name = f"user{next(self.numbers)}"
        body = {"username": name, "email": f"{name}@example.com"}
        user = self.made("microservice1", "/users", body)
        self.owner = user["id"]
        return user

    def a_product(self):
        body = {"sku": f"sku-{next(self.numbers)}", "name": "Lamp", "category": "Light"}
        return self.made("microservice2", "/products", {**body, "price": 1, "stock": 9})["id"]

    def an_order(self):
        body = {"items": [{"product_id": self.a_product(), "quantity": 1}]}
        return self.made("microservice3", "/orders", body, "owner")["id"]

    def a_notification(self):
        user = {"user_id": self.owner, "username": "ada", "email": "ada@example.com"}
        event = {"specversion": "1.0", "id": str(next(self.numbers)), "source": "/microservice1"}
        event |= {"type": "user.registered", "subject": "user/1", "time": "2026-01-31T09:30:00Z"}
        sender = self.client("microservice1", "microservice4")
        answer = sender.post("/internal/events", json={**event, "data": user})
        assert answer.status_code == 204, answer.text
        return self.client("admin", "microservice4").get("/notifications").json[0]["id"]

    def made(self, service, path, body, caller="admin"):
        answer = self.client(caller, service).post(path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json


def _example(schema, document):
    """Return the required fields of an object, or else its first one, as the examples say."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    fields = schema["properties"]
    return {
        name: [_example(fields[name]["items"], document)]
        if "items" in fields[name]
        else fields[name]["example"]
        for name in schema.get("required", list(fields)[:1])
    }


@pytest.fixture(scope="module")
def world(network, keys, databases):
    register_administrator(databases("microservice1"))
    return World(network, keys)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_its_line_and_every_line_an_operation(world, service):
    documented = {
        (service, method.upper(), path)
        for path, item in world.openapi(service)["paths"].items()
        for method in METHODS & item.keys()
    }

    assert documented == {row for row in rows() if row[0] == service}


@pytest.mark.parametrize("service", SERVICES)
def test_no_route_is_left_out_of_the_documents(world, service):
    routes = {rule.rule for rule in world.network.apps[service].url_map.iter_rules()}
    documented = set(world.openapi(service)["paths"])

    named = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route) for route in routes - UNDOCUMENTED}
    assert named == documented


@pytest.mark.parametrize(("row", "words"), rows().items(), ids=lambda part: " ".join(part))
def test_each_lets_in_whom_its_line_names_and_tells_the_others_why_not(world, row, words):
    answers = {
        (caller, listener): found(world.ask(caller, listener, *row), words)
        for caller in CALLERS
        for listener in ("public", "internal")
    }

    assert answers == {
        (caller, listener): expected(words, row[2], caller, listener)
        for caller, listener in answers
    }
