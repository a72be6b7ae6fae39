import pytest

from tests.system.stack import running_stack


@pytest.fixture(scope="session")
def stack():
    """Started once for all tests of this run; its folder has a space in its name on purpose."""
    with running_stack("quartet test ") as stack:
        yield stack


@pytest.fixture(scope="session")
def admin_token(stack):
    return stack.admin_token()
