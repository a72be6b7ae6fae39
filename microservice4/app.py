"""The application: put together here, decided nowhere here."""

from chassis.app import create_service
from microservice4 import api


def create_app(service=None):
    """Return the WSGI application. service: see chassis.app.create_service."""
    return create_service(
        "microservice4",
        title="Quartet: notifications",
        description="What happened, told to customers by e-mail.",
        blueprints=api.blueprints,
        service=service,
    )
