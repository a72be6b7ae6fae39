"""A steady stream of requests through Nginx, from inside a machine: so many a second.

Usage: load.py RATE    with a token as the first line of standard input; when that is closed, it
ends and prints what it saw as JSON

Each request has a connection of its own and starts when its time has come, whether or not the one
before is answered: a service that is away for a second is asked all the same.
"""

import http.client
import itertools
import json
import sys
import threading
import time

PATHS = (
    "/api/service1/users/me",
    "/api/service2/products",
    "/api/service3/orders",
    "/api/service4/notifications",
)
THREADS = 64
ANSWER_SECONDS = 10


class Load:
    """Calls the four services in turn. seen: (start, seconds, path, status or what went wrong)."""

    def __init__(self, rate, token):
        self._headers = {"Authorization": f"Bearer {token}"}
        self._pause = 1 / rate
        self._numbers = itertools.count()
        self._began = time.monotonic()
        self.seen = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._call_in_turn) for _ in range(THREADS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Wait for the answers that are still to come."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _call_in_turn(self):
        while not self._stopped.is_set():
            number = next(self._numbers)
            due = self._began + number * self._pause
            if self._stopped.wait(max(0, due - time.monotonic())):
                return
            path = PATHS[number % len(PATHS)]
            outcome = self._call(path)
            self.seen.append((due, time.monotonic() - due, path, outcome))

    def _call(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()


def summary(seen):
    slow = sorted(seconds for _, seconds, _, _ in seen)
    failed = [(path, outcome) for _, _, path, outcome in seen if outcome != 200]
    failed_at = [due for due, _, _, outcome in seen if outcome != 200]
    return {
        "requests": len(seen),
        "failed": len(failed),
        "failures": failed[:20],
        "failing_seconds": max(failed_at) - min(failed_at) if failed else 0,
        "p50": slow[len(slow) // 2],
        "p99": slow[int(len(slow) * 0.99)],
        "longest": slow[-1],
    }


def main():
    load = Load(float(sys.argv[1]), sys.stdin.readline().strip())
    load.start()
    sys.stdin.read()
    load.stop()
    print(json.dumps(summary(load.seen)))


if __name__ == "__main__":
    main()
