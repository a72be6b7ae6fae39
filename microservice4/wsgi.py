"""What uWSGI loads."""

from microservice4.app import create_app

app = create_app()
