"""`GET /docs`: Swagger UI from the files of a package, no other host involved.

`/internal/docs` shows the internal routes. Both exist on the internal listener only.
"""

from pathlib import Path

import flask
import flask_swagger_ui

from chassis.auth import public

_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
# blob: Swagger UI shows an image that it has downloaded from such an address
_POLICY = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'"

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
  <nav><a href="{home}">Quartet: other documents</a></nav>
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

# A bar with the way back, no column that is always empty, and on a phone one column instead of two.
_OWN = """body { margin: 0 }
nav { padding: 10px 20px; background: #1b1b1b; font: 14px sans-serif }
nav a { color: #fff }
.swagger-ui .info { margin: 30px 0 }
.swagger-ui .info summary { padding: 4px 0; cursor: pointer }
.swagger-ui .response-col_links { display: none }

@media (max-width: 640px) {
  .swagger-ui .wrapper { padding: 0 10px }
  .swagger-ui .info .title { font-size: 26px }
  .swagger-ui .info thead { display: none }
  .swagger-ui .info tr { display: block; margin: 10px 0 }
  .swagger-ui .info tbody tr td { display: block; padding: 0 }
  .swagger-ui .filter .operation-filter-input { max-width: none; box-sizing: border-box }
  .swagger-ui .opblock-body table > thead { display: none }
  .swagger-ui .opblock-body table, .swagger-ui .opblock-body tbody,
  .swagger-ui .opblock-body tr, .swagger-ui .opblock-body td { display: block; width: auto }
  .swagger-ui .opblock-body td { min-width: 0; padding: 4px 0 }
  .swagger-ui .opblock-body select { max-width: 100% }
}
"""


def init_app(app, *, title):
    """Serve both pages and the files they need."""
    app.register_blueprint(_pages("docs", "/docs", title, home="/"))
    app.register_blueprint(_pages("internal_docs", "/internal/docs", title, home="../docs"))


def _pages(name, path, title, *, home):
    docs = flask.Blueprint(name, __name__, url_prefix=path)

    @docs.get("")
    @public
    def page():
        answer = flask.make_response(_PAGE.format(title=title, home=home))
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
