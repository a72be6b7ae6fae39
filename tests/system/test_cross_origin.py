"""Pages of other origins, in a real browser: those that CORS_ORIGINS names may call the API."""

import http.server
import subprocess
import threading

import pytest

from tests.system.front_door import PROJECT, FrontDoor, UwsgiService, wait_for

EXPOSED = {
    *("ETag", "Link", "Location", "X-Pagination", "X-Request-ID"),
    *("Idempotency-Replayed", "Retry-After"),
}
ANSWER = {name: f"the {name}" for name in EXPOSED - {"X-Request-ID"}}
APPLICATION = f"""
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), *{list(ANSWER.items())!r}])
    sent = ("REQUEST_METHOD", "HTTP_AUTHORIZATION", "HTTP_IF_MATCH", "HTTP_IDEMPOTENCY_KEY")
    return [" ".join(environ.get(name, "-") for name in sent).encode()]
"""
CALL = """
async ([url, options]) => {
    try {
        const answer = await fetch(url, options)
        return {status: answer.status, text: await answer.text(), headers: [...answer.headers]}
    } catch (error) {
        return {error: error.name}
    }
}
"""
HEADERS = {
    "Authorization": "Bearer x",
    "Content-Type": "application/json",
    "If-Match": '"3"',
    "Idempotency-Key": "k-1",
}


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>A shop</title>")

    def log_message(self, *_arguments):
        pass


@pytest.fixture(scope="module")
def origins():
    """Two sites, (allowed, foreign): what stands before the first slash of their addresses."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def configured(origins):
    """Return conf.d/cors.conf as scripts write it, a CompletedProcess."""
    return subprocess.run(
        ["bash", "-c", f'source scripts/lib/common.sh; source scripts/lib/settings.sh; '
         f'with_origins "{origins}" <nginx/conf.d/cors.conf'],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def open_door(tmp_path_factory, origins):
    """The front door with CORS_ORIGINS, before a service that answers with every header."""
    folder = tmp_path_factory.mktemp("open")
    before = (PROJECT / "nginx/conf.d/cors.conf").read_text()
    after = configured(f"https://shop.example, {origins[0]}").stdout
    door = FrontDoor(folder / "door", {before: after})
    door.folder.mkdir()
    door.start()
    (folder / "service").mkdir()
    service = UwsgiService(folder / "service", door.sockets, APPLICATION)
    service.start()
    wait_for(lambda: service.has_loaded(times=3), seconds=30)
    yield door
    service.stop()
    door.stop()


@pytest.fixture
def page_of(browser, open_door):
    """Returns a function that opens a page of an origin; that returns one by which it calls."""
    contexts = []

    def opened(origin):
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(origin)
        return lambda path, **options: page.evaluate(
            CALL, [f"http://127.0.0.1:{open_door.port}{path}", options]
        )

    yield opened
    for context in contexts:
        context.close()


def test_a_page_of_a_named_origin_may_send_and_read_everything(page_of, origins):
    call = page_of(origins[0])
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = call("/api/service1/users", method=method, headers=HEADERS)

        assert answer["text"] == f'{method} Bearer x "3" k-1'
        headers = dict(answer["headers"])
        assert headers.keys() >= {name.lower() for name in EXPOSED}
        assert {name: headers[name.lower()] for name in ANSWER} == ANSWER

    large = call("/api/service1/users", method="POST", body="x" * 1_100_000)
    missing = call("/nothing")  # errors of the front door itself
    assert (large["status"], missing["status"]) == (413, 404)
    assert '"code":"too_large"' in large["text"]
    assert dict(missing["headers"])["x-request-id"]


def test_a_page_of_another_origin_may_read_nothing(page_of, origins):
    call = page_of(origins[1])
    for options in ({}, {"method": "DELETE"}, {"headers": HEADERS}):
        assert call("/api/service1/users", **options) == {"error": "TypeError"}


# ---- what the browser does not show


def preflight(door, origin, path="/api/service1/users", method="PUT"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return door.ask("OPTIONS", path, headers=headers)


def cross_origin(answer):
    return {name for name in answer.headers if name.startswith("access-control-")}


def test_a_preflight_is_answered_without_the_service(open_door, origins):
    answer = preflight(open_door, origins[0], "/api/service4/notifications")  # which is not there

    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["access-control-allow-origin"] == origins[0]
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert answer.all("vary") == ["Origin"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example.evil", "https://shop.exampl", "http://shop.example", "null", ""],
)
def test_nothing_is_allowed_to_an_origin_that_only_looks_like_one(open_door, origin):
    for answer in (
        preflight(open_door, origin),
        open_door.ask("GET", "/api/service1/users", headers={"Origin": origin}),
    ):
        assert answer.status == 200  # the service's own answer
        assert cross_origin(answer) == set()
        assert answer.all("vary") == ["Origin"]


def test_options_without_a_question_is_the_services_affair(open_door, origins):
    answer = open_door.ask("OPTIONS", "/api/service1/users", headers={"Origin": origins[0]})

    assert answer.body.startswith(b"OPTIONS ")
    assert answer.headers["access-control-allow-origin"] == origins[0]


def test_nobody_is_allowed_anything_by_default(door, echo, origins):
    read = door.ask("GET", "/api/service1/users", headers={"Origin": origins[0]})

    for answer in (read, preflight(door, origins[0])):
        assert answer.status == 200
        assert cross_origin(answer) == set()
        assert "vary" not in answer.headers


@pytest.mark.parametrize(
    "origins",
    ["*", "https://shop.example/", "shop.example", "https://a b", "https://a,,https://b", "a://b",
     "https://a; }", "https://user@shop.example"],
)  # fmt: skip
def test_a_setting_that_names_no_origin_is_refused(origins):
    refused = configured(origins)

    assert refused.returncode == 1
    assert "CORS_ORIGINS must be like https://shop.example" in refused.stderr


def test_without_origins_the_configuration_stays_as_it_is():
    assert configured("").stdout == (PROJECT / "nginx/conf.d/cors.conf").read_text()
