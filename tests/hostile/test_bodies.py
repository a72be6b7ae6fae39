"""Bodies that no client of good will sends: a 4xx each, and never a word about our insides."""

import gzip
import json

import pytest

from tests.hostile.raw import assert_problem, request, say

pytestmark = pytest.mark.usefixtures("unharmed")

JSON = "Content-Type: application/json"
MEGABYTE = 1_000_000  # what an application takes; Nginx takes 1,048,576
BOMB = gzip.compress(b'{"a": "' + b"0" * 50_000_000 + b'"}', 1)
ROUTES = {
    "POST /api/service1/tokens": {"username": "nobody", "password": "nothing"},
    "POST /api/service1/users": {"username": "{}", "email": "a@example.com"},
    "PATCH /api/service1/users/7": {"full_name": "Ada"},
    "POST /api/service2/products": {
        **{"sku": "{}", "name": "Lamp", "category": "Light"},
        **{"price": 1, "stock": 1},
    },
    "POST /api/service2/products/1/stock": {"delta": 1, "reason": "{}"},
    "POST /api/service3/orders": {"items": [{"product_id": 1, "quantity": 1}]},
    "PATCH /api/service3/orders/1": {"status": "cancelled"},
}


def send(stack, route, body, *headers):
    return say(stack, request(*route.split(), *headers, body=body))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n\t",
        b"{",
        b"}",
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} {}',
        b'{"a": 1} // why',
        b"nil",
        b"\xef\xbb\xbf{}",
        '{"a": "é"}'.encode("latin-1"),
        b'{"a": "\xc0\xaf"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
        b'{"a": "\x01"}',
        b'{"a": "\\x41"}',
        b'{"a": "\\ud8"}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 01}',
        b'{"a": +1}',
        b'{"a": .5}',
        b'{"a": 0x10}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": ' + b"9" * 900_000 + b"}",
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "b": 2}}',
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        gzip.compress(b"{}"),
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        b"\x00" * 1_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_json_is_refused(stack, admin_header, route, body):
    length = [] if body else ["Content-Length: 0"]
    answer = say(stack, request(*route.split(), JSON, admin_header, *length, body=body))

    assert_problem(answer, 400)
    assert answer.json["code"] == "malformed_json"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("body", ["null", "7", '"text"', "true", "[]", "[{}]", "{}", "[[[]]]"])
def test_what_is_no_object_is_invalid(stack, admin_header, route, body):
    assert_problem(send(stack, route, body, JSON, admin_header), 422)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "value",
    [
        "null", "true", "{}", "[]", '""', '"\\u0000"', '"a\\u0000b"',
        '"\\ud800"', '"\\udfff\\ud800"',
        "-1", "1e400", "1e-400", "-0.0", "0.001", "1e9999", "9223372036854775808",
        "18446744073709551616", "1" * 4_300, "-" + "9" * 4_301, "0." + "3" * 10_000,
        '"' + "x" * 20_000 + '"', '{"$ne": 1}', '[["a"]]', '"٧"', '"\\u202e"',
        "[" + "1," * 100_000 + "1]", "[" + "{}," * 100_000 + "{}]",
        '[{"product_id": 1, "quantity": 9223372036854775808}]',
        "{" + ", ".join(f'"{number}": 1' for number in range(60_000)) + "}",
    ],
    ids=lambda value: value[:24],
)  # fmt: skip
def test_a_hostile_value_in_any_field_is_no_failure(stack, admin_header, route, value):
    for field in ROUTES[route]:
        body = json.dumps({**ROUTES[route], field: "VALUE"}).replace('"VALUE"', value)
        answer = send(stack, route, body, JSON, admin_header)

        if answer.status not in (200, 201, 202):
            assert_problem(answer, 400, 401, 404, 409, 422)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "key", ["__proto__", "", "\\u0000", "\\ud800", "é", "x" * 100_000, "$where", "id", "a.b[0]"]
)
def test_a_field_that_nobody_knows_is_invalid(stack, admin_header, route, key):
    body = json.dumps({**ROUTES[route], "KEY": 1}).replace("KEY", key)

    assert_problem(send(stack, route, body, JSON, admin_header), 422)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "", "json", "application/jsonx", "\xff", "application/json\xff"],
)  # fmt: skip
def test_another_content_type_is_refused(stack, admin_header, route, content_type):
    header = f"Content-Type: {content_type}".encode("latin-1")

    assert_problem(send(stack, route, json.dumps(ROUTES[route]), header, admin_header), 415)


@pytest.mark.parametrize("route", ROUTES)
def test_a_compressed_bomb_is_not_unpacked(stack, admin_header, route):
    for coding in ("gzip", "deflate", "br", "gzip, gzip", "identity"):
        answer = send(stack, route, BOMB, JSON, f"Content-Encoding: {coding}", admin_header)
        assert_problem(answer, 400, 415)


@pytest.mark.parametrize("route", ROUTES)
def test_a_megabyte_is_read_and_more_is_too_large(stack, admin_header, route):
    empty = len(b'{"no such field": ""}')

    for size, statuses in (
        (MEGABYTE, [422]),
        (MEGABYTE + 1, [413]),
        (2**20, [413]),
        (2**20 + 1, [413]),
        (20 * MEGABYTE, [413]),
    ):
        body = b'{"no such field": "%s"}' % (b"x" * (size - empty))
        assert_problem(send(stack, route, body, JSON, admin_header), *statuses)
    told = request(*route.split(), JSON, admin_header, "Content-Length: 99999999999999")
    assert_problem(say(stack, told), 413)
