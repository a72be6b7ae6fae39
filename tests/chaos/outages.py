"""What clients notice while a part of a stack is away. See tests/chaos/outages.

    shop = Shop(stack)
    figures = frozen_database(shop, seconds=15)
    broken(figures)     # ["..."]: the limits that were not kept

Every figure that has a limit stands beside it: {"slowest_seconds": 1.4, "slowest_seconds_most": 6}.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import requests

from tests.chaos.world import count_orders_under_way
from tests.processes import children, is_alive
from tests.stack import running_stack

RESULTS = Path(__file__).parent / "results"
PROCESSES, THREADS = 3, 4  # of each service, one of them for internal requests; of each of those
PRODUCTS = 12
CLIENTS = 6  # at once
ROUNDS = 5
REQUESTS = 40  # of a round, to each service
LONGEST_WAIT_SECONDS = 60

# A request of each service that reads its database.
READS = {
    "microservice1": "/api/service1/users/me",
    "microservice2": "/api/service2/products?limit=1",
    "microservice3": "/api/service3/orders?limit=1",
    "microservice4": "/api/service4/notifications?limit=1",
}


class Shop:
    """A stack with a customer, and products of which there is enough."""

    def __init__(self, stack):
        self.stack = stack
        self._thread = threading.local()
        name = f"outages-{uuid.uuid4().hex[:12]}"
        login = {"username": name, "password": "correct horse battery"}
        self._made("/api/service1/users", login | {"email": f"{name}@shop.example"})
        self.token = self._made("/api/service1/tokens", login)["access_token"]
        admin = stack.admin_token()
        self.products = [self._product(f"{name}-{n}", admin) for n in range(PRODUCTS)]

    def read(self, service):
        """Read something of a service's database. Returns an Answer."""
        return self._answer("GET", READS[service])

    def order(self):
        """Place an order for one of the products. Returns an Answer."""
        items = [{"product_id": random.choice(self.products), "quantity": 1}]
        return self._answer("POST", "/api/service3/orders", json={"items": items})

    def _answer(self, method, path, **options):
        """Call through a connection of the thread's own, which costs less than a new one."""
        if not hasattr(self._thread, "session"):
            self._thread.session = requests.Session()
            self._thread.session.headers["Authorization"] = f"Bearer {self.token}"
        began = time.monotonic()
        answer = self._thread.session.request(method, self.stack.url + path, timeout=15, **options)
        return Answer(answer, time.monotonic() - began)

    def _product(self, sku, admin):
        product = {"sku": sku, "name": "Desk lamp", "category": "Lighting"}
        product |= {"price": 29.90, "stock": 1_000_000}
        return self._made("/api/service2/products", product, admin)["id"]

    def _made(self, path, body, token=None):
        answer = self.stack.call("POST", path, json=body, token=token)
        assert answer.ok, answer.text
        return answer.json()


class Answer:
    """status, seconds, and `kind`: `201`, or `503 unavailable` for a problem in our own shape."""

    def __init__(self, answer, seconds):
        self.status, self.seconds = answer.status_code, seconds
        self.kind = str(answer.status_code)
        if answer.headers.get("Content-Type") == "application/problem+json":
            self.kind += f" {answer.json()['code']}"


def broken(figures):
    """Return the limits that figures do not keep, a line each."""
    return [
        f"{name.removesuffix('_most')} is {figures[name.removesuffix('_most')]}, at most {most}"
        for name, most in figures.items()
        if name.endswith("_most") and not _within(figures[name.removesuffix("_most")], most)
    ]


def _within(figure, most):
    return set(figure) <= set(most) if isinstance(most, list) else figure <= most


# ---- a frozen database


def frozen_database(shop, *, service="microservice2", seconds):
    """Freeze the database of one service for a while, and ask all four of them.

    Returns the slowest answer of that service, how much slower the others' medians are than before,
    and how long it took to serve again.
    """
    others = [name for name in READS if name != service]
    before = _medians(shop, others, 0)
    with _asked_on(lambda: shop.read(service)) as asked:
        with _frozen(_backends(shop.stack, service)):
            during = _medians(shop, others, seconds / ROUNDS)
            asked.clients_may_end()
        healed = _seconds_until(lambda: shop.read(service).status == 200)
    ratios = {name: round(during[name] / before[name], 2) for name in others}
    return {
        "requests_to_it": len(asked.answers),
        "answers": Counter(answer.kind for answer in asked.answers),
        "answers_most": ["200", "503 unavailable"],
        "slowest_seconds": round(max(answer.seconds for answer in asked.answers), 2),
        "slowest_seconds_most": 6,
        "milliseconds_of_the_others_before": _in_milliseconds(before),
        "milliseconds_of_the_others_meanwhile": _in_milliseconds(during),
        "times_of_before": max(ratios.values()),
        "times_of_before_most": 1.5,
        "healed_seconds": healed,
        "healed_seconds_most": 3,
    }


def _medians(shop, services, pause):
    """Return {service: seconds}: the median of some rounds, each of them the median of requests."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        rounds.append({name: _median_of_a_round(shop, name) for name in services})
        time.sleep(max(0.0, began + pause - time.monotonic()))
    return {name: median(figures[name] for figures in rounds) for name in services}


def _median_of_a_round(shop, service):
    answers = [shop.read(service) for _ in range(REQUESTS)]
    assert {answer.status for answer in answers} == {200}, Counter(a.kind for a in answers)
    return median(answer.seconds for answer in answers)


def _in_milliseconds(figures):
    return {name: round(seconds * 1000, 1) for name, seconds in figures.items()}


def _backends(stack, service):
    """Return a function: the server processes of a service's database, also those begun since."""
    postmaster = int((stack.var / "postgres/postmaster.pid").read_text().split()[0])
    of_others = set()

    def find():
        found = []
        for pid in set(children(postmaster)) - of_others:
            with suppress(FileNotFoundError, ProcessLookupError):
                title = Path(f"/proc/{pid}/cmdline").read_text()
                if title.startswith(f"postgres: {service} {service} "):
                    found.append(pid)
                elif title.startswith("postgres: "):
                    of_others.add(pid)  # a title is given once, with the first packet
        return found

    return find


@contextmanager
def _frozen(find):
    """Stop (SIGSTOP) the processes that find() returns, again and again: there may come more."""
    stopped, end = set(), threading.Event()

    def freeze():
        while not end.wait(0.02):
            for pid in set(find()) - stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    stopped.add(pid)

    freezing = threading.Thread(target=freeze)
    freezing.start()
    try:
        yield
    finally:
        end.set()
        freezing.join()
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# ---- a neighbour that is down


def neighbour_down(shop, how, *, seconds, rate):
    """Place orders while Products is stopped or hangs (a key of DOWN), and wait for their ends.

    Returns how they were answered, how many calls Products was sent, and when all had ended.
    """
    log = shop.stack.var / "log/access.log"
    with DOWN[how](shop.stack, "microservice2"):
        began = log.stat().st_size
        answers = _place(shop, seconds, rate)
        calls = _calls_in(log, began, "/api/service2/")
    shop.stack.function("await_ready", "microservice2")
    ended = _seconds_until(lambda: count_orders_under_way(shop.stack) == 0, pause=0.5)
    return {
        "orders": len(answers),
        "answers": Counter(answer.kind for answer in answers),
        "answers_most": ["201", "202", "503 unavailable"],
        "slowest_seconds": round(max(answer.seconds for answer in answers), 2),
        "slowest_seconds_most": 6,
        "calls": calls,
        "calls_most": int(len(answers) * 1.1),
        "ended_seconds": ended,
        "ended_seconds_most": 15,
    }


def _place(shop, seconds, rate):
    with ThreadPoolExecutor(max(CLIENTS, int(rate * LONGEST_WAIT_SECONDS / 4))) as clients:
        began, placed = time.monotonic(), []
        for number in range(int(seconds * rate)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            placed.append(clients.submit(shop.order))
        return [order.result() for order in placed]


def _calls_in(log, began, path):
    """Count the calls between services in Nginx's log since it had so many bytes."""
    with log.open("rb") as lines:
        lines.seek(began)
        entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return sum(
        entry["listener"] == "internal" and entry["path"].startswith(path) for entry in entries
    )


@contextmanager
def _stopped(stack, service):
    """Its socket is there and nobody listens: Nginx answers at once."""
    stack.function("stop_service", service)
    try:
        yield
    finally:
        stack.function("start_service", service)


@contextmanager
def _hanging(stack, service):
    """Its socket takes connections and nobody answers."""
    master, worker = _pid(stack, service), _pid(stack, f"{service}.worker")
    with _frozen(lambda: [master, worker, *children(master)]):
        time.sleep(0.1)
        yield


DOWN = {"stopped": _stopped, "hanging": _hanging}


# ---- processes that are killed


def killed_process(shop, *, service="microservice2", times):
    """Kill (SIGKILL) one of a service's uWSGI processes, several times, while clients read.

    Returns how many requests failed at most by one of them.
    """
    lost = []
    for number in range(times):
        with _asked_on(lambda: shop.read(service)) as asked:
            asked.wait_for_more(50)
            processes = children(_pid(shop.stack, service))
            os.kill(processes[number % len(processes)], signal.SIGKILL)
            asked.wait_for_more(100)
            _seconds_until(lambda: len(children(_pid(shop.stack, service))) == PROCESSES)
            asked.wait_for_more(100)
            asked.clients_may_end()
        lost.append(sum(answer.status != 200 for answer in asked.answers))
    return {"lost_by_each": lost, "lost": max(lost), "lost_most": THREADS}


def killed_master(shop, *, service="microservice2"):
    """Kill (SIGKILL) a service's uWSGI master, and start it anew when its processes have ended.

    Returns how long they lived on, and what a hundred requests were answered afterwards.
    """
    stack, master = shop.stack, _pid(shop.stack, service)
    workers = children(master)
    os.kill(master, signal.SIGKILL)
    gone = _seconds_until(lambda: not any(is_alive(pid) for pid in (master, *workers)))
    stack.function("start_uwsgi", service)
    stack.function("await_ready", service)
    return {
        "orphans_ended_seconds": gone,
        "orphans_ended_seconds_most": 5,
        "answers": Counter(shop.read(service).kind for _ in range(100)),
        "answers_most": ["200"],
    }


# ---- small things


class _Asked:
    """Clients that ask one after the other. `answers`: what they have got."""

    def __init__(self, ask):
        self._ask = ask
        self._end = threading.Event()
        self.answers = []

    def ask_on(self):
        while not self._end.is_set():
            self.answers.append(self._ask())

    def wait_for_more(self, count):
        wanted = len(self.answers) + count
        _seconds_until(lambda: len(self.answers) >= wanted)

    def clients_may_end(self):
        self._end.set()


@contextmanager
def _asked_on(ask):
    """Let some clients ask until they may end. Yields an _Asked."""
    asked = _Asked(ask)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(asked.ask_on) for _ in range(CLIENTS)]
        try:
            yield asked
        finally:
            asked.clients_may_end()
    for client in clients:
        client.result()  # raises what it has met


def _seconds_until(is_so, pause=0.02):
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > LONGEST_WAIT_SECONDS:
            raise TimeoutError(f"it is not so after {LONGEST_WAIT_SECONDS} s")
        time.sleep(pause)
    return round(time.monotonic() - began, 2)


def _pid(stack, name):
    return int((stack.var / f"run/{name}.pid").read_text())


# ---- the whole


def measure(shop, *, seconds, rate, say=print):
    """Measure all outages, one after the other. Returns {name: figures}."""
    outages = {
        "a frozen database": lambda: frozen_database(shop, seconds=15),
        "a neighbour that is stopped": lambda: neighbour_down(
            shop, "stopped", seconds=seconds, rate=rate
        ),
        "a neighbour that hangs": lambda: neighbour_down(
            shop, "hanging", seconds=seconds, rate=rate
        ),
        "a killed process": lambda: killed_process(shop, times=6),
        "a killed master": lambda: killed_master(shop),
    }
    found = {}
    for name, outage in outages.items():
        say(f"{name} ...")
        found[name] = outage()
        for figure, value in found[name].items():
            say(f"    {figure}: {dict(value) if isinstance(value, Counter) else value}")
    return found


def main():
    arguments = argparse.ArgumentParser(prog="tests/chaos/outages")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--rate", type=float, default=20.0)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    print("starting a stack", flush=True)
    with running_stack("quartet-outages-") as stack:
        found = measure(
            Shop(stack),
            seconds=given.seconds,
            rate=given.rate,
            say=lambda line: print(line, flush=True),
        )
    lines = [f"{name}: {line}" for name, figures in found.items() for line in broken(figures)]
    given.results.mkdir(parents=True, exist_ok=True)
    report = json.dumps({**found, "not_as_promised": lines}, indent=2)
    (given.results / "outages.json").write_text(report + "\n")
    print("\n".join(["", *lines]) if lines else "\nAll is as promised.")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
