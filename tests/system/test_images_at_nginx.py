"""The images of products at the front door: what Nginx serves, and how uploads travel."""

import concurrent.futures
import contextlib
import os
import socket
import time
from itertools import count
from pathlib import Path

import pytest

from chassis import images
from chassis.image_store import ImageStore, Received
from tests.images import JPEG, PNG, WEBP
from tests.system.front_door import Echo, assert_problem, wait_for

IMAGE = "/api/service2/products/7/image"
MOST = 75 * 2**20
REFUSAL = "401 -\r\nQuartet-Problem: token_expired\r\nWWW-Authenticate: Bearer"


@pytest.fixture
def shop(door):
    """The service of products, which answers with what reached it."""
    echo = Echo(door.sockets / "microservice2.sock")
    yield echo
    echo.close()


@pytest.fixture(autouse=True)
def _no_images(door):
    yield
    for path in door.images.iterdir():
        path.unlink()


def keep(door, name, data=PNG):
    (door.images / name).write_bytes(data)


def head(method="PUT", path=IMAGE, length=MOST):
    return f"{method} {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\n".encode()


def connect(door):
    return socket.create_connection(("127.0.0.1", door.port), timeout=20)


# ---- showing


@pytest.mark.parametrize(
    ("name", "data", "content_type"),
    [
        ("7.png", PNG, "image/png"),
        ("7.jpg", JPEG, "image/jpeg"),
        ("7.webp", WEBP, "image/webp"),
    ],
)
def test_nginx_shows_an_image_by_itself(door, shop, name, data, content_type):
    keep(door, name, data)

    for port in (door.port, door.internal_port):
        shown = door.ask("GET", IMAGE, port=port)
        assert (shown.status, shown.body) == (200, data)
        assert shown.headers["content-type"] == content_type
        assert shown.headers["cache-control"] == "public, max-age=300"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["content-security-policy"].startswith("default-src 'none'")
        assert shown.headers["x-request-id"]
        assert "last-modified" not in shown.headers
    assert door.ask("HEAD", IMAGE).headers["content-length"] == str(len(data))
    assert shop.requests == []


def test_an_image_is_shown_while_the_service_is_away(door):
    keep(door, "7.png")

    assert door.ask("GET", IMAGE).body == PNG
    assert_problem(door.ask("GET", IMAGE.replace("7", "8")), 503, "unavailable")


def test_an_image_is_not_sent_twice(door, shop):
    keep(door, "7.png")
    tag = door.ask("GET", IMAGE).headers["etag"]

    assert tag == ImageStore(door.images).tag(7)
    unchanged = door.ask("GET", IMAGE, headers={"If-None-Match": tag})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert door.ask("GET", IMAGE, headers={"If-None-Match": '"0-0"'}).status == 200
    part = door.ask("GET", IMAGE, headers={"Range": "bytes=1-3", "If-Range": tag})
    assert (part.status, part.body) == (206, b"PNG")


PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_tag_of_an_image_decides_and_a_date_does_not(door, shop, tmp_path, method):
    (tmp_path / "new").write_bytes(PNG)
    tag = ImageStore(door.images).put(7, Received(tmp_path / "new", images.PNG), 3)

    for status, headers in (
        (200, {"If-Modified-Since": FUTURE}),
        (200, {"If-Modified-Since": PAST}),
        (200, {"If-Unmodified-Since": PAST}),
        (304, {"If-None-Match": tag}),
        (304, {"If-None-Match": f'"1-1", W/{tag}'}),
        (304, {"If-None-Match": "*"}),
        (304, {"If-None-Match": tag, "If-Modified-Since": PAST}),
        (304, {"If-None-Match": tag, "If-Modified-Since": FUTURE}),
        (304, {"If-Match": tag, "If-None-Match": tag, "If-Unmodified-Since": PAST}),
        (200, {"If-None-Match": '"1-1"', "If-Modified-Since": FUTURE}),
        (200, {"If-Match": tag}),
        (200, {"If-Match": "*"}),
        (412, {"If-Match": '"1-1"'}),
        (412, {"If-Match": '"1-1"', "If-None-Match": tag}),
    ):
        answer = door.ask(method, IMAGE, headers=headers)
        assert answer.status == status, headers
        assert (answer.headers.get("etag") == tag) == (status < 400), headers
        assert "last-modified" not in answer.headers
    part = {"Range": "bytes=1-3"}
    assert door.ask("GET", IMAGE, headers={**part, "If-Range": tag}).status == 206
    assert door.ask("GET", IMAGE, headers={**part, "If-Range": FUTURE}).status == 200
    assert tag == f'"3-{len(PNG):x}"'
    assert shop.requests == []


def test_errors_about_a_file_have_the_shape_of_all_errors(door):
    keep(door, "7.png")

    stale = door.ask("GET", IMAGE, headers={"If-Match": '"1-1"'})
    beyond = door.ask("GET", IMAGE, headers={"Range": "bytes=1000000-"})

    assert_problem(stale, 412, "precondition_failed")
    assert_problem(beyond, 416, "range_not_satisfiable")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_precondition_reaches_the_service_if_there_is_no_image(door, shop, method):
    answer = door.ask(method, IMAGE, headers={"If-None-Match": "*"})

    assert answer.json["parameters"]["PATH_INFO"] == IMAGE
    assert answer.json["parameters"]["HTTP_IF_NONE_MATCH"] == "*"


def test_the_service_is_asked_for_what_is_not_there(door, shop):
    answer = door.ask("GET", IMAGE + "?status=404")

    assert answer.status == 404
    assert answer.json["parameters"]["PATH_INFO"] == IMAGE
    assert [request["REQUEST_METHOD"] for request in shop.requests] == ["GET"]


@pytest.mark.parametrize("name", ["7.html", "7.svg", "7.php", "7.js", "7", "7.PNG", "7.png.html"])
def test_nothing_but_images_is_served(door, shop, name):
    keep(door, name, b"<script>")

    assert "parameters" in door.ask("GET", IMAGE).json


@pytest.mark.parametrize(
    "path",
    [
        "/7.png",
        "/images/7.png",
        "/api/service2/products/7.png",
        "/api/service2/products/7.png/image",
        "/api/service2/products/%D9%A7/image",
        "/api/service2/products/7/image/",
        "/api/service2/products/7/image/7.png",
        "/api/service2/products/..%2fimages%2f7/image",
        "/api/service2/products/%2e%2e/images/7.png",
        "/api/service2/products/7%00/image",
        "/api/service2/products/7.png%2f..%2f8/image",
        "/api/service2/products/incoming%2f7/image",
        "/api/service2/products/7/../../../../7.png",
        "/product_image_permission",
        "/problems/unauthenticated",
    ],
)
def test_no_other_address_leads_to_a_file(door, shop, path):
    keep(door, "7.png")

    answer = door.ask("GET", path)
    assert answer.headers["content-type"] in ("application/json", "application/problem+json")
    assert answer.body != PNG


def test_a_link_is_not_followed(door, shop):
    (door.images / "7.png").symlink_to("/etc/passwd")

    assert b"root:" not in door.ask("GET", IMAGE).body


def test_an_image_that_becomes_another_is_never_missing(door, shop, tmp_path):
    store, stop, versions = ImageStore(door.images), time.monotonic() + 3, count(1)
    images_of = {images.PNG: PNG, images.JPEG: JPEG, images.WEBP: WEBP}

    def replace():
        while time.monotonic() < stop:
            for kind, data in images_of.items():
                path = tmp_path / "new"
                path.write_bytes(data)
                store.put(7, Received(path, kind), next(versions))

    def look():
        while time.monotonic() < stop:
            answer = door.ask("GET", IMAGE)
            if answer.body not in images_of.values():
                return answer.status, answer.body
        return None

    keep(door, "7.webp", WEBP)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        replacing, looking = pool.submit(replace), [pool.submit(look) for _ in range(4)]
        replacing.result()
        assert [look.result() for look in looking] == [None] * 4
    assert shop.requests == []


def test_a_number_with_zeros_is_that_number(door):
    keep(door, "7.png")

    assert door.ask("GET", IMAGE.replace("7", "007")).body == PNG


# ---- uploads


@pytest.mark.parametrize("present", [None, "7.png", "7.webp"])
def test_an_upload_arrives_after_a_question(door, shop, present):
    if present:
        keep(door, present)

    answer = door.ask("PUT", IMAGE, b"an image", {"Authorization": "Bearer x"})

    question, upload = shop.requests
    assert answer.json["body"] == "an image"
    assert answer.json["listener"] == "public"
    assert answer.json["parameters"] == upload
    assert "QUARTET_UPLOAD" not in upload
    for request in shop.requests:
        assert request["REQUEST_METHOD"] == "PUT"
        assert request["PATH_INFO"] == IMAGE
        assert request["HTTP_AUTHORIZATION"] == "Bearer x"
    assert not int(question.get("CONTENT_LENGTH") or 0)


def test_an_upload_in_chunks_arrives_whole(door, shop):
    chunks = iter([b"in ", b"two ", b"chunks"])
    answer = door.ask("PUT", IMAGE, chunks, encode_chunked=True)

    assert answer.json["body"] == "in two chunks"


def test_75_megabytes_are_taken_and_a_byte_more_is_not(door, shop):
    assert door.ask("PUT", IMAGE, bytes(MOST)).json["body"] == f"{MOST} bytes"
    shop.requests.clear()

    with connect(door) as connection:
        connection.sendall(head(length=MOST + 1))
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    chunks = (bytes(2**20) for _ in range(76))
    assert_problem(door.ask("PUT", IMAGE, chunks, encode_chunked=True), 413, "too_large")
    assert [request.get("QUARTET_UPLOAD") for request in shop.requests] == ["asked"]


@pytest.mark.parametrize("path", ["/api/service2/products/7", "/api/service2/products"])
def test_nothing_else_is_so_large(door, shop, path):
    assert_problem(door.ask("PUT", path, bytes(1_100_000)), 413, "too_large")


def test_a_sender_whom_the_service_refuses_need_not_send(door, shop):
    shop.permission = REFUSAL
    with connect(door) as connection:
        connection.sendall(head())
        answer = connection.recv(10_000).decode()

    assert answer.startswith("HTTP/1.1 401 ")
    assert '"code":"token_expired"' in answer
    assert '"type":"/problems/token_expired"' in answer
    assert "\r\nWWW-Authenticate: Bearer\r\n" in answer
    assert answer.count("X-Request-ID") == 1
    assert answer.count("WWW-Authenticate") == 1
    assert len(shop.requests) == 1

    shop.permission = "403 -"
    assert_problem(door.ask("PUT", IMAGE, b"an image"), 403, "forbidden")


def test_a_service_that_cannot_be_asked_is_unavailable(door):
    answer = door.ask("PUT", IMAGE, b"an image")

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_service_that_has_too_much_to_do_when_it_is_asked_is_unavailable(door, shop):
    shop.permission = "503 -"

    assert_problem(door.ask("PUT", IMAGE, b"an image"), 503, "unavailable")


def test_a_slow_sender_holds_nobody_up(door, shop):
    with connect(door) as connection:
        connection.sendall(head(length=100_000) + bytes(50_000))
        wait_for(lambda: shop.requests)
        time.sleep(1)
        assert len(shop.requests) == 1  # the question: it hears of the upload when it is whole
        connection.sendall(bytes(50_000))
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_body_is_on_disk_while_it_comes_and_gone_afterwards(door, shop):
    def written():
        size = 0
        for pid in workers_of(door):
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    if "tmp/client_body/" in str(file.readlink()):
                        size += file.stat().st_size
        return size

    with connect(door) as connection:
        connection.sendall(head(length=10_000_000) + os.urandom(9_000_000))
        assert wait_for(lambda: written() > 8_000_000)
        assert memory_of(door) < 40_000_000
    assert wait_for(lambda: written() == 0)


@pytest.mark.parametrize("present", [True, False])
@pytest.mark.parametrize("method", ["DELETE", "POST", "PATCH", "OPTIONS"])
def test_other_methods_are_the_services_affair(door, shop, method, present):
    if present:
        keep(door, "7.png")

    answer = door.ask(method, IMAGE, headers={"If-Match": '"x"'})

    assert answer.json["parameters"]["REQUEST_METHOD"] == method
    assert answer.json["parameters"]["PATH_INFO"] == IMAGE
    assert answer.json["parameters"]["HTTP_IF_MATCH"] == '"x"'
    assert len(shop.requests) == 1


def workers_of(door):
    master = (door.sockets / "nginx.pid").read_text().strip()
    return Path(f"/proc/{master}/task/{master}/children").read_text().split()


def memory_of(door):
    """The proportional set size of Nginx's workers, in bytes."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in workers_of(door)]
    return sum(1024 * int(rollup.split("Pss:")[1].split()[0]) for rollup in rollups)
