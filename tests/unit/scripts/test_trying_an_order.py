"""What the smoke test makes in a shop is taken back, also when the test fails on the way."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import shop
import try_order


class Api(BaseHTTPRequestHandler):
    """A shop of one user, one product and one order, whose statuses a test decides."""

    asked = []
    order = {"placed": "confirmed", "cancelled": "cancelled"}
    refused = ()

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.asked.append(f"{self.command} {self.path}")
        status = 503 if self.asked[-1].startswith(self.refused) and self.refused else 200
        body = json.dumps(self.body()).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def body(self):
        if "/tokens" in self.path:
            return {"access_token": "token"}
        if "/notifications" in self.path:
            return [{"event_type": "order.confirmed", "status": "suppressed"}]
        status = "cancelled" if any("PATCH" in one for one in self.asked) else "placed"
        return {"id": 7, "status": self.order[status], "total": 1, "currency": "EUR"}

    def log_message(self, *_):
        pass


@pytest.fixture
def api(monkeypatch):
    class Mine(Api):
        asked = []

    for module, limit in ((shop, "CONFIRMED"), (try_order, "NOTIFIED"), (try_order, "CANCELLED")):
        monkeypatch.setattr(module, f"{limit}_SECONDS", 0.3)
    monkeypatch.setattr(try_order.signal, "signal", lambda *_: None)  # pytest keeps its own
    monkeypatch.setattr("sys.stdin", io.StringIO("administrator\n"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Mine.url = f"http://127.0.0.1:{server.server_port}"
    yield Mine
    server.shutdown()
    server.server_close()


TAKEN_BACK = [
    "PATCH /api/service3/orders/7",
    "DELETE /api/service1/users/7",
    "DELETE /api/service2/products/7",
]


def taken_back(api):
    return [one for one in api.asked if one.startswith(("PATCH", "DELETE"))]


def test_order_product_and_customer_are_taken_back(api, tmp_path, capsys):
    try_order.main(api.url, tmp_path / "customer")

    assert taken_back(api) == TAKEN_BACK
    assert (tmp_path / "customer").read_text() == "7\n"
    assert "taken back    order, product and customer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ({"order": {"placed": "pending", "cancelled": "cancelled"}}, "is pending, not confirmed"),
        ({"refused": ("GET /api/service4",)}, "service4/notifications?order_id=7 was answered 503"),
    ],
)
def test_a_test_that_fails_takes_back_what_it_made(api, tmp_path, spoil, told):
    for name, value in spoil.items():
        setattr(api, name, value)

    with pytest.raises(SystemExit, match=told.replace("?", "[?]")):
        try_order.main(api.url, tmp_path / "customer")

    assert taken_back(api) == TAKEN_BACK


def test_a_test_that_fails_before_the_order_takes_back_the_customer(api, tmp_path):
    api.refused = ("POST /api/service2",)

    with pytest.raises(SystemExit, match="POST /api/service2/products was answered 503"):
        try_order.main(api.url, tmp_path / "customer")

    assert taken_back(api) == ["DELETE /api/service1/users/7"]


def test_what_cannot_be_taken_back_is_named_and_the_rest_is_taken_back(api, tmp_path, capsys):
    api.refused = ("DELETE /api/service1",)

    with pytest.raises(SystemExit) as ended:
        try_order.main(api.url, tmp_path / "customer")

    assert ended.value.code == 1
    assert taken_back(api) == TAKEN_BACK
    assert "could not take back customer smoke-test-" in capsys.readouterr().err
