"""Logs: one JSON object a line on standard error, with the service and the request it belongs to.

No secret and no personal field is ever passed to a logger: routes instead of paths, ids instead of
names, no query strings, no bodies.
"""

import logging
import sys
from datetime import UTC, datetime

from pythonjsonlogger.orjson import OrjsonFormatter

from chassis import context


class _Formatter(OrjsonFormatter):
    def add_fields(self, log_data, record, message_dict):
        super().add_fields(log_data, record, message_dict)
        service = context.service.get(None)
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        log_data["time"] = stamp.replace("+00:00", "Z")
        log_data["level"] = record.levelname.lower()
        log_data["service"] = service.name if service else None
        log_data["request_id"] = context.request_id.get()


def configure(level):
    """Send everything from `level` ("INFO") upwards to standard error. Safe to call again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter("%(time)s%(level)s%(service)s%(name)s%(message)s%(request_id)s")
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("urllib3", "apispec"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
