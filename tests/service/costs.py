"""CPU time, for tests that compare what two requests cost."""

import time
from contextlib import suppress

from flask import Flask, request

from chassis import wire

SLACK_SECONDS = 0.005  # a ratio of what takes a millisecond or two tells of the machine


def seconds_of(action, tries=15):
    """Return the CPU seconds of the action, the least of some tries: the machine is shared."""

    def seconds():
        began = time.process_time()
        action()
        return time.process_time() - began

    return min(seconds() for _ in range(tries))


def seconds_of_parsing(body):
    """Return the CPU seconds of an application that receives and parses the body, no more."""
    parser = Flask("parser")

    @parser.post("/")
    def parse():
        with suppress(wire.MalformedJson):
            wire.loads(request.get_data())
        return "{}"

    client = parser.test_client()
    return seconds_of(lambda: client.post("/", data=body))
