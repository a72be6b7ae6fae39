"""What the chassis gives to all four services, each tried on each."""

import importlib
import json
import logging
import re

import pytest

from chassis import outbox, testing
from chassis.database import transaction
from chassis.version import VERSION

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def internal(app):
    return testing.Client(app, internal=True)


@pytest.fixture
def openapi(app):
    return testing.document_of(app)


def operations(openapi):
    return [
        (method.upper(), path, operation)
        for path, item in openapi["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_it_is_alive_and_ready(anonymous):
    assert anonymous.get("/health/live").json == {"status": "live"}
    assert anonymous.get("/health/ready").json == {"status": "ready"}


def test_without_its_database_it_is_alive_but_not_ready(name, keys):
    dead = testing.make_service(name, "postgresql:///gone?host=/nowhere", keys)
    app = importlib.import_module(f"{name}.app").create_app(dead)
    client = testing.Client(app)

    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["code"]) == (503, "unavailable")
    assert ready.json["failing"] == ["database"]
    assert ready.headers["Retry-After"] == "1"
    assert client.get("/status").json == {"ready": False}


def test_status_is_told_in_full_to_administrators_only(anonymous, customer, admin, name):
    for stranger in (anonymous, customer):
        assert stranger.get("/status").json == {"ready": True}
    assert admin.get("/status").json["service"] == name
    assert admin.get("/status").json["version"] == VERSION
    assert admin.get("/status").json["outbox"] == {"waiting": 0, "dead": 0, "oldest_seconds": 0}


def test_openapi_names_the_version(anonymous):
    assert anonymous.get("/openapi.json").json["info"]["version"] == VERSION


def test_status_counts_up_to_a_number_and_says_so(admin, rows, monkeypatch):
    monkeypatch.setattr(outbox, "MOST_COUNTED", 2)

    def counted(waiting, dead):
        rows("DELETE FROM outbox")
        rows(
            """
            INSERT INTO outbox (lane, subject, message, request_id, state, created_at)
            SELECT 'lane', number::text, '1', 'test',
                   CASE WHEN number > %(dead)s THEN 'waiting' ELSE 'dead' END,
                   now() - interval '60 s'
              FROM generate_series(1, %(all)s) AS number
            """,
            dead=dead,
            all=waiting + dead,
        )
        found = admin.get("/status").json["outbox"]
        assert 60 <= found.pop("oldest_seconds") < 90
        return found

    assert counted(waiting=2, dead=2) == {"waiting": 2, "dead": 2}
    assert counted(waiting=3, dead=1) == {"waiting": 2, "waiting_is_exact": False, "dead": 1}
    assert counted(waiting=1, dead=3) == {"waiting": 1, "dead": 2, "dead_is_exact": False}


def test_an_unknown_path_has_no_route_and_an_unknown_method_an_allow_header(anonymous):
    missing = anonymous.get("/nothing/here")
    wrong = anonymous.open("DELETE", "/health/live")
    invented = anonymous.open("BREW", "/health/live")

    assert (missing.status_code, missing.json["code"]) == (404, "no_route")
    for answer in (wrong, invented):
        assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_metrics_and_internal_routes_are_hidden_from_the_public_listener(anonymous, internal, app):
    paths = [rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/internal")]
    for path in ["/metrics", *paths]:
        path = re.sub(r"<[^>]+>", "1", path)
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = anonymous.open(method, path)
            assert answer.status_code in (404, 405), path
            assert answer.json["code"] in ("no_route", "method_not_allowed")
    assert internal.get("/metrics").status_code == 200


def test_metrics_have_a_bounded_number_of_labels(anonymous, internal):
    for number in range(40):
        anonymous.get(f"/products/{number}")
        anonymous.get(f"/nothing/{number}")
        anonymous.open(f"METHOD{number}", "/health/live")

    metrics = internal.get("/metrics").text

    routes = set(re.findall(r'route="([^"]*)"', metrics))
    assert "none" in routes
    assert not any(re.search(r"\d", route) for route in routes)
    assert "METHOD1" not in metrics
    assert 'method="UNKNOWN"' in metrics


def test_a_request_id_is_kept_if_it_is_well_formed(anonymous):
    def id_for(header):
        return anonymous.get("/nothing", headers={"X-Request-ID": header}).json["request_id"]

    assert id_for("abc.DEF-1_2") == "abc.DEF-1_2"
    for malformed in ("a b", "a" * 129, "ä", "a\x00b", ""):
        assert re.fullmatch(r"[0-9a-f]{32}", id_for(malformed))


def test_a_log_line_tells_the_route_and_who_but_nothing_personal(customer, caplog, app):
    with caplog.at_level(logging.INFO, logger="access"):
        customer.get("/orders?reference=secret@example.com")
        customer.get("/status")

    lines = [record.__dict__ for record in caplog.records if record.name == "access"]
    assert lines[-1]["route"] == "/status"
    assert lines[-1]["status"] == 200
    assert lines[-1]["actor"] == "user:7"
    assert lines[-1]["duration_ms"] >= 0
    assert "secret@example.com" not in str(lines)


def test_the_documents_come_from_local_files(anonymous):
    page = anonymous.get("/docs")

    assert page.status_code == 200
    addresses = re.findall(r'<(?:link|script) [^>]*(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert not address.startswith(("http", "//"))
        assert anonymous.get(f"/{address}").status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


def test_openapi_describes_and_exemplifies_every_field(openapi):
    missing = []
    for schema_name, schema in openapi["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            if "$ref" in described or schema_name in ("PaginationMetadata",):
                continue
            nested = "$ref" in str(described)
            if "description" not in described or not (nested or "example" in described):
                missing.append(f"{schema_name}.{field}")
    for method, path, operation in operations(openapi):
        assert operation.get("summary"), (method, path)
        for parameter in operation.get("parameters", []):
            if parameter.get("in") == "query" and "description" not in parameter:
                missing.append(f"{method} {path} ?{parameter['name']}")
    assert missing == []


def test_openapi_says_which_routes_need_a_token(openapi, anonymous):
    for method, path, operation in operations(openapi):
        if path.startswith("/internal"):
            assert operation["security"] == [{"bearer": []}]
            continue
        answer = anonymous.open(method, re.sub(r"{[^}]+}", "1", path))
        needs_token = operation.get("security", [{}])[0] != {}
        assert (answer.status_code == 401) == needs_token, (method, path)


def test_openapi_shows_the_address_that_nginx_serves(openapi, service):
    assert openapi["servers"] == [{"url": service.settings.prefix}]


def test_openapi_has_one_shape_of_errors(openapi):
    for method, path, operation in operations(openapi):
        default = operation["responses"]["default"]
        assert default == {"$ref": "#/components/responses/DEFAULT_ERROR"}, (method, path)
    error = openapi["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert list(error) == ["application/problem+json"]


def test_openapi_tells_of_conditional_requests_and_of_the_headers_of_lists(openapi):
    shown = {"get": set(), "edited": set(), "listed": set()}
    for method, path, operation in operations(openapi):
        headers = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "header"}
        queried = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "query"}
        answers = operation["responses"]
        if "If-None-Match" in headers and method == "GET":
            assert "ETag" in answers["200"]["headers"]
            assert answers["304"] == {"$ref": "#/components/responses/NOT_MODIFIED"}
            shown["get"].add(path)
        if "If-Match" in headers and method != "GET":
            assert method in ("PUT", "PATCH", "DELETE")
            assert "If-None-Match" in headers
            assert "412" in answers
            assert method == "DELETE" or "ETag" in answers["200"]["headers"]
            shown["edited"].add(path)
        if "limit" in queried:
            assert {"page", "after"} <= queried
            assert set(answers["200"]["headers"]) == {"X-Pagination", "Link"}
            shown["listed"].add(path)
    assert shown["get"]
    assert shown["listed"]
    assert shown["get"] >= {path for path in shown["edited"] if path.endswith("_id}")}


def test_a_mistake_of_ours_says_nothing_about_itself(service, app):
    @app.get("/mistake")
    def mistake():
        raise KeyError("secret")

    answer = testing.Client(app).get("/mistake")

    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


def test_a_route_that_says_nothing_of_who_may_call_it_stops_the_start(service):
    from chassis.api import Blueprint
    from chassis.app import create_service

    careless = Blueprint("careless", __name__)

    @careless.route("/secrets", methods=["GET"])
    def show_secrets():
        return {}

    with pytest.raises(RuntimeError, match="show_secrets"):
        create_service(
            service.name, title="", description="", blueprints=[careless], service=service
        )


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Token abc", "Bearer é"],
)
def test_a_header_that_proves_nothing_is_unauthenticated(app, header):
    answer = testing.Client(app).get("/status", headers={"Authorization": header})

    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_proves_nothing_is_in_nobodys_way_where_none_is_needed(anonymous):
    answer = anonymous.get("/health/ready", headers={"Authorization": "Bearer a.b.c"})

    assert answer.status_code == 200


@pytest.fixture
def a_dead_letter(service, rows):
    """Returns a function: an event that its receiver refused for good. It returns its number."""

    def bury(subject="order/7"):
        with service.active(), transaction() as tx:
            outbox.publish(tx, "order.shipped", subject=subject, data={"total": 1}, to=["lane"])
            [message] = outbox.lease_messages(tx, "lane", 1)
            outbox.refused(tx, message, reason="lane answered invalid: no")
        return message.id

    return bury


def test_dead_letters_are_for_administrators(anonymous, customer, as_service, a_dead_letter):
    number = a_dead_letter()

    for method, path in (
        ("GET", "/dead-letters"),
        ("GET", f"/dead-letters/{number}"),
        ("POST", f"/dead-letters/{number}/replay"),
        ("DELETE", f"/dead-letters/{number}"),
    ):
        assert anonymous.open(method, path).status_code == 401
        assert customer.open(method, path).status_code == 403
        assert as_service("microservice3").open(method, path).status_code == 403


def test_dead_letters_are_listed_a_page_at_a_time_the_oldest_first(admin, a_dead_letter):
    numbers = [a_dead_letter(f"order/{number}") for number in (1, 2, 3)]

    first = admin.get("/dead-letters?limit=2")
    second = admin.get("/dead-letters?limit=2&page=2")

    assert [letter["id"] for letter in first.json + second.json] == numbers
    assert json.loads(first.headers["X-Pagination"])["total"] == 3
    assert 'rel="next"' in first.headers["Link"]
    assert admin.get("/status").json["outbox"]["dead"] == 3


def test_a_dead_letter_tells_what_was_refused_by_whom_and_why(admin, a_dead_letter):
    number = a_dead_letter()

    letter = admin.get(f"/dead-letters/{number}").json

    message = letter.pop("message")
    assert admin.get("/dead-letters").json == [letter]
    assert {key: letter[key] for key in ("lane", "subject", "reason", "attempts")} == {
        "lane": "lane",
        "subject": "order/7",
        "reason": "lane answered invalid: no",
        "attempts": 1,
    }
    assert (letter["event_id"], letter["event_type"]) == (message["id"], "order.shipped")
    assert message["data"] == {"total": 1}


def test_a_replayed_letter_waits_again_as_if_it_were_new(admin, a_dead_letter, rows):
    number = a_dead_letter()

    answer = admin.post(f"/dead-letters/{number}/replay")

    assert (answer.status_code, answer.json["id"]) == (202, number)
    assert rows("SELECT id, state, attempts, due_at <= now() FROM outbox") == [
        (number, "waiting", 0, True)
    ]
    assert admin.get("/dead-letters").json == []


def test_a_discarded_letter_is_gone(admin, a_dead_letter, rows):
    number = a_dead_letter()

    assert admin.delete(f"/dead-letters/{number}").status_code == 204
    assert admin.delete(f"/dead-letters/{number}").status_code == 404
    assert rows("SELECT id FROM outbox") == []


def test_what_is_not_dead_is_no_dead_letter(admin, service, a_dead_letter, rows):
    number = a_dead_letter()
    rows("UPDATE outbox SET state = 'waiting'")

    for address in (f"/dead-letters/{number}", "/dead-letters/999"):
        assert admin.get(address).json["code"] == "not_found"
        assert admin.post(f"{address}/replay").json["code"] == "not_found"
        assert admin.delete(address).json["code"] == "not_found"
    assert rows("SELECT state FROM outbox") == [("waiting",)]
