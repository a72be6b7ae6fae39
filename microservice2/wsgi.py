"""What uWSGI loads."""

from microservice2.app import create_app

app = create_app()
