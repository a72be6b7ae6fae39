"""scripts/trace: the way of one request."""

import re

import pytest

from tests.system.front_door import wait_for


def place_order(stack, token, **headers):
    """Order one of the product that scripts/up sells. Returns the answer."""
    [product] = stack.call("GET", "/api/service2/products?sku=WELCOME-LAMP").json()
    line = {"product_id": product["id"], "quantity": 1}
    return stack.call(
        "POST", "/api/service3/orders", token=token, json={"items": [line]}, headers=headers
    )


def traced(stack, request_id):
    """Return what scripts/trace tells, with single spaces."""
    return re.sub(" +", " ", stack.script("trace", request_id, check=False).stdout)


def test_trace_follows_a_request_through_everything_in_order(stack, admin_token):
    placed = place_order(stack, admin_token)
    request_id = placed.headers["X-Request-ID"]
    told = "microservice3 worker delivered lane=microservice4"
    wait_for(lambda: told in traced(stack, request_id))

    heading, _, columns, *rows = stack.script("trace", request_id).stdout.splitlines()
    assert heading.startswith(f"Request {request_id}, 20")
    assert stack.script("trace", f" {request_id}\r").stdout.splitlines()[0] == heading
    assert columns.split() == ["AFTER", "TOOK", "WHERE", "WHAT"]
    after = [int(row.split()[0]) for row in rows]
    assert after == sorted(after)
    assert after[0] == 0
    steps = [" ".join(re.split(" {2,}| ms", row)[-2:]) for row in rows]
    in_order = [
        "nginx POST /api/service3/orders: 201",
        "microservice3 POST /orders: 201, for user:1",
        "nginx, internal PUT /api/service2/internal/reservations",
        "microservice2 PUT /internal/reservations/<int:order_id>: 200, for service:microservice3",
        "microservice4 POST /internal/events: 204, for service:microservice3",
    ]
    places = [next(i for i, step in enumerate(steps) if step.startswith(it)) for it in in_order]
    assert places == sorted(places)


def test_trace_finds_events_that_went_out_with_others(stack, admin_token):
    """In the round that follows the first event: all that came within its second."""
    placed = [place_order(stack, admin_token) for _ in range(4)]
    last = placed[-1].headers["X-Request-ID"]
    wait_for(lambda: " batch=" in traced(stack, last))

    assert "microservice4 POST /internal/events: 204" in traced(stack, last)


def test_trace_says_what_went_wrong_where(stack):
    answer = stack.call("GET", "/api/service2/products/987654321")

    told = traced(stack, answer.json()["request_id"])
    assert "microservice2 GET /products/<int:product_id>: 404" in told


def test_trace_reads_logs_with_bytes_that_are_no_text(stack):
    """A file that was written while the power failed may end in zeros."""
    with (stack.var / "log" / "access.log").open("ab") as log:
        log.write(b"\0\0\xff\n")
    answer = stack.call("GET", "/api/service2/products/987654321")

    assert "nginx GET /api/service2/products/987654321: 404" in traced(
        stack, answer.json()["request_id"]
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [(["no-such-request"], 1), ([".*"], 2), ([], 2), (["a", "b"], 2), (["a b"], 2), ([" "], 2)],
    ids=str,
)
def test_trace_of_nothing(stack, words, status):
    assert stack.script("trace", *words, check=False).returncode == status
