"""`GET /docs`: Swagger UI from the files of a package, no other host involved.

`/internal/docs` shows the internal routes, on the internal listener only, as them.
"""

from pathlib import Path

import flask
import flask_swagger_ui

from chassis.auth import public

_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="stylesheet" href="docs/own.css">
  <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
  <nav><a href="/">Quartet: all documents</a></nav>
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
  filter: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  persistAuthorization: true,
  validatorUrl: null,
});
"""

_OWN = """body { margin: 0 }
nav { padding: 10px 20px; background: #1b1b1b; font: 14px sans-serif }
nav a { color: #fff }
"""


def init_app(app, *, title):
    """Serve both pages and the files they need."""
    for name, path in (("docs", ""), ("internal_docs", "/internal")):
        app.register_blueprint(_pages(name, f"{path}/docs", title))


def _pages(name, path, title):
    docs = flask.Blueprint(name, __name__, url_prefix=path)

    @docs.get("")
    @public
    def page():
        answer = flask.make_response(_PAGE.format(title=title))
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @docs.get("/start.js")
    @public
    def start():
        return flask.Response(_START, mimetype="text/javascript")

    @docs.get("/own.css")
    @public
    def own():
        return flask.Response(_OWN, mimetype="text/css")

    @docs.get("/<path:file>")
    @public
    def files(file):
        return flask.send_from_directory(_FILES, file, max_age=86_400)

    return docs
