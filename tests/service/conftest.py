"""One service at a time: its real application on a real database, called as whoever may call it.

Each folder below says in its own conftest.py which service it is about, by the fixture `app`.
"""

import pytest

from chassis import testing

CUSTOMER, OTHER_CUSTOMER, ADMIN = 7, 8, 1


@pytest.fixture
def as_user(app, keys):
    """Returns a function: a client signed in as the user of that id."""
    return lambda user_id, role="customer": testing.Client(
        app, testing.user_token(keys, user_id, role)
    )


@pytest.fixture
def as_service(app, keys):
    """Returns a function: a client that is another service, on the internal listener."""
    return lambda name: testing.Client(
        app, testing.service_token(keys, name, app.name), internal=True
    )


@pytest.fixture
def anonymous(app):
    return testing.Client(app)


@pytest.fixture
def customer(as_user):
    return as_user(CUSTOMER)


@pytest.fixture
def other_customer(as_user):
    return as_user(OTHER_CUSTOMER)


@pytest.fixture
def admin(as_user):
    return as_user(ADMIN, "admin")


@pytest.fixture
def users_service(as_service):
    return as_service("microservice1")


@pytest.fixture
def products_service(as_service):
    return as_service("microservice2")


@pytest.fixture
def orders_service(as_service):
    return as_service("microservice3")


@pytest.fixture
def notifications_service(as_service):
    return as_service("microservice4")


@pytest.fixture
def rows(app, databases):
    """Returns a function: the rows that a statement finds in the service's own database."""
    return lambda sql, **values: testing.query(databases(app.name), sql, **values)
