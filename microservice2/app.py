"""The application: put together here, decided nowhere here."""

from chassis.app import create_service
from microservice2 import api


def create_app(service=None):
    """Return the WSGI application. service: see chassis.app.create_service."""
    return create_service(
        "microservice2",
        title="Quartet: products",
        description="What is for sale, at what price, and how much of it is left.",
        blueprints=api.blueprints,
        service=service,
    )
