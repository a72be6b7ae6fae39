"""The application: put together here, decided nowhere here."""

from chassis.app import create_service
from microservice1 import api
from microservice1.logic.rechecking import recheck


def create_app(service=None):
    """Return the WSGI application. service: see chassis.app.create_service."""
    return create_service(
        "microservice1",
        title="Quartet: users",
        description="Who they are, what they may do, and the points they have earned.",
        blueprints=api.blueprints,
        service=service,
        recheck_caller=recheck,
    )
