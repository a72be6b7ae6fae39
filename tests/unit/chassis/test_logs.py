"""A line of the log: what scripts/trace and a person at night read."""

import json
import logging
from datetime import datetime

import pytest

from chassis import logs


@pytest.fixture
def root():
    """The root logger, put back as it was at the end."""
    logger = logging.getLogger()
    handlers, level = logger.handlers, logger.level
    yield logger
    logger.handlers = handlers
    logger.setLevel(level)


def test_a_line_tells_its_moment_finer_than_a_millisecond(root):
    """A service begins less than one after Nginx, and scripts/trace shows them in order."""
    logs.configure("INFO")
    record = logging.makeLogRecord({"created": 1_700_000_000.000_345, "msg": "request"})

    line = json.loads(root.handlers[0].format(record))

    assert line["time"] == "2023-11-14T22:13:20.000345Z"
    assert datetime.fromisoformat(line["time"]).timestamp() == record.created
