"""What a body is said to be, and what is said of an empty one."""

import gzip
import json

import pytest

CHANGE = {"name": "Floor lamp"}
MERGE, STEPS = "application/merge-patch+json", "application/json-patch+json"


@pytest.fixture
def path(a_product):
    return f"/products/{a_product(description='Dimmable').id}"


def assert_unsupported(answer):
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "gzip, identity", "x"])
def test_a_compressed_body_is_refused_with_the_encoding_that_is_taken(admin, path, encoding):
    body = gzip.compress(json.dumps(CHANGE).encode())
    sent = {"data": body, "content_type": "application/json"}

    for method, place in (("PATCH", path), ("POST", "/products"), ("PUT", f"{path}/image")):
        answer = admin.open(method, place, headers={"Content-Encoding": encoding}, **sent)
        assert_unsupported(answer)
        assert answer.headers["Accept-Encoding"] == "identity"
    assert admin.get(path).json["name"] != CHANGE["name"]


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_as_it_is_may_say_so(admin, path, encoding):
    answer = admin.patch(path, json=CHANGE, headers={"Content-Encoding": encoding})

    assert answer.json["name"] == CHANGE["name"]


@pytest.mark.parametrize("body", [[{"op": "remove", "path": "/description"}], CHANGE])
def test_a_json_patch_is_refused_with_the_types_that_are_taken(admin, path, body):
    answer = admin.patch(path, data=json.dumps(body), content_type=STEPS)

    assert_unsupported(answer)
    assert answer.headers["Accept-Patch"] == f"application/json, {MERGE}"
    assert "Accept-Patch" not in admin.put(path, data="{}", content_type="text/plain").headers


@pytest.mark.parametrize("content_type", [MERGE, f"{MERGE}; charset=utf-8", "application/json"])
def test_null_clears_what_may_be_empty_and_nothing_else(admin, path, content_type):
    def patch(**change):
        return admin.patch(path, data=json.dumps(change), content_type=content_type)

    cleared = patch(description=None)
    refused = patch(name=None)

    assert (cleared.status_code, cleared.json["description"]) == (200, "")
    assert (refused.status_code, refused.json["code"]) == (422, "invalid")
    assert "name" in refused.json["errors"]["json"]


def test_openapi_names_both_types_of_a_patch(anonymous):
    paths = anonymous.get("/openapi.json").json["paths"]

    assert paths["/products/{product_id}"]["patch"]["requestBody"]["content"].keys() == {
        "application/json",
        MERGE,
    }


def test_an_answer_without_content_has_no_type_of_it(admin, path):
    answer = admin.delete(path)

    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers


def test_an_empty_filter_counts_as_absent(anonymous, a_product, cursor):
    products = [a_product(name="Desk lamp"), a_product(name="Chair")]
    query = "q=&category=&sku=&min_price=&max_price=&in_stock=&sort=&page=&limit="

    everything = anonymous.get(f"/products?{query}")

    assert [product["id"] for product in everything.json] == [product.id for product in products]
    assert everything.json == anonymous.get("/products").json
    # a cursor belongs to the same list, with empty filters and without
    behind = cursor(anonymous, "/products?q=&sort=")
    assert anonymous.get(f"/products?limit=1&after={behind}").json[0]["id"] == products[1].id
    assert anonymous.get("/products?colour=").status_code == 422
