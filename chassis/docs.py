"""`GET /docs`: Swagger UI from the files of a package, no other host involved."""

from pathlib import Path

import flask
import flask_swagger_ui

_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>{title}</title>
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: true,
  validatorUrl: null,
});
"""


def init_app(app, *, title):
    """Serve the page and the files it needs."""
    docs = flask.Blueprint("docs", __name__, url_prefix="/docs")

    @docs.get("")
    def page():
        answer = flask.make_response(_PAGE.format(title=title))
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @docs.get("/start.js")
    def start():
        return flask.Response(_START, mimetype="text/javascript")

    @docs.get("/<path:file>")
    def files(file):
        return flask.send_from_directory(_FILES, file, max_age=86_400)

    app.register_blueprint(docs)
