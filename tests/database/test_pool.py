"""The pool waits, checks and lets go; a database that hangs or dies costs a bounded time."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import pytest

from chassis import context, database, testing
from chassis.database import DatabaseUnavailable, Duplicate, StatementRefused, transaction


def test_a_borrower_waits_for_a_free_connection_and_then_gives_up(pool, caplog):
    with pool.connection(), pool.connection():
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="busy"), pool.connection():
            pass
        assert 0.4 < time.monotonic() - began < 4
    assert "all 2 connections of this process are busy" in caplog.text


def test_a_connection_that_comes_free_goes_to_whoever_waits(pool):
    with pool.connection():
        lent = pool.connection()
        lent.__enter__()
        threading.Timer(0.1, lent.__exit__, (None, None, None)).start()
        with transaction() as tx:
            assert tx.value("SELECT 1") == 1


WAITING = """
import sys, threading, time
from pathlib import Path
from chassis import testing

pool = testing.make_service("microservice2", sys.argv[1], Path(sys.argv[2])).database

def hold():
    with pool.connection():
        held.wait()
        for _ in range(30):  # of the time that it runs, 0.3 s
            time.sleep(0.01)

held = threading.Barrier(pool.size + 1)
for _ in range(pool.size):
    threading.Thread(target=hold).start()
held.wait()
print("waiting", flush=True)
with pool.connection():
    print("got one", flush=True)
"""


def test_a_computer_that_stands_still_costs_no_waiter_its_turn(own_url, keys):
    command = [sys.executable, "-c", WAITING, own_url("microservice2"), keys]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        waiting.send_signal(signal.SIGSTOP)
        time.sleep(1)
        waiting.send_signal(signal.SIGCONT)
        assert waiting.stdout.readline() == "got one\n"


def test_no_more_connections_are_opened_than_allowed_and_they_stay_open(pool):
    pids = set()
    for _ in range(50):
        with transaction() as tx:
            pids.add(tx.value("SELECT pg_backend_pid()"))

    assert len(pids) == 1


def test_a_pool_can_be_filled_before_anybody_asks(pool, rows):
    def backends():
        mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'microservice2'"
        return {pid for (pid,) in rows(mine)}

    before = backends()  # those of the test before may still be ending
    pool.fill()
    pool.fill()

    opened = backends() - before
    assert len(opened) == pool.size
    with pool.connection() as one, pool.connection() as another:
        assert {one.info.backend_pid, another.info.backend_pid} == opened


def test_a_database_that_is_away_is_left_to_the_requests(keys):
    away = testing.make_service("microservice2", "postgresql:///none?host=/nowhere", keys)

    away.database.fill()

    with pytest.raises(DatabaseUnavailable), away.database.connection():
        pass


def test_threads_that_begin_at_once_share_one_pool(own_url, keys, monkeypatch):
    monkeypatch.setattr(database, "POOL_WAIT_SECONDS", 10)  # all get their turn on any machine
    pids, barrier = [], threading.Barrier(8)

    def borrow():
        with pool_service.active():
            barrier.wait()
            with transaction() as tx:
                pids.append(tx.value("SELECT pg_backend_pid()"))
                tx.value("SELECT pg_sleep(0.05)")

    pool_service = testing.make_service("microservice2", own_url("microservice2"), keys)
    threads = [threading.Thread(target=borrow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool_service.database.close()

    assert len(pids) == 8
    assert len(set(pids)) <= 2


def test_a_connection_that_the_server_has_closed_is_not_lent_again(pool, rows):
    with transaction() as tx:
        pid = tx.value("SELECT pg_backend_pid()")
    rows("SELECT pg_terminate_backend(%(pid)s)", pid=pid)
    time.sleep(0.1)

    with transaction() as tx:
        assert tx.value("SELECT pg_backend_pid()") != pid


def test_a_server_that_freezes_ends_the_statement_at_its_deadline(pool):
    with transaction() as tx:
        pid = tx.value("SELECT pg_backend_pid()")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable), transaction() as tx:
            tx.value("SELECT 1")
        assert 1.0 < time.monotonic() - began < 6
    finally:
        os.kill(pid, signal.SIGCONT)

    with transaction() as tx:
        assert tx.value("SELECT pg_backend_pid()") != pid


def test_a_statement_never_outlives_the_request(pool):
    with context.work(request="test", seconds=0.2):
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable), transaction() as tx:
            tx.run("SET LOCAL statement_timeout = 0")
            tx.value("SELECT pg_sleep(5)")
        assert time.monotonic() - began < 4


def test_a_slow_statement_is_ended_by_the_server(pool):
    with pytest.raises(DatabaseUnavailable), transaction() as tx:
        tx.value("SELECT pg_sleep(5)")
    with transaction() as tx:
        assert tx.value("SELECT 1") == 1


def test_after_a_fork_the_child_has_connections_of_its_own(pool):
    with transaction() as tx:
        parents = tx.value("SELECT pg_backend_pid()")
    reader, writer = os.pipe()

    child = os.fork()
    if child == 0:
        with transaction() as tx:
            os.write(writer, str(tx.value("SELECT pg_backend_pid()")).encode())
        os._exit(0)

    os.waitpid(child, 0)
    assert int(os.read(reader, 20)) != parents
    with transaction() as tx:
        assert tx.value("SELECT pg_backend_pid()") == parents


def test_what_fails_is_rolled_back_and_the_connection_can_be_used_again(pool, rows):
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        tx.run("INSERT INTO sales (order_id, state) VALUES (990, 'counted')")
        1 / 0  # noqa: B018

    assert rows("SELECT 1 FROM sales WHERE order_id = 990") == []


def test_a_transaction_with_a_failed_statement_is_never_a_success(service, rows):
    with pytest.raises(RuntimeError, match="rolled back"), transaction() as tx:
        tx.run("INSERT INTO sales (order_id, state) VALUES (991, 'counted')")
        with pytest.raises(Duplicate):
            tx.run("INSERT INTO sales (order_id, state) VALUES (991, 'counted')")

    assert rows("SELECT 1 FROM sales WHERE order_id = 991") == []


def test_all_statements_of_a_transaction_are_done_or_none_and_seen_together(pool, rows):
    with transaction() as tx:
        tx.run("INSERT INTO sales (order_id, state) VALUES (992, 'counted')")
        assert rows("SELECT 1 FROM sales WHERE order_id = 992") == []
        tx.run("INSERT INTO sales (order_id, state) VALUES (993, 'counted')")

    assert rows("SELECT count(*) FROM sales WHERE order_id IN (992, 993)") == [(2,)]


def test_what_is_queued_is_done_in_order_and_with_the_next_statement(pool, rows):
    with transaction() as tx:
        tx.queue("INSERT INTO sales (order_id, state) VALUES (%(id)s, 'counted')", id=994)
        tx.queue("UPDATE sales SET state = 'cancelled' WHERE order_id = %(id)s", id=994)
        assert tx.value("SELECT state FROM sales WHERE order_id = 994") == "cancelled"
        tx.queue("INSERT INTO sales (order_id, state) VALUES (995, 'counted')")

    assert rows("SELECT count(*) FROM sales WHERE order_id IN (994, 995)") == [(2,)]


def test_what_is_queued_is_forgotten_when_the_transaction_fails(pool, rows):
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        tx.queue("INSERT INTO sales (order_id, state) VALUES (996, 'counted')")
        1 / 0  # noqa: B018

    assert rows("SELECT 1 FROM sales WHERE order_id = 996") == []


def test_what_is_queued_and_refused_fails_the_transaction_as_a_whole(service, rows):
    with pytest.raises(Duplicate), transaction() as tx:
        tx.run("INSERT INTO sales (order_id, state) VALUES (997, 'counted')")
        tx.queue("INSERT INTO sales (order_id, state) VALUES (997, 'counted')")
        tx.queue("INSERT INTO sales (order_id, state) VALUES (998, 'counted')")

    assert rows("SELECT 1 FROM sales WHERE order_id IN (997, 998)") == []


def test_a_value_that_is_there_already_is_told_by_its_constraint(service):
    with pytest.raises(Duplicate) as refused, transaction() as tx:
        for _ in range(2):
            tx.run("INSERT INTO sales (order_id, state) VALUES (1, 'counted')")

    assert refused.value.constraint == "sales_pkey"


def test_values_are_bound_and_never_part_of_the_statement(service):
    with transaction() as tx:
        assert tx.value("SELECT %(x)s::text", x="'; DROP TABLE sales; --") == (
            "'; DROP TABLE sales; --"
        )


def test_a_commit_that_is_not_answered_is_never_a_success(pool, postgres):
    """A replica that never answers holds COMMIT up, and no timeout of the server's ends that."""
    server = postgres("postgres")
    try:
        testing.execute(server, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        testing.execute(server, "SELECT pg_reload_conf()")
        time.sleep(0.3)
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable), transaction() as tx:
            tx.run("SET LOCAL synchronous_commit = on")
            tx.run("INSERT INTO sales (order_id, state) VALUES (991, 'counted')")
        assert time.monotonic() - began < 6
    finally:
        testing.execute(server, "ALTER SYSTEM RESET synchronous_standby_names")
        testing.execute(server, "SELECT pg_reload_conf()")


def test_a_value_that_the_database_refuses_is_not_told(service):
    with pytest.raises(StatementRefused) as refused, transaction() as tx:
        tx.run(
            """
            INSERT INTO products (sku, name, category, price)
            VALUES ('ada@example.com', 'x', 'x', -1)
            """
        )

    assert str(refused.value) == "CheckViolation products_price_check"
    assert "ada@example.com" not in "".join(traceback.format_exception(refused.value))


def test_statements_are_limited_to_the_end_of_the_transaction(pool):
    with pytest.raises(DatabaseUnavailable), transaction() as tx:
        tx.limit_statements(0.1)
        tx.value("SELECT pg_sleep(0.9)")

    with transaction() as tx:
        tx.limit_statements(0.1)
        assert tx.value("SHOW statement_timeout") == "100ms"
    with transaction() as tx:
        assert tx.value("SHOW statement_timeout") == "1s"
