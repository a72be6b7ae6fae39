import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from chassis import image_store, uploads
from microservice2.logic import images
from tests.images import JPEG, PNG, WEBP, png_of

LONG_AGO = image_store.LEFT_OVER_SECONDS + 60


@pytest.fixture
def lamp(a_product):
    return a_product()


@pytest.fixture
def files(images_dir):
    """Returns a function: what is in the folder, {name: bytes}, whatever is incoming included."""
    return lambda: {
        path.name: path.read_bytes() for path in images_dir.rglob("*") if path.is_file()
    }


@pytest.fixture
def keep_house(app, _services):
    """Returns a function that does what the worker does each hour."""

    def work():
        with _services(app.name).active():
            images.remove_left_images()

    return work


class Stream:
    """A body that is read by a function of the test's own: of a file and a size, returns bytes."""

    def __init__(self, data, read):
        self._file = io.BytesIO(data)
        self.tell, self.seek = self._file.tell, self._file.seek
        self.read = partial(read, self._file)


def put(client, product, data=PNG, content_type="image/png", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(
        f"/products/{product.id}/image", data=data, content_type=content_type, headers=headers
    )


def delete(client, product, **options):
    return client.delete(f"/products/{product.id}/image", **options)


def shown(client, product):
    return client.get(f"/products/{product.id}").json


def assert_problem(answer, status, code):
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("data", "name"),
    [(PNG, "1.png"), (JPEG, "1.jpg"), (WEBP, "1.webp")],
    ids=["png", "jpg", "webp"],
)
@pytest.mark.parametrize(
    "declared", ["image/png", "image/jpg", "image/pjpeg", "application/octet-stream", None]
)
def test_an_image_is_kept_as_what_it_is(admin, lamp, files, data, name, declared):
    answer = put(admin, lamp, data, declared)

    assert answer.status_code == 200
    assert files() == {name: data}
    assert answer.json == shown(admin, lamp)


def test_a_product_tells_where_its_image_is(admin, anonymous, lamp):
    assert lamp.image_url is None

    changed = put(admin, lamp).json

    assert changed["image_url"] == f"/api/service2/products/{lamp.id}/image"
    assert changed["version"] == lamp.version + 1
    assert changed["updated_at"] > lamp.updated_at
    [listed] = anonymous.get("/products").json
    assert listed["image_url"] == changed["image_url"]


def test_nginx_may_read_the_file_as_another_user(admin, lamp, images_dir):
    put(admin, lamp)

    assert (images_dir / "1.png").stat().st_mode & 0o777 == 0o644


def test_another_image_takes_the_place_of_the_first_whatever_it_is(admin, lamp, files):
    for data, name in ((PNG, "1.png"), (JPEG, "1.jpg"), (WEBP, "1.webp"), (PNG, "1.png")):
        put(admin, lamp, data)
        assert files() == {name: data}


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"", "image/png", 422, "not_an_image"),
        (PNG[:40], "image/png", 422, "not_an_image"),
        (JPEG[:-1], "image/jpeg", 422, "not_an_image"),
        (b"<script>alert(1)</script>", "image/webp", 422, "not_an_image"),
        (b"<svg/>", "image/svg+xml", 415, "unsupported_media_type"),
        (PNG, "text/html", 415, "unsupported_media_type"),
        (PNG, "multipart/form-data; boundary=x", 415, "unsupported_media_type"),
        (PNG, "image/gif", 415, "unsupported_media_type"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    admin, lamp, files, data, content_type, status, code
):
    assert_problem(put(admin, lamp, data, content_type), status, code)
    assert files() == {}
    assert shown(admin, lamp)["image_url"] is None

    put(admin, lamp, WEBP)
    assert_problem(put(admin, lamp, data, content_type), status, code)
    assert files() == {"1.webp": WEBP}
    assert shown(admin, lamp)["version"] == lamp.version + 1


@pytest.mark.parametrize("image", [PNG, JPEG, WEBP], ids=["png", "jpg", "webp"])
@pytest.mark.parametrize("tail", [b"<?php", bytes(4096), JPEG], ids=["script", "zeros", "picture"])
def test_nothing_behind_an_image_is_stored(admin, lamp, files, image, tail):
    answer = put(admin, lamp, image + tail)

    assert answer.status_code == 200
    assert list(files().values()) == [image]
    assert answer.headers["ETag"] == f'"{answer.json["version"]:x}-{len(image):x}"'


def test_75_megabytes_are_taken_and_a_byte_more_is_too_large(admin, lamp, files):
    assert put(admin, lamp, png_of(uploads.MOST_BYTES)).status_code == 200
    assert_problem(put(admin, lamp, png_of(uploads.MOST_BYTES + 1)), 413, "too_large")

    assert [len(data) for data in files().values()] == [uploads.MOST_BYTES]


def test_no_other_route_takes_so_much(admin, lamp):
    assert_problem(admin.put(f"/products/{lamp.id}", data=bytes(1_000_001)), 413, "too_large")
    answer = admin.post(f"/products/{lamp.id}/stock", data=bytes(1_000_001))
    assert_problem(answer, 413, "too_large")


def test_an_upload_that_breaks_off_leaves_nothing_behind(admin, lamp, files):
    def read(file, _size):
        if file.tell():
            raise OSError("nobody sends any more")
        return file.read(9)

    answer = admin.open("PUT", f"/products/{lamp.id}/image", input_stream=Stream(PNG, read))

    assert_problem(answer, 400, "malformed_request")
    assert files() == {}


def test_a_disk_that_is_full_is_a_503_and_leaves_nothing_behind(admin, lamp, files, monkeypatch):
    def no_space(_number):
        raise OSError(28, "No space left on device")

    put(admin, lamp, WEBP)
    monkeypatch.setattr(image_store.os, "fsync", no_space)

    assert_problem(put(admin, lamp), 503, "unavailable")
    assert files() == {"1.webp": WEBP}


def test_a_disk_that_is_too_slow_is_a_503(admin, lamp, files, monkeypatch):
    monkeypatch.setattr(image_store, "RECEIVE_SECONDS", -1.0)

    assert_problem(put(admin, lamp), 503, "unavailable")
    assert files() == {}


def test_the_time_that_an_upload_takes_is_not_the_requests(admin, lamp, monkeypatch):
    def read(file, _size):
        time.sleep(0.3)
        return file.read(100)

    monkeypatch.setattr("chassis.tracing.REQUEST_SECONDS", 0.5)
    answer = admin.open("PUT", f"/products/{lamp.id}/image", input_stream=Stream(PNG, read))

    assert answer.status_code == 200, answer.text


def test_an_image_of_no_product_is_not_kept(admin, files):
    assert_problem(admin.put("/products/4711/image", data=PNG), 404, "not_found")
    assert files() == {}


def test_only_administrators_may_change_an_image(anonymous, customer, as_service, lamp, files):
    for method in (put, delete):
        assert_problem(method(anonymous, lamp), 401, "unauthenticated")
        assert_problem(method(customer, lamp), 403, "forbidden")
        assert_problem(method(as_service("microservice3"), lamp), 403, "forbidden")
    assert files() == {}


def test_an_image_can_be_removed_once(admin, lamp, files):
    put(admin, lamp)

    assert delete(admin, lamp).status_code == 204
    assert files() == {}
    assert shown(admin, lamp)["image_url"] is None
    assert shown(admin, lamp)["version"] == lamp.version + 2
    assert_problem(delete(admin, lamp), 404, "not_found")


def test_a_product_takes_its_image_along(admin, lamp, a_product, files):
    other = a_product()
    for product in (lamp, other):
        put(admin, product)

    admin.delete(f"/products/{lamp.id}")

    assert files() == {"2.png": PNG}


def test_what_nginx_does_not_find_is_not_there(anonymous, lamp):
    for path in (f"/products/{lamp.id}/image", "/products/4711/image"):
        assert_problem(anonymous.get(path), 404, "not_found")


# ---- conditional requests


def test_an_image_is_replaced_only_as_expected(admin, lamp, files):
    first = put(admin, lamp).headers["ETag"]
    second = put(admin, lamp, JPEG, If_Match=first)
    assert second.status_code == 200
    assert second.headers["ETag"] != first

    for stale in (first, "", '"', "W/" + second.headers["ETag"], f'{first}, "x"'):
        assert_problem(put(admin, lamp, WEBP, If_Match=stale), 412, "precondition_failed")
        answer = delete(admin, lamp, headers={"If-Match": stale})
        assert_problem(answer, 412, "precondition_failed")
    assert files() == {"1.jpg": JPEG}

    many = f"{first}, {second.headers['ETag']}"
    assert delete(admin, lamp, headers={"If-Match": many}).status_code == 204


def test_any_image_is_one_that_is_there(admin, lamp, files):
    assert_problem(put(admin, lamp, If_Match="*"), 412, "precondition_failed")
    assert files() == {}

    put(admin, lamp)
    assert put(admin, lamp, WEBP, If_Match="*").status_code == 200
    assert delete(admin, lamp, headers={"If-Match": "*"}).status_code == 204


def test_no_two_images_of_a_product_have_one_tag(admin, lamp):
    size = len(PNG) + 100
    tags = {put(admin, lamp, png_of(size)).headers["ETag"] for _ in range(10)}

    assert len(tags) == 10


def test_an_image_whose_commit_failed_shares_its_tag_with_no_other(admin, lamp, rows):
    first = put(admin, lamp).headers["ETag"]
    rows("UPDATE products SET version = version - 1")  # as if it had never been committed

    assert put(admin, lamp).headers["ETag"] != first


def test_an_image_of_an_earlier_release_is_followed_by_versions(admin, lamp, images_dir):
    put(admin, lamp)
    os.utime(images_dir / "1.png", (1_760_000_000, 1_760_000_000))

    second = put(admin, lamp)
    assert second.headers["ETag"].startswith(f'"{second.json["version"]:x}-')


# ---- several at once, and crashes


def test_of_many_at_once_each_is_whole_and_one_stays(admin, lamp, files):
    kinds = [PNG, JPEG, WEBP]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda data: put(admin, lamp, data), kinds * 8))

    taken = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 503}  # 503: waited for the row
    assert len(taken) >= 8
    [(_, data)] = files().items()
    assert data in kinds
    assert shown(admin, lamp)["version"] == lamp.version + len(taken)


def test_of_two_who_expect_the_same_one_is_refused(admin, lamp):
    for _ in range(5):
        tag = put(admin, lamp).headers["ETag"]
        with ThreadPoolExecutor(2) as pool:
            answers = pool.map(partial(put, admin, lamp, If_Match=tag), (JPEG, WEBP))
        assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_a_database_that_is_away_changes_no_image(admin, lamp, files, app, _services):
    put(admin, lamp)
    pool = _services(app.name).database
    host = pool._arguments["host"]
    pool.close()
    pool._arguments["host"] = "/nowhere"
    try:
        assert_problem(put(admin, lamp, JPEG), 503, "unavailable")
        assert_problem(delete(admin, lamp), 503, "unavailable")
    finally:
        pool._arguments["host"] = host
    assert files() == {"1.png": PNG}


def test_what_a_crash_has_left_is_removed_in_time(
    admin, a_product, files, images_dir, keep_house, monkeypatch
):
    for product in (a_product(), a_product()):
        put(admin, product)
    left = {"incoming/tmp123": b"half", "2.jpg": JPEG, "3.png": PNG, "4711.webp": WEBP}
    for name, data in left.items():
        (images_dir / name).write_bytes(data)
    admin.delete("/products/2")
    (images_dir / "2.jpg").write_bytes(JPEG)

    keep_house()
    assert len(files()) == 5  # it may still be somebody's work

    later = time.time() + LONG_AGO
    monkeypatch.setattr(image_store.time, "time", lambda: later)
    keep_house()
    assert files() == {"1.png": PNG}


def test_a_folder_that_is_not_there_yet_holds_nothing_to_remove(keep_house):
    keep_house()


# ---- what Nginx asks, and OpenAPI


def test_nginx_can_ask_before_it_takes_the_body(app, admin, customer, anonymous, lamp, files):
    def ask(client, path=f"/products/{lamp.id}/image"):
        headers = dict(client._headers)
        return app.test_client().put(
            path, headers=headers, environ_overrides={"QUARTET_UPLOAD": "asked"}
        )

    assert ask(admin).status_code == 204
    for client, status, code in ((customer, 403, "forbidden"), (anonymous, 401, "unauthenticated")):
        answer = ask(client)
        assert (answer.status_code, answer.headers["Quartet-Problem"]) == (status, code)
    # what the upload itself is told, Nginx cannot tell
    assert ask(admin, f"/products/{lamp.id}/image?colour=red").status_code == 204
    assert files() == {}
    assert "Quartet-Problem" not in put(anonymous, lamp).headers


def test_openapi_tells_what_is_taken_and_shown(anonymous):
    item = anonymous.get("/openapi.json").json["paths"]["/products/{product_id}/image"]
    types = {"image/png", "image/jpeg", "image/webp"}

    assert set(item["put"]["requestBody"]["content"]) == types
    assert set(item["get"]["responses"]["200"]["content"]) == types
    assert {"413", "415", "422", "412"} <= item["put"]["responses"].keys()
    assert "ETag" in item["put"]["responses"]["200"]["headers"]
