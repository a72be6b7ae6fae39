"""The real services, with the fixtures of orders' own tests."""

from tests.service.service3.conftest import *  # noqa: F403
