"""What OpenAPI says of the service is what it does, and it says it of every field."""

from chassis import testing

ROUTES = {
    ("/users", "get"),
    ("/users", "post"),
    ("/users/me", "get"),
    ("/users/{user_id}", "get"),
    ("/users/{user_id}", "put"),
    ("/users/{user_id}", "patch"),
    ("/users/{user_id}", "delete"),
    ("/users/{user_id}/confirmation", "post"),
    ("/users/{user_id}/points", "post"),
    ("/users/{user_id}/promotion", "put"),
    ("/user", "post"),
    ("/user/{username}", "get"),
    ("/user/promote/{username}", "put"),
    ("/tokens", "post"),
    ("/tokens", "delete"),
    ("/tokens/refresh", "post"),
    ("/internal/revocations", "get"),
    ("/confirmations", "post"),
    ("/password-resets", "post"),
    ("/password-resets", "put"),
    ("/internal/redemptions/{order_id}", "put"),
    ("/internal/redemptions/{order_id}", "delete"),
    ("/internal/events", "post"),
}
METHODS = {"get", "put", "post", "patch", "delete"}


def test_every_route_is_described(app):
    described = testing.document_of(app)

    found = {
        (path, method)
        for path, methods in described["paths"].items()
        for method in methods.keys() & METHODS
    }
    everywhere = ("/health", "/status", "/audit", "/dead-letters")
    own = {(path, method) for path, method in found if not path.startswith(everywhere)}
    assert own == ROUTES
    for path, method in found:
        assert described["paths"][path][method]["summary"]


def test_every_field_has_a_description_and_an_example(anonymous):
    schemas = anonymous.get("/openapi.json").json["components"]["schemas"]

    for name in (
        "NewUser",
        "UserFields",
        "UserChange",
        "UserView",
        "PointsChange",
        "TokensView",
        "Confirmation",
        "PasswordResetRequest",
        "PasswordReset",
    ):
        for field, said in schemas[name]["properties"].items():
            assert said["description"], (name, field)
            assert "example" in said, (name, field)


def test_a_password_is_write_only(anonymous):
    schemas = anonymous.get("/openapi.json").json["components"]["schemas"]

    assert "password" not in schemas["UserView"]["properties"]
    assert schemas["NewUser"]["properties"]["password"]["writeOnly"]


def test_a_code_is_write_only_and_takes_no_idempotency_key(anonymous):
    described = anonymous.get("/openapi.json").json

    for name in ("Confirmation", "PasswordReset"):
        assert described["components"]["schemas"][name]["properties"]["code"]["writeOnly"]
    for path in ("/confirmations", "/password-resets"):
        assert "Idempotency-Key" not in str(described["paths"][path])


def test_a_wrong_method_says_which_are_right(admin):
    answer = admin.open("POST", "/users/1")

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert {"GET", "PUT", "PATCH", "DELETE"} <= set(answer.headers["Allow"].split(", "))
