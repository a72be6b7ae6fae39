"""What uWSGI loads."""

from microservice1.app import create_app

app = create_app()
