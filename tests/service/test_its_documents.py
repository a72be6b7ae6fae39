"""What the OpenAPI documents tell of each service, compared with its code."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from chassis import errors, openapi, testing
from chassis.errors import Problem

ROOT = Path(__file__).parents[2]
ROLES = ("customer", "administrator")
BY_STATUS = re.compile(r"[45]\d\d")

# Errors that no request is answered with: they are raised while the worker sends e-mails.
OF_THE_WORKER = {"MailServerUnavailable"}


@pytest.fixture
def document(app):
    return testing.document_of(app)


def operations(document):
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_operation_says_what_it_does_who_may_call_it_and_how_it_fails(document):
    for method, path, operation in operations(document):
        what, who, named = operation["description"].rsplit("\n\n", 2)

        assert len(what) > 40, (method, path)
        assert what.count("\n") == 0, (method, path)  # a browser would break the line there
        assert re.fullmatch(r"\*\*Who may call it:\*\* .+\.", who), (method, path)
        own = set(re.findall(r"`(\w+)`", named))
        statuses = [status for status in operation["responses"] if BY_STATUS.fullmatch(status)]
        shown = set().union(*(examples_of(operation["responses"][status]) for status in statuses))
        assert own == shown, (method, path)


def examples_of(response):
    return response["content"][openapi.PROBLEM]["examples"]


def test_every_error_shows_its_own_body_and_says_what_a_client_does(document):
    default = {"default": document["components"]["responses"]["DEFAULT_ERROR"]}
    for method, path, operation in operations(document):
        for status, response in (operation["responses"] | default).items():
            if not (BY_STATUS.fullmatch(status) or status == "default"):
                continue
            for code, example in examples_of(response).items():
                body = example["value"]
                assert body["code"] == code
                assert body["type"] == f"/problems/{code}"
                assert status in (str(body["status"]), "default"), (method, path, code)
                assert body["title"] == example["summary"]
                assert f"`{code}`: {body['title']}." in response["description"]


def test_every_error_of_the_service_is_named_by_an_operation(name, document):
    module = importlib.import_module(f"{name}.errors")
    own = {
        kind.code: kind.__name__
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Problem)
        and kind.__module__ == module.__name__
    }
    own = {code for code, kind in own.items() if kind not in OF_THE_WORKER}

    assert own <= set().union(*openapi.codes_of(document).values())


def test_an_error_that_no_document_names_fails_a_test(app, anonymous):
    view = app.view_functions["health.ready"]

    def undocumented():
        raise errors.Conflict

    app.view_functions["health.ready"] = undocumented
    with pytest.raises(AssertionError, match="conflict"):
        anonymous.get("/health/ready")
    app.view_functions["health.ready"] = view


def test_the_caller_that_the_document_names_is_the_one_whom_the_route_lets_in(
    document, anonymous, customer
):
    for method, path, operation in operations(document):
        who = re.search(r"\*\*Who may call it:\*\* (.*)\.", operation["description"])[1]
        address = re.sub(r"{[^}]+}", "999999", path)
        if path.startswith("/internal/"):  # which a stranger takes for no route
            continue
        let_in = {
            caller: client.open(method, address).status_code not in (401, 403)
            for caller, client in (("everybody", anonymous), ("customers", customer))
        }
        assert let_in == {
            "everybody": "everybody" in who,
            "customers": "everybody" in who or "customers" in who,
        }, (method, path)


def test_a_form_is_filled_in_with_nothing_but_numbers_and_names_in_the_path(document):
    for method, path, operation in operations(document):
        for parameter in operation["parameters"]:
            filled_in = "example" in parameter or "example" in parameter["schema"]
            assert "examples" not in parameter
            assert filled_in == (parameter.get("required", False)), (method, path, parameter)
            assert parameter["description"], (method, path, parameter)


def test_a_sample_is_accepted_from_whom_it_is_for(document, customer, admin):
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if not content or path.startswith("/internal/"):
            continue
        samples = content.get("examples", {})
        if not samples:  # a code or a token, which nobody can know
            assert {"code", "refresh_token", "email"} & fields_of(content, document).keys()
        for name, sample in samples.items():
            for caller in callers_of(name, operation["description"], customer, admin):
                address = path
                for parameter in operation["parameters"]:
                    if parameter["in"] == "path":
                        address = address.replace(
                            f"{{{parameter['name']}}}", str(parameter["example"])
                        )
                answer = caller.open(method, address, json=sample["value"])
                code = answer.json["code"] if answer.status_code >= 400 else None
                assert answer.status_code not in (400, 403, 412, 422), (method, path, name, code)


def fields_of(content, document):
    name = content["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]["properties"]


def callers_of(name, description, customer, admin):
    """Yield who may send a sample: an administrator each, a customer all that are not theirs."""
    yield admin
    if name != "administrator" and ("customers" in description or "everybody" in description):
        yield customer


def test_internal_operations_are_in_a_document_of_their_own(app, anonymous):
    inside = testing.Client(app, internal=True)

    public = anonymous.get("/openapi.json").json["paths"]
    internal = inside.get("/internal/openapi.json").json["paths"]

    assert public
    assert not any(path.startswith("/internal") for path in public)
    assert all(path.startswith("/internal/") for path in internal)
    for path in ("/internal/openapi.json", "/internal/docs", "/internal/docs/start.js"):
        assert inside.get(path).status_code == 200
        assert anonymous.get(path).json["code"] == "no_route"


def test_every_tag_says_what_it_is_about(app):
    for client in (testing.Client(app), testing.Client(app, internal=True)):
        for path in ("/openapi.json", "/internal/openapi.json"):
            for tag in client.get(path).json.get("tags", []):
                assert tag["description"], tag
                assert "_" not in tag["name"]


def test_the_guide_lists_every_code_and_explains_what_is_common(app, anonymous):
    document = anonymous.get("/openapi.json").json
    guide = document["info"]["description"]

    listed = set(re.findall(r"^\| \d+ \| `(\w+)` \|", guide, re.MULTILINE))
    assert set().union(*openapi.codes_of(document).values()) <= listed
    web_server = (ROOT / "nginx/snippets/errors.conf").read_text()
    assert set(re.findall(r'"code":"(\w+)"', web_server)) <= listed
    for word in (
        "Authorization: Bearer",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "Retry-After",
        "after",
    ):
        assert f"`{word}" in guide
    assert "{" not in re.sub(r"`[^`]*`|```.*?```", "", guide, flags=re.DOTALL)
    security = document["components"]["securitySchemes"]["bearer"]["description"]
    assert "POST /tokens" in security
    assert "scripts/token" in security


def test_the_limits_in_the_guide_are_those_of_the_web_server(anonymous):
    guide = anonymous.get("/openapi.json").json["info"]["description"]
    limits = (ROOT / "nginx/conf.d/limits.conf").read_text()

    rates = dict(re.findall(r"zone=(\w+):10m +rate=(\d+)r/s", limits))
    assert f"One address: {rates['requests']} requests a second" in guide
    assert f"together: {rates['guesses']} a second" in guide
