"""The application: put together here, decided nowhere here."""

from chassis.app import create_service
from microservice3 import api


def create_app(service=None):
    """Return the WSGI application. service: see chassis.app.create_service."""
    return create_service(
        "microservice3",
        title="Quartet: orders",
        description="What was bought by whom, and how far each order has come.",
        blueprints=api.blueprints,
        service=service,
    )
