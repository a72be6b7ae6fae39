"""`GET /metrics`, for Prometheus on the internal listener: requests by route, of all processes.

Labels are bounded: routes as they are declared, never paths; methods that HTTP knows.
"""

from prometheus_flask_exporter.multiprocess import MultiprocessInternalPrometheusMetrics

from chassis import metrics


def init_app(app):
    """Count and time every request, and serve `/metrics`."""
    metrics.write_as(_place())
    MultiprocessInternalPrometheusMetrics.for_app_factory(group_by=route).init_app(app)


def route(current_request):
    """The label `route`: the declared rule, and one for all that matches none."""
    rule = current_request.url_rule
    return rule.rule if rule else "none"


def _place():
    try:
        import uwsgi
    except ImportError:  # not under uWSGI: the tests
        return "alone"
    return str(uwsgi.worker_id())
