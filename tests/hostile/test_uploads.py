"""Uploads that mean harm: a 4xx each, and nothing of them is kept or shown."""

import json
import os
import socket
import struct
import zlib

import pytest

from tests.hostile.raw import ALIVE, assert_problem, connect, read, request, say
from tests.images import JPEG, PNG, WEBP, chunk, header, png
from tests.system.front_door import wait_for

pytestmark = pytest.mark.usefixtures("unharmed")

MOST = 75 * 2**20
BOMB = png(header(99_999, 99_999, colours=2), chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9)))
SCRIPT = b"<script>alert(1)</script>"


@pytest.fixture(scope="module")
def lamp(stack, unregistered_admin):
    """The path of the image of a product that has none."""
    body = {"sku": os.urandom(8).hex(), "name": "Lamp", "category": "Light", "price": 1, "stock": 1}
    answer = stack.call("POST", "/api/service2/products", token=unregistered_admin, json=body)
    return f"/api/service2/products/{answer.json()['id']}/image"


@pytest.fixture(autouse=True)
def _nothing_is_kept(stack, lamp):
    yield
    folders = [stack.var / "images" / "incoming", stack.var / "nginx" / "tmp" / "client_body"]
    wait_for(
        lambda: not [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    )
    number = lamp.split("/")[-2]
    assert list((stack.var / "images").glob(f"{number}.*")) == []
    assert stack.call("GET", lamp).status_code == 404


def put(stack, path, body, *headers):
    return say(stack, request("PUT", path, *headers, body=body))


@pytest.mark.parametrize(
    "body",
    [
        SCRIPT,
        b"#!/bin/sh\nid\n",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a" + SCRIPT,
        b"push graphic-context\nimage over 0,0 0,0 'https://evil.example/x'\npop graphic-context",
        b"%!PS\n(id) (r) file",
        b"MZ" + bytes(100),
        SCRIPT + PNG,
        PNG[:-20],
        JPEG[:-2],
        WEBP[:-1],
        PNG[:8],
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**31, b"IHDR"),
        png(struct.pack(">I4s", 2**32 - 1, b"IHDR")),
        b"\xff\xd8\xff" * 1_000,
        b"\xff" * 1_000_000,
        b"RIFF\xff\xff\xff\xffWEBP",
        b"RIFF\x04\0\0\0WEBP",
        BOMB,
        png(header(), chunk(b"teXt") * 300_000, chunk(b"IDAT", b"x")),
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_is_no_image_is_refused(stack, admin_header, lamp, body):
    for declared in ("image/png", "image/jpeg", "application/octet-stream"):
        answer = put(stack, lamp, body, admin_header, f"Content-Type: {declared}")
        assert_problem(answer, 422)
        assert answer.json["code"] == "not_an_image"
        assert b"<" not in answer.body


@pytest.mark.parametrize("image", [PNG, JPEG, WEBP], ids=["png", "jpg", "webp"])
@pytest.mark.parametrize("tail", [SCRIPT, b"PK\x05\x06" + bytes(18), b"<?php phpinfo(); ?>"])
def test_what_is_hidden_behind_an_image_is_never_served(stack, admin_header, lamp, image, tail):
    assert put(stack, lamp, image + tail, admin_header).status == 200

    assert say(stack, request("GET", lamp)).body == image
    assert say(stack, request("DELETE", lamp, admin_header)).status == 204


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "image/svg+xml", "image/gif", "application/json", "application/x-php",
     "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "image/*", "*/*",
     "image/png, text/html", "\xff", "image", "image/pngx"],
)  # fmt: skip
def test_what_is_declared_as_something_else_is_refused(stack, admin_header, lamp, content_type):
    declared = f"Content-Type: {content_type}".encode("latin-1")

    assert_problem(put(stack, lamp, PNG, admin_header, declared), 415)


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "9" * 19, "9" * 40, "1e3", "0x1", "%d9%a1", "1.png", "1%00", "1/..", "..%2f1", "*",
     "incoming", "%2e%2e", "1%0d%0aX: y", "٣", "1;1", "../../../../tmp/x"],
)  # fmt: skip
def test_no_spelling_of_a_number_leads_anywhere(stack, admin_header, number):
    path = f"/api/service2/products/{number}/image"

    for method in ("PUT", "GET", "DELETE"):
        assert_problem(say(stack, request(method, path, admin_header, body=PNG)), 400, 404, 405)


@pytest.mark.parametrize(
    "header",
    ["Content-Disposition: attachment; filename=\"../../x.php\"", "X-File: /etc/passwd",
     "X-Accel-Redirect: /etc/passwd", "X-Sendfile: /etc/passwd", "Slug: ../x", "Range: bytes=0-1",
     "Content-Range: bytes 0-1/2", "QUARTET_UPLOAD: asked", "Quartet-Upload: asked",
     "UWSGI_POSTFILE: /etc/passwd", "Uwsgi-Postfile: /etc/passwd", "X-Original-Method: GET"],
)  # fmt: skip
def test_no_header_makes_a_file_of_something_else(stack, admin_header, lamp, header):
    assert_problem(put(stack, lamp, SCRIPT, admin_header, header), 422)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_what_is_compressed_is_not_unpacked(stack, admin_header, lamp, coding):
    body = zlib.compress(PNG)

    assert_problem(put(stack, lamp, body, admin_header, f"Content-Encoding: {coding}"), 415, 422)


def test_who_may_not_need_not_send(stack, lamp):
    for token in ("X-Nothing: x", "Authorization: Bearer a.b.c", "Authorization: Basic YTpi"):
        with connect(stack) as connection:
            connection.sendall(request("PUT", lamp, token, f"Content-Length: {MOST}"))
            answer, _ = read(connection)
        assert_problem(answer, 401)
        assert answer.json["code"] == "unauthenticated"
        assert answer.headers.get_all("WWW-Authenticate") == ["Bearer"]


def test_more_than_75_megabytes_are_refused_before_they_come(stack, admin_header, lamp):
    for length in (MOST + 1, 2**31, 2**63 - 1):
        with connect(stack) as connection:
            connection.sendall(request("PUT", lamp, admin_header, f"Content-Length: {length}"))
            answer, _ = read(connection)
        assert_problem(answer, 413)


def test_chunks_without_end_are_too_large(stack, admin_header, lamp):
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    told = request("PUT", lamp, admin_header, "Transfer-Encoding: chunked")

    assert_problem(say(stack, told, piece * 76), 413)


def test_who_leaves_in_the_middle_leaves_nothing(stack, admin_header, lamp):
    for number in range(40):
        with connect(stack) as connection:
            told = request("PUT", lamp, admin_header, f"Content-Length: {MOST}")
            connection.sendall(told + PNG + bytes(300_000))
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert say(stack, ALIVE).status == 200


def test_an_image_may_hold_words_but_is_never_a_page(stack, admin_header, lamp):
    """Text is allowed in a PNG: what matters is that no browser takes it for anything else."""
    image = png(header(), chunk(b"teXt", SCRIPT), chunk(b"IDAT", zlib.compress(b"\0\0")))
    headers = [admin_header, "Content-Type: image/png"]
    assert put(stack, lamp, image, *headers).status == 200

    shown = say(stack, request("GET", lamp, "Accept: text/html"))

    assert shown.body == image
    assert shown.headers["Content-Type"] == "image/png"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert say(stack, request("DELETE", lamp, admin_header)).status == 204


@pytest.mark.parametrize(
    "tag", ['""', '"', "*, *", "W/", '"\xff"', "x" * 8_000, '"0-0", ' * 500, "../../x", "\0"]
)
def test_an_odd_tag_changes_nothing(stack, admin_header, lamp, tag):
    header = f"If-Match: {tag}".encode("latin-1")

    assert_problem(put(stack, lamp, PNG, admin_header, header), 400, 412, 431)
    answer = say(stack, request("GET", lamp, header.replace(b"If-Match", b"If-None-Match")))
    assert_problem(answer, 400, 404, 431)


def test_the_refusal_names_nothing_of_ours(stack, admin_header, lamp):
    problem = put(stack, lamp, BOMB, admin_header).json

    assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id"}
    assert str(stack.var) not in json.dumps(problem)
