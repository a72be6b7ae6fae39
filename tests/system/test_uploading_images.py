"""Images of products on a whole stack: from the client's bytes to the file that Nginx serves."""

import concurrent.futures
import os
import re
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from chassis.uploads import MOST_BYTES
from tests.images import JPEG, PNG, WEBP, png_of
from tests.system.front_door import wait_for

MEGABYTE = 2**20


@pytest.fixture
def lamp(stack, admin_token):
    """The path of a new product."""
    body = {"sku": os.urandom(8).hex(), "name": "Lamp", "category": "Light", "price": 1, "stock": 1}
    answer = stack.call("POST", "/api/service2/products", token=admin_token, json=body)
    return f"/api/service2/products/{answer.json()['id']}"


@pytest.fixture
def put(stack, admin_token, lamp):
    """Returns a function that sends an image of the lamp."""
    return lambda data, **options: stack.call(
        "PUT", f"{lamp}/image", token=admin_token, data=data, **options
    )


def test_an_image_comes_back_as_it_was_sent(stack, admin_token, lamp, put):
    for data, content_type in ((PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")):
        sent = put(data, headers={"Content-Type": content_type})
        assert sent.status_code == 200, sent.text
        address = stack.call("GET", lamp).json()["image_url"]
        shown = stack.call("GET", address)
        assert (shown.content, shown.headers["Content-Type"]) == (data, content_type)
        assert shown.headers["ETag"] == sent.headers["ETag"]
        expected = {"If-Match": sent.headers["ETag"]}

    stale = {"If-Match": '"0-0"'}
    gone = [
        stack.call("DELETE", f"{lamp}/image", token=admin_token, headers=headers).status_code
        for headers in (stale, expected, {})
    ]
    assert gone == [412, 204, 404]
    missing = stack.call("GET", f"{lamp}/image")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["Content-Type"] == "application/problem+json"


def test_an_image_is_shown_while_the_service_is_down(stack, put, lamp):
    put(PNG)
    stack.script("down", "microservice2")
    try:
        assert stack.call("GET", f"{lamp}/image").content == PNG
        assert put(JPEG).status_code == 503
    finally:
        stack.script("up")


def test_75_megabytes_are_held_in_nobodys_memory(stack, put, lamp):
    image = png_of(MOST_BYTES)
    put(png_of(MEGABYTE))  # what is loaded once is loaded now
    before = memory_of(stack)
    peak = before
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, memory_of(stack))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        watching = pool.submit(watch)
        sent = [put(image).status_code for _ in range(3)]
        done.set()
        watching.result()

    assert sent == [200] * 3
    assert stack.call("GET", f"{lamp}/image").content == image
    print(f"{before / MEGABYTE:.1f} MiB before, {peak / MEGABYTE:.1f} at most")
    assert peak - before < 20 * MEGABYTE
    assert_nothing_is_left(stack)


def test_a_byte_more_is_too_large_and_leaves_nothing(stack, put, lamp):
    put(PNG)
    for data in (bytes(MOST_BYTES + 1), (bytes(MEGABYTE) for _ in range(76))):
        try:
            answer = put(data)
        except requests.ConnectionError:  # the client went on sending after the answer
            continue
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    assert stack.call("GET", f"{lamp}/image").content == PNG
    assert_nothing_is_left(stack)


def test_slow_senders_hold_no_thread_and_leave_nothing(stack, admin_token, lamp):
    address = urlsplit(stack.url)
    head = (
        f"PUT {lamp}/image HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {admin_token}\r\n"
        f"Content-Length: {MEGABYTE}\r\n\r\n"
    )
    slow = [socket.create_connection((address.hostname, address.port)) for _ in range(30)]
    for connection in slow:  # more than the service has threads
        connection.sendall(head.encode() + bytes(200_000))
    time.sleep(1)

    start = time.monotonic()
    assert stack.call("GET", lamp).status_code == 200
    assert time.monotonic() - start < 5
    for connection in slow:
        connection.close()
    assert_nothing_is_left(stack)


def test_of_many_replacements_at_once_each_reader_sees_a_whole_one(stack, put, lamp):
    images = [PNG, JPEG, WEBP, png_of(MEGABYTE)]
    put(PNG)
    done = threading.Event()

    def look():
        seen = set()
        while not done.is_set():
            answer = stack.call("GET", f"{lamp}/image")
            seen.add(answer.content if answer.status_code == 200 else answer.status_code)
        return seen

    with concurrent.futures.ThreadPoolExecutor() as pool:
        looking = [pool.submit(look) for _ in range(2)]
        answers = list(pool.map(put, images * 8))
        done.set()
        seen = set().union(*(look.result() for look in looking))

    assert {answer.status_code for answer in answers} <= {200, 503}  # 503: waited for the row
    assert seen <= set(images)
    assert len([path for path in (stack.var / "images").glob(f"{lamp.rpartition('/')[2]}.*")]) == 1
    assert_nothing_is_left(stack)


def processes_of(stack):
    """The uWSGI processes of microservice2."""
    master = (stack.var / "run" / "microservice2.pid").read_text().strip()
    return [master, *Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def memory_of(stack):
    """Their proportional set size, in bytes."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes_of(stack)]
    return sum(1024 * int(re.search(r"Pss: +(\d+)", rollup)[1]) for rollup in rollups)


def assert_nothing_is_left(stack):
    folders = [stack.var / "images" / "incoming", stack.var / "nginx" / "tmp" / "client_body"]
    wait_for(
        lambda: not [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    )
