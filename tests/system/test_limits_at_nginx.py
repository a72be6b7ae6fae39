"""How much one address may ask. The limits are for strangers: in these tests loopback is one."""

import concurrent.futures
import http.client
import re
import select
import socket
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.system.front_door import PROJECT, Answer, Echo, FrontDoor, assert_problem, wait_for

LOGIN = "/api/service1/tokens"
REFRESH = LOGIN + "/refresh"
READ = "/api/service1/users/7"


# What is let in beyond a burst comes more slowly than any machine can ask.
SLOWLY = {"rate=20r/s": "rate=1r/s", "rate=500r/s": "rate=20r/s"}
LOOPBACK_IS_LIMITED = {"127.0.0.0/8     0;": "127.0.0.0/8 1;"}
BURST = 1_000  # that Nginx lets in of one address at once


@pytest.fixture
def strange_door(tmp_path):
    """A front door, new for each test, to which loopback is an address like others."""
    door = FrontDoor(tmp_path, SLOWLY | LOOPBACK_IS_LIMITED)
    door.start()
    echoes = [Echo(door.sockets / f"microservice{number}.sock") for number in (1, 2)]
    yield door
    for echo in echoes:
        echo.close()
    door.stop()


def ask_often(door, times, method, path, **options):
    """Ask many at once. Returns the answers."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(door.ask, method, path, **options) for _ in range(times)]
        return [answer.result() for answer in asked]


def statuses(answers):
    return Counter(answer.status for answer in answers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", LOGIN),
        ("POST", REFRESH),
        ("DELETE", LOGIN),
        ("POST", "/api/service1/users"),
        ("POST", "/api/service1/user"),
        ("POST", "/api/service1/confirmations"),
        ("POST", "/api/service1/password-resets"),
        ("PUT", "/api/service1/password-resets"),
        ("POST", "/api/service1/users/7/confirmation"),
        ("POST", "/api/service1/%74okens"),
        ("POST", "/api/service1//tokens?x=1"),
    ],
)
def test_who_guesses_is_soon_told_to_wait(strange_door, method, path):
    answers = ask_often(strange_door, 100, method, path)

    found = statuses(answers)
    assert found.keys() == {200, 429}
    assert 41 <= found[200] <= 80  # a burst, and what time has let in
    refusal = next(answer for answer in answers if answer.status == 429)
    assert_problem(refusal, 429, "too_many_requests")
    assert refusal.headers["retry-after"] == "1"


def test_who_reads_may_ask_more_often_but_not_without_end(strange_door):
    assert statuses(ask_often(strange_door, 300, "GET", READ)) == {200: 300}
    assert statuses(ask_often(strange_door, 100, "GET", "/api/service1/users")) == {200: 100}

    many = ask_often(strange_door, 1_500, "GET", READ)
    assert statuses(many)[429] > 100


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/api/service1", "/api/service1/metrics", "/api/service1/internal/redemptions/1"],
)
def test_who_asks_for_what_is_not_there_has_no_other_limit(strange_door, path):
    found = statuses(ask_often(strange_door, 1_500, "GET", path))

    assert found.keys() == {404, 429}


@pytest.mark.parametrize(
    ("address", "share_a_limit"),
    [
        ("2001:db8:1:2::{:x}", True),
        ("2001:db8:1:2:3:4:5:{:x}", True),
        ("2001:db8::3:4:5:{:x}", True),
        ("2001:db8:1:{:x}::7", False),
        ("2001:db8:{:x}::7", False),
        ("192.0.2.{}", False),
    ],
)
def test_a_network_of_ipv6_asks_as_one_address(tmp_path, address, share_a_limit):
    taken_from_a_header = "set_real_ip_from 127.0.0.1; real_ip_header X-Client;"
    door = FrontDoor(
        tmp_path, {"limit_req_status  429;": f"limit_req_status 429; {taken_from_a_header}"}
    )
    door.start()
    echo = Echo(door.sockets / "microservice1.sock")
    try:
        answers = [
            door.ask("POST", REFRESH, headers={"X-Client": address.format(number)})
            for number in range(1, 101)
        ]
    finally:
        echo.close()
        door.stop()

    assert (429 in statuses(answers)) == share_a_limit


def test_the_figures_are_those_of_the_api():
    limits = (PROJECT / "nginx" / "conf.d" / "limits.conf").read_text()

    assert re.findall(r"zone=(\w+):10m +rate=(\w+)r/s;", limits) == [
        ("requests", "500"),
        ("guesses", "20"),
    ]


def test_who_guesses_is_not_kept_from_the_rest(strange_door):
    ask_often(strange_door, 100, "POST", REFRESH)

    assert strange_door.ask("GET", READ).status == 200


def test_the_services_are_not_limited_among_themselves(strange_door):
    answers = ask_often(strange_door, 200, "POST", REFRESH, port=strange_door.internal_port)
    assert statuses(answers) == {200: 200}


def test_the_host_itself_is_not_limited(door, echo):
    assert statuses(ask_often(door, 200, "POST", REFRESH)) == {200: 200}


def send_at_once(door, times, begun):
    """Begin the same request so often and end none. Returns the answers of those not let in."""
    connections = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(times)]
    try:
        for connection in connections:
            connection.sendall(begun)
        ready, _, _ = select.select(connections, [], [], 20)
        return [answer_from(connection) for connection in ready]
    finally:
        for connection in connections:
            connection.close()


def answer_from(connection):
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response)


def test_one_address_sends_four_images_at_once(strange_door):
    path = "/api/service2/products/7/image"
    begun = f"PUT {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: 100000\r\n\r\nx".encode()

    [refusal] = send_at_once(strange_door, 5, begun)

    assert_problem(refusal, 429, "too_many_requests")
    assert strange_door.ask("GET", path).status == 200


def test_one_address_has_200_requests_at_once(strange_door):
    begun = f"POST {READ} HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\n".encode()

    [refusal] = send_at_once(strange_door, 201, begun)

    assert_problem(refusal, 429, "too_many_requests")


LONG = "a" * 255
FLOODS = {
    "429": f"GET /{LONG} HTTP/1.1\r\nHost: shop\r\n\r\n",
    "404 of an internal page": f"GET /problems/{LONG} HTTP/1.1\r\nHost: shop\r\n\r\n",
    "404 without a slash": "GET /api/service1 HTTP/1.1\r\nHost: shop\r\n\r\n",
    "400": f"GET /{LONG} HTTP/1.1\r\nBad Header: x\r\n\r\n",
    "405": f"TRACE /{LONG} HTTP/1.1\r\nHost: shop\r\n\r\n",
    "414": f"GET /{LONG * 40} HTTP/1.1\r\nHost: shop\r\n\r\n",
    "431": f"GET /{LONG} HTTP/1.1\r\nHost: shop\r\nX: {LONG * 40}\r\n\r\n",
    "501": f"GET /{LONG} HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: x\r\n\r\n",
}
LIMITED = ("429", "404 without a slash")  # the others are refused before Nginx looks at the limits


@pytest.mark.parametrize("kind", FLOODS)
def test_refused_requests_of_a_flood_are_hardly_logged(strange_door, kind):
    answers = flood(strange_door, FLOODS[kind].encode(), seconds=1)

    let_in = BURST + 20 * 10 if kind in LIMITED else 0  # in at most ten seconds
    lines = strange_door.log.read_text().count("\n")
    assert answers > max(50, 2 * let_in)
    assert lines <= let_in + 3 + answers / 1_000


def test_a_share_of_the_refused_requests_is_logged(tmp_path):
    door = FrontDoor(tmp_path, SLOWLY | LOOPBACK_IS_LIMITED | {"0.01%": "50%"})
    door.start()
    try:
        answers = flood(door, FLOODS["400"].encode(), seconds=0.5)
    finally:
        door.stop()

    assert 0.3 * answers < door.log.read_text().count('"status":400') < 0.7 * answers


def test_every_request_of_the_host_itself_is_logged(door):
    answers = flood(door, FLOODS["400"].encode(), seconds=0.2)

    wait_for(lambda: door.log.read_text().count('"status":400') >= answers)


def flood(door, request, seconds):
    """Send a request as often as one client can. Returns how many answers have come."""
    end = time.monotonic() + seconds
    answers = 0
    while time.monotonic() < end:
        with (
            suppress(OSError),  # Nginx closes a connection that has sent enough
            socket.create_connection(("127.0.0.1", door.port), timeout=5) as connection,
        ):
            connection.sendall(request * (100_000 // len(request)))
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1_000_000):
                answers += piece.count(b"HTTP/1.1 ")
    return answers


def test_logins_of_one_address_are_paced_and_wait_at_nginx(tmp_path):
    door = FrontDoor(tmp_path, {"burst=150;": "burst=30;"})
    door.start()
    echo = Echo(door.sockets / "microservice1.sock")
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(80) as pool:
        asked = [pool.submit(door.ask, "POST", LOGIN) for _ in range(80)]
        wait_for(lambda: echo.requests)
        assert door.ask("GET", READ).status == 200
        assert not all(login.done() for login in asked)
        answers = [login.result() for login in asked]
    seconds = time.monotonic() - began
    echo.close()
    door.stop()

    found = statuses(answers)
    assert found.keys() == {200, 429}
    assert 1 + 30 <= found[200] <= 1 + 30 + 20 * seconds
    refused = next(answer for answer in answers if answer.status == 429)
    assert_problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
