"""All that an operator does to a host in a year, in a few minutes, under a steady load."""

import statistics
import time

import pytest

from chassis.settings import SERVICES

ROUNDS = 5
QUIET_SECONDS = 15
LARGEST_FACTOR = 3  # between the 99th percentile while it is deployed, and undisturbed
FEWEST_REQUESTS = 20_000

pytestmark = pytest.mark.slow


def reload_one_by_one(host, service):
    fifo = f"/run/microservices/{service}/fifo"
    host.run("sh", "-c", f"echo c > {fifo}; sleep 6")


def test_nobody_is_refused_whatever_is_done(host, under_load, a_release):
    with under_load() as load:
        started = time.monotonic()
        for service in SERVICES:
            a_release(f"{service}/__init__.py", '"""', '"""Of another year. ')
            host.run("scripts/deploy", "--watch", "3", service)
            host.run("scripts/rollback", service)
            host.run("scripts/scale", service, "--processes", "3")
            reload_one_by_one(host, service)
            host.run("scripts/scale", service, "--processes", "2")
            host.run("scripts/restart", service)
            host.run("systemctl", "reload", "nginx")
        time.sleep(max(0, FEWEST_REQUESTS / load.rate - (time.monotonic() - started)))

    assert load.requests >= FEWEST_REQUESTS
    assert (load.failed, load.failures) == (0, [])


def test_a_deployment_is_hardly_noticed(host, under_load, a_release, record_property):
    quiet, deploying, reloading = [], [], []
    for number in range(ROUNDS):
        with under_load() as load:
            time.sleep(QUIET_SECONDS)
        quiet.append(load.p99)
        a_release("microservice3/__init__.py", '"""', f'"""Round {number}. ')
        with under_load() as load:
            host.run("scripts/deploy", "microservice3")
        deploying.append(load.p99)
        with under_load() as load:
            reload_one_by_one(host, "microservice3")
        reloading.append(load.p99)

    undisturbed = statistics.median(quiet)
    for name, figures in (("quiet", quiet), ("deploying", deploying), ("reloading", reloading)):
        record_property(f"p99_{name}_seconds", figures)
        print(name, [f"{seconds * 1000:.0f} ms" for seconds in figures])
    assert statistics.median(deploying) <= LARGEST_FACTOR * undisturbed
    assert statistics.median(reloading) <= LARGEST_FACTOR * undisturbed
