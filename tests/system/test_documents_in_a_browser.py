"""The documents as a person meets them: Swagger UI in a browser, on a whole stack."""

import json
import re
import uuid

import pytest

from chassis.settings import SERVICES, prefix_of
from tests.images import PNG

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
USERS, PRODUCTS = prefix_of("microservice1"), prefix_of("microservice2")
ORDERS, NOTIFICATIONS = prefix_of("microservice3"), prefix_of("microservice4")
ROLES = {"customer": ("everybody", "customers"), "administrator": ("everybody", "administrators")}

# What a first click may answer: done, not found, or done before.
FINE = (200, 201, 202, 204, 404, 409)
# Nobody can guess a code or a refresh token, so these samples are refused.
MADE_UP = {
    ("POST", "/tokens/refresh"): "bad_credentials",
    ("POST", "/confirmations"): "bad_code",
    ("PUT", "/password-resets"): "bad_code",
}


class Document:
    """The document of one service, open in a page. base: its address without `/docs`."""

    def __init__(self, page, base):
        self._page = page
        self._base = base
        page.goto(f"{base}/docs")
        page.wait_for_selector(".opblock, .swagger-ui .errors-wrapper")

    def authorize(self, token):
        page = self._page
        page.click(".btn.authorize")
        page.fill(".auth-container input", token)
        page.click(".auth-container button.authorize")
        page.click(".auth-container button.btn-done")

    def open(self, method, path):
        """Open an operation. Returns its part of the page."""
        block = self._page.locator(f".opblock-{method.lower()}").filter(
            has=self._page.locator(f'[data-path="{path}"]')
        )
        if "is-open" not in block.get_attribute("class"):
            block.locator(".opblock-summary-control").click()
        return block

    def click(self, method, path, *, fill=None, body=None):
        """Send an operation as its form is, and close it. Returns Playwright's Response.

        fill: {name: value} of parameters to be filled in. body: in place of the sample.
        """
        block = self.open(method, path)
        for name, value in (fill or {}).items():
            block.locator(f'[data-param-name="{name}"] input').fill(str(value))
        if body is not None:
            block.locator("textarea.body-param__text").fill(json.dumps(body))
        if file := block.locator("input[type=file]").all():
            file[0].set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": PNG})
        with self._page.expect_response(
            lambda answer: answer.url.startswith(self._base) and answer.request.method == method
        ) as answer:
            block.locator("button.execute").click()
        block.locator(".live-responses-table").wait_for()
        block.locator(".opblock-summary-control").click()
        return answer.value


@pytest.fixture
def documents(page, stack):
    """Returns a function that opens the document of a service, by its base path."""
    return lambda base: Document(page, stack.url + base)


@pytest.fixture
def a_customer(stack):
    """The username and the access token of a new customer."""
    name = f"reader-{uuid.uuid4().hex[:12]}"
    user = {"username": name, "email": f"{name}@example.com", "password": "a long password"}
    assert stack.call("POST", f"{USERS}/users", json=user).status_code == 201
    login = {"username": name, "password": user["password"]}
    answer = stack.call("POST", f"{USERS}/tokens", json=login)
    return name, answer.json()["access_token"]


def test_a_customer_registers_signs_in_orders_and_cancels(documents, stack):
    name = f"visitor-{uuid.uuid4().hex[:12]}"
    login = {"username": name, "password": "correct horse battery"}
    users = documents(USERS)

    registered = users.click("POST", "/users", body={**login, "email": f"{name}@example.com"})
    signed_in = users.click("POST", "/tokens", body=login)
    users.authorize(signed_in.json()["access_token"])
    own = users.click("GET", "/users/me")
    edited = users.click("PATCH", "/users/{user_id}", fill={"user_id": own.json()["id"]})

    assert [answer.status for answer in (registered, signed_in, own, edited)] == [
        201,
        200,
        200,
        200,
    ]
    assert own.json()["username"] == name
    assert edited.json()["full_name"] == "Ada King"

    orders = documents(ORDERS)  # the page still knows the token
    placed = orders.click("POST", "/orders")
    listed = orders.click("GET", "/orders")
    cancelled = orders.click("PATCH", "/orders/{order_id}", fill={"order_id": placed.json()["id"]})

    assert (placed.status, placed.json()["status"]) == (201, "confirmed")
    assert [order["id"] for order in listed.json()] == [placed.json()["id"]]
    assert (cancelled.status, cancelled.json()["status"]) == (200, "cancelled")
    assert len(documents(PRODUCTS).click("GET", "/products").json()) > 0
    assert documents(NOTIFICATIONS).click("GET", "/notifications").status == 200


def test_an_administrator_adds_a_product_edits_and_orders_it(documents, admin_token):
    products = documents(PRODUCTS)
    products.authorize(admin_token)
    lamp = {"sku": uuid.uuid4().hex, "name": "Lamp", "category": "Light", "price": 1, "stock": 9}

    made = products.click("POST", "/products", body=lamp)
    number = {"product_id": made.json()["id"]}
    cheaper = products.click("PATCH", "/products/{product_id}", fill=number)
    again = products.click("PATCH", "/products/{product_id}", fill=number)
    pictured = products.click("PUT", "/products/{product_id}/image", fill=number)

    assert [answer.status for answer in (made, cheaper, again, pictured)] == [201, 200, 200, 200]
    assert cheaper.json()["price"] == 24.90

    orders = documents(ORDERS)
    first, second = (orders.click("POST", "/orders") for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
    assert len(orders.click("GET", "/orders").json()) >= 2
    assert len(documents(USERS).click("GET", "/users").json()) >= 1


@pytest.mark.parametrize("role", ROLES)
def test_every_first_click_works(documents, stack, a_customer, admin_token, role):
    """A click sends what the page has filled in, and nothing of that is refused."""
    token = a_customer[1] if role == "customer" else admin_token
    for base in map(prefix_of, SERVICES):
        document = documents(base)
        if base == USERS:
            document.authorize(token)
        for method, path in _operations_for(stack, base, ROLES[role]):
            answer = document.click(method, path)
            if code := MADE_UP.get((method, path)):
                assert answer.json()["code"] == code, (method, path)
            else:
                assert answer.status in FINE, (method, path, answer.text())


def _operations_for(stack, base, words):
    paths = stack.call("GET", f"{base}/openapi.json").json()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            allowed = re.search(r"\*\*Who may call it:\*\* (.*)\.", operation["description"])[1]
            if any(word in allowed for word in words):
                yield method.upper(), path


def test_an_operation_says_what_it_does_and_shows_each_error_with_its_own_body(documents):
    shown = documents(ORDERS).open("POST", "/orders")
    shown.locator(".responses-inner").wait_for()
    text = shown.inner_text()

    assert "Who may call it: customers and administrators." in text
    assert "additionalProp1" not in text
    example = shown.locator('tr[data-code="409"] pre.example').inner_text()
    assert '"code": "out_of_stock"' in example
    assert '"available": 2' in example


def test_a_page_is_readable_on_a_phone(new_page, stack):
    page = new_page(**PHONE)
    document = Document(page, f"{stack.url}{ORDERS}")
    assert page.locator(".operation-filter-input").is_visible()
    assert page.locator(".models.is-open").count() == 0

    document.open("POST", "/orders").locator(".responses-inner").wait_for()
    page.locator("summary").nth(1).click()

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]


def test_the_start_page_leads_to_every_document_and_to_health(page, new_page, stack):
    page.goto(stack.url)
    links = page.eval_on_selector_all("a", "links => links.map(link => link.href)")

    assert len(links) == 3 * len(SERVICES)
    for link in links:
        assert page.request.get(link).status == 200
    style = page.evaluate("getComputedStyle(document.querySelector('dt')).fontWeight")
    assert style == "700"  # the policy lets the page's own style pass


def test_internal_operations_have_a_document_on_the_internal_listener(page, stack):
    page.goto(f"{stack.internal_url}{PRODUCTS}/internal/docs")
    page.wait_for_selector('[data-path="/internal/events"]')

    for path in ("/internal/docs", "/internal/openapi.json"):
        assert stack.call("GET", PRODUCTS + path).status_code == 404
