import pytest

from chassis import testing


@pytest.fixture
def service(fresh_service):
    """A service that nobody calls: only its database is of interest."""
    with fresh_service("microservice2").active() as service:
        yield service


@pytest.fixture
def pool(own_url, keys):
    """A pool of two connections, closed at the end."""
    service = testing.make_service("microservice2", own_url("microservice2"), keys)
    with service.active():
        yield service.database
    service.database.close()


@pytest.fixture
def rows(databases):
    return lambda sql, **values: testing.query(databases("microservice2"), sql, **values)
