"""Text of an older release on a host: a deployment normalises it, and says what it cannot."""

import pytest

from tests.host.asking import rows

pytestmark = pytest.mark.slow

OLD_PRODUCTS = """
    INSERT INTO products (sku, name, category, price)
    VALUES ('old-1', U&'Cafe\\0301', 'Old', 1), ('old-2', '   ', 'Old', 1)
"""


@pytest.fixture
def old_products(host):
    rows(host, "microservice2", OLD_PRODUCTS)
    yield
    rows(host, "microservice2", "DELETE FROM products WHERE category = 'Old'")


def test_a_deployment_normalises_stored_text_and_goes_on(host, a_release, old_products):
    a_release("microservice2/__init__.py", '"""', '"""Of another kind. ')

    said = host.run("scripts/deploy", "--watch", "3", "microservice2").stdout

    assert "name must not be blank" in said
    assert "microservice2 runs" in said
    names = rows(host, "microservice2", "SELECT name FROM products WHERE sku = 'old-1'")
    assert names == "Café"
    assert host.run("scripts/normalise", "microservice2", check=False).returncode == 1
