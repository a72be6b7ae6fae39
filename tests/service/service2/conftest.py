from functools import cache
from itertools import count
from types import SimpleNamespace

import pytest

from microservice2.app import create_app

app_of = cache(create_app)  # putting it together takes longer than most tests


@pytest.fixture
def app(fresh_service):
    return app_of(fresh_service("microservice2"))


@pytest.fixture
def images_dir(app, _services):
    """The folder from which Nginx would serve."""
    return _services(app.name).settings.images_dir


@pytest.fixture
def a_product(admin):
    """Returns a function that adds a product; what is not said is made up."""
    numbers = count(1)

    def add(**fields):
        body = {
            "sku": f"SKU-{next(numbers)}",
            "name": "Desk lamp",
            "category": "Lighting",
            "price": 29.90,
            "stock": 10,
            **fields,
        }
        answer = admin.post("/products", json=body)
        assert answer.status_code == 201, answer.text
        return SimpleNamespace(**answer.json)

    return add
