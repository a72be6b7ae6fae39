"""What can be written can be read back, for every resource of every service."""

import pytest

from chassis import testing
from chassis.fields import Schema, Text
from chassis.settings import SERVICES

USERS, PRODUCTS, ORDERS, _ = SERVICES
WRITING = ("post", "put", "patch")
# secrets, and proofs that the caller may write
NEVER_SHOWN = {"password", "current_password"}
# POST of a change: the answer is the resource, the change is an entry of a list of its own
ENTRIES = {
    (PRODUCTS, "post", "/products/{product_id}/stock"): (PRODUCTS, "/products/{product_id}/stock"),
    # points are added to those of the user; `reason` is in the ledger, which no route shows
    (USERS, "post", "/users/{user_id}/points"): None,
}
# these write no resource that is shown
OTHERS = ("/tokens", "/confirmations", "/password-resets", "/internal/", "/dead-letters")


def resolved(document, schema):
    """Return a schema of OpenAPI, with the one that it refers to, or whose list it is."""
    while schema.keys() & {"$ref", "items"}:
        if "items" in schema:
            schema = schema["items"]
        else:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def missing(document, written, shown, path=()):
    """Yield the names of what can be written and is not shown, nested ones with their path."""
    written, shown = resolved(document, written), resolved(document, shown)
    for name, field in written.get("properties", {}).items():
        if name in NEVER_SHOWN:
            continue
        if name not in shown.get("properties", {}):
            yield ".".join((*path, name))
        else:
            yield from missing(document, field, shown["properties"][name], (*path, name))


def answer_of(operation):
    [answer] = [
        operation["responses"][code]
        for code in ("200", "201", "202")
        if code in operation["responses"]
    ][:1]
    return answer["content"]["application/json"]["schema"]


def writes(document):
    """Yield (method, path, operation) of those that take JSON and write what can be read."""
    for path, operations in document["paths"].items():
        for method in operations.keys() & set(WRITING):
            body = operations[method].get("requestBody", {}).get("content", {})
            if "application/json" in body and not path.startswith(OTHERS):
                yield method, path, operations[method]


@pytest.mark.parametrize("name", SERVICES)
def test_every_field_of_a_body_is_a_field_of_an_answer(shop, name):
    document = testing.Client(shop.apps[name]).get("/openapi.json").json
    found = {}
    for method, path, operation in writes(document):
        written = operation["requestBody"]["content"]["application/json"]["schema"]
        shown = answer_of(operation)
        if (name, method, path) in ENTRIES:
            place = ENTRIES[name, method, path]
            if place is None:
                continue
            shown = answer_of(document["paths"][place[1]]["get"])
        found[method, path] = list(missing(document, written, shown))
    assert not any(found.values()), found


def test_what_a_resource_is_made_of_is_what_it_shows(admin_of):
    product = {
        "sku": "LAMP-7",
        "name": "Lamp",
        "description": "Warm",
        "category": "Light",
        "price": 1.5,
        "stock": 7,
    }
    user = {"username": "bob", "email": "bob@example.com", "full_name": "Bob B", "role": "admin"}
    user["points"] = 60
    order = {
        "items": [{"product_id": 1, "quantity": 2, "unit_price": 0.25}],
        "redeem_points": 0,
        "reference": "PO-1",
        "user_id": 1,
        "placed_at": "2026-01-31T09:30:00Z",
    }
    entry = {"delta": 5, "reason": "Delivery", "reference": "DN-1"}

    for name, path, sent in (
        (PRODUCTS, "/products", product),
        (USERS, "/users", user),
        (ORDERS, "/orders", order),
    ):
        client = admin_of(name)
        made = client.post(path, json=sent)
        assert made.status_code == 201, made.text
        shown = client.get(f"{path}/{made.json['id']}").json
        assert_shows(shown, sent)
        assert_shows(made.json, sent)

    stock = admin_of(PRODUCTS)
    stock.post("/products/1/stock", json=entry)
    assert_shows(stock.get("/products/1/stock").json[-1], entry)


def assert_shows(shown, sent):
    for name, value in sent.items():
        if name == "items":
            for line, expected in zip(shown["items"], value, strict=True):
                assert_shows(line, expected)
        else:
            assert shown[name] == value, name


def test_a_second_list_of_fields_is_refused():
    with pytest.raises(TypeError, match="second list"):

        class Hidden(Schema):
            class Meta:
                fields = ("name",)

            name = Text("A name", "Lamp", max=10)
