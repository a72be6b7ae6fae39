"""What uWSGI loads."""

from microservice3.app import create_app

app = create_app()
