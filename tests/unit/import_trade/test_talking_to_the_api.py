"""Calls are repeated until the answer is definite, and amounts cross the wire as they stand."""

import json
import socket
import threading
from decimal import Decimal

import pytest
import requests
from import_trade import transport
from import_trade.transport import Answer, Failed, Stopped, Transport, Unknown, interpret


def response(status, body, **headers):
    made = requests.Response()
    made.status_code = status
    made._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    made.headers.update(headers)
    return made


def problem(status, code, **headers):
    return response(status, {"code": code, "detail": "said so"}, **headers)


@pytest.mark.parametrize(
    "answer",
    [
        response(200, []),
        response(201, {"id": 1}),
        response(202, {"id": 1}),
        response(204, b""),
        problem(409, "sku_taken"),
        problem(422, "invalid"),
        problem(404, "not_found"),
        problem(401, "token_expired"),
    ],
)
def test_what_a_service_says_itself_is_definite(answer):
    assert isinstance(interpret(answer), Answer)


@pytest.mark.parametrize(
    "answer",
    [
        problem(500, "internal"),
        problem(502, "bad_gateway"),
        problem(503, "unavailable"),
        problem(504, "timeout"),
        problem(429, "too_many_requests"),
        problem(404, "no_route"),
        response(404, b"<html>not here</html>"),
        response(200, b"<html>welcome</html>"),
        response(302, b""),
    ],
)
def test_anything_else_leaves_the_outcome_unknown(answer):
    assert isinstance(interpret(answer), Unknown)


def test_the_wait_that_a_service_asks_for_is_heard():
    assert interpret(problem(503, "unavailable", **{"Retry-After": "2"})).wait == 2
    assert interpret(problem(503, "unavailable", **{"Retry-After": "soon"})).wait == 0


def test_an_amount_in_an_answer_is_never_a_float():
    total = interpret(response(200, b'{"total": 0.10}')).body["total"]

    assert isinstance(total, Decimal)
    assert str(total) == "0.10"


def test_a_refusal_is_told_in_the_words_of_the_service():
    answer = Answer(
        422, {"code": "invalid", "detail": "No.", "errors": {"json": {"price": ["Too low."]}}}
    )

    assert answer.describe() == '422 invalid: No. {"json":{"price":["Too low."]}}'


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(transport, "FIRST_PAUSE_SECONDS", 0)


@pytest.fixture
def answers(monkeypatch):
    """Answer the tries of any transport from a list; logging in always works. Returns the list of
    answers to fill, and what was sent as (method, path, token)."""
    queue, sent = [], []

    def try_once(_, method, path, token, params, data):
        if path == transport.TOKENS:
            return Answer(200, {"access_token": f"token-{len(sent)}", "expires_in": 600})
        sent.append((method, path, token))
        return queue.pop(0)

    monkeypatch.setattr(Transport, "_try_once", try_once)
    return queue, sent


@pytest.fixture
def http():
    return Transport("http://quartet.invalid", "admin", "secret")


def test_an_unknown_answer_is_asked_again_until_it_is_definite(http, answers):
    queue, sent = answers
    queue += [Unknown("no answer"), Unknown("503"), Answer(201, {"id": 1})]

    assert http.post("/things", {}).status == 201
    assert len(sent) == 3


def test_a_refused_token_is_renewed_and_the_call_repeated(http, answers):
    queue, sent = answers
    queue += [Answer(200, []), Answer(401, {"code": "token_expired"}), Answer(200, [])]

    http.get("/things")
    http.get("/things")

    assert [token for _, _, token in sent] == ["token-0", "token-0", "token-2"]


def test_a_token_near_its_end_is_renewed_before_it_is_refused(http, answers, monkeypatch):
    queue, sent = answers
    queue += [Answer(200, []), Answer(200, [])]
    clock = [1000.0]
    monkeypatch.setattr(transport.time, "monotonic", lambda: clock[0])

    http.get("/things")
    clock[0] += 541
    http.get("/things")

    assert [token for _, _, token in sent] == ["token-0", "token-1"]


def test_patience_ends(http, answers, monkeypatch):
    queue, _ = answers
    queue += [Unknown("503 unavailable")] * 3
    clock = iter(range(0, 1000, 25))
    monkeypatch.setattr(transport.time, "monotonic", lambda: next(clock))
    http._token = transport.Token("kept", renew_at=10_000)

    with pytest.raises(Failed, match="503 unavailable, 3 times"):
        http.get("/things")


def test_one_who_may_not_is_told_and_not_asked_again(http, answers):
    queue, sent = answers
    queue += [Answer(403, {"code": "forbidden", "detail": "No."})]

    with pytest.raises(Failed, match="403 forbidden"):
        http.get("/things")
    assert len(sent) == 1


def test_a_stop_ends_a_call_that_waits(http, answers):
    queue, _ = answers
    queue += [Unknown("503", wait=60)]
    threading.Timer(0.05, http.stop.set).start()

    with pytest.raises(Stopped):
        http.get("/things")


@pytest.fixture
def door():
    """A port on which something listens, and accepts nothing by itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def why(url):
    transport = Transport(url, "admin", "secret")
    return transport._try_once("GET", "/", None, None, None).why


def test_a_port_on_which_nothing_listens_is_told_in_the_words_of_the_system(door):
    port = door.getsockname()[1]
    door.close()

    assert why(f"http://127.0.0.1:{port}") == "no answer (Connection refused)"


def test_a_name_that_is_unknown_is_told(http):
    assert "name" in why("http://nowhere.invalid").lower()


def test_a_server_that_says_nothing_or_hangs_up_is_told(door, monkeypatch):
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.2)
    url = f"http://127.0.0.1:{door.getsockname()[1]}"

    assert why(url) == "no answer (connected, but silent for 0.2 s)"

    def hang_up():
        for _ in range(2):  # the first one is still there
            door.accept()[0].close()

    monkeypatch.setattr(transport, "ANSWER_SECONDS", 10)
    threading.Thread(target=hang_up, daemon=True).start()
    assert why(url) in ("no answer (Connection reset by peer)", "no answer (ConnectionError)")


def test_the_first_call_says_what_to_do_when_nobody_answers(door, monkeypatch):
    monkeypatch.setattr(transport, "PATIENCE_AT_FIRST_SECONDS", 0)
    url = f"http://127.0.0.1:{door.getsockname()[1]}"
    door.close()

    with pytest.raises(Failed, match="Connection refused.*scripts/status tells"):
        Transport(url, "admin", "secret").knock()


def test_the_password_is_not_shown(http):
    assert "secret" not in repr(http)
