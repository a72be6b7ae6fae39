"""Heads of subjects: what a lease looks for, so that its cost does not depend on what waits."""

import random
import threading
import time
from contextlib import contextmanager
from statistics import median

import psycopg2
import pytest

from chassis import migrate, outbox, testing
from chassis.database import transaction
from chassis.errors import Unavailable
from chassis.worker import BATCH, Worker

FEW, MANY = 3_000, 1_000_000


@pytest.fixture
def crowd(service, own_url, keys):
    """The service again, with a connection for each of many threads."""
    crowd = testing.make_service("microservice2", own_url("microservice2"), keys, connections=8)
    with crowd.active():
        yield crowd
    crowd.database.close()


def add(subject, text="1", lane="work"):
    with transaction() as tx:
        outbox.enqueue(tx, lane, subject=subject, message=text)


def lease(limit=BATCH, lane="work"):
    with transaction() as tx:
        return outbox.lease_messages(tx, lane, limit)


def settle_all(messages):
    with transaction() as tx:
        outbox.delivered(tx, messages)


def texts(messages):
    return [message.body.strip('"') for message in messages]


def drain():
    """Deliver everything that waits, in this thread. Returns the messages in order."""
    done = []
    while messages := lease():
        settle_all(messages)
        done += messages
    return done


@contextmanager
def flushed(action):
    """A transaction in which `action` is done, and which stays open for a while."""
    with transaction() as tx:
        action(tx)
        tx.value("SELECT 1")
        yield


def fill(rows, messages, subjects):
    """Let messages wait, number after number of each subject, by a statement of their own."""
    with testing.unhurried():
        rows(
            """
            INSERT INTO outbox (lane, subject, message, request_id)
            SELECT 'work', 'user/' || number %% %(subjects)s, '1', 'test'
              FROM generate_series(1, %(messages)s) AS number
            """,
            messages=messages,
            subjects=subjects,
        )


def rows_read(rows, action):
    """Return how many rows of the outbox an action has read."""
    counted = """
        SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'outbox'
    """
    flush = "SELECT pg_stat_force_next_flush()"
    with transaction() as tx:
        tx.run(flush)
    [(before,)] = rows(counted)
    with transaction() as tx:
        action(tx)
        tx.run(flush)
    [(after,)] = rows(counted)
    return after - before


def test_what_follows_a_head_goes_with_it_in_order(service):
    for text in ("1", "2", "3"):
        add("a", text)

    assert texts(lease()) == ["1", "2", "3"]


def test_subjects_share_the_room_and_nothing_is_leased_twice(service):
    for number in range(20):
        add("flood", f"flood {number}")
    add("stranger", "stranger")

    assert texts(lease(8)) == ["flood 0", "flood 1", "flood 2", "flood 3", "stranger"]
    assert lease(8) == []


def test_subjects_take_turns(service):
    for number in range(3):
        add("flood", f"flood {number}")
    add("stranger", "stranger")

    turns = []
    for _ in range(3):
        turns += lease(1)
        settle_all(turns[-1:])

    assert texts(turns) == ["flood 0", "stranger", "flood 1"]


def test_behind_a_message_that_is_locked_or_not_due_nothing_of_its_subject_is_leased(service, rows):
    for text in ("1", "2", "3"):
        add("a", text)

    with flushed(lambda tx: tx.run("SELECT FROM outbox WHERE message#>>'{}' = '2' FOR UPDATE")):
        messages = lease()
    assert texts(messages) == ["1"]

    rows("UPDATE outbox SET due_at = now() + interval '5 s' WHERE message#>>'{}' = '2'")
    settle_all(messages)
    assert lease() == []


def test_a_message_is_followed_as_long_as_more_waits_behind_it(service):
    for text in ("1", "2", "3"):
        add("a", text)

    leased = lease(2)
    assert [message.is_followed for message in leased] == [True, True]
    settle_all(leased)
    assert [message.is_followed for message in lease(2)] == [False]


@pytest.mark.parametrize("leave", ["delivered", "refused", "settled"])
def test_a_message_that_comes_while_its_head_goes_is_not_stranded(service, leave):
    """Whichever of the two begins first."""
    add("a", "head")
    [head] = lease()

    def go(tx):
        if leave == "delivered":
            outbox.delivered(tx, [head])
        elif leave == "refused":
            outbox.refused(tx, head, reason="no")
        else:
            outbox.settle(tx, "work", subject="a")

    def in_a_thread():
        with service.active(), transaction() as tx:
            go(tx)

    with flushed(lambda tx: outbox.enqueue(tx, "work", subject="a", message="came first")):
        going = threading.Thread(target=in_a_thread)
        going.start()
        time.sleep(0.2)  # so that it waits for this transaction, or has ended
    going.join()
    [head] = found = lease()
    assert texts(found) == ["came first"]

    with flushed(go):
        add("a", "came later")
    assert texts(lease()) == ["came later"]


def test_what_two_transactions_write_at_once_is_delivered_both(service):
    with flushed(lambda tx: outbox.enqueue(tx, "work", subject="a", message="1")):
        add("a", "2")

    assert sorted(texts(drain())) == ["1", "2"]


def test_what_is_rolled_back_strands_nothing(service):
    add("a", "1")
    [head] = lease()
    with pytest.raises(ZeroDivisionError), flushed(lambda tx: outbox.delivered(tx, [head])):
        add("a", "2")
        1 / 0  # noqa: B018
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        outbox.enqueue(tx, "work", subject="a", message="never")
        1 / 0  # noqa: B018
    settle_all([head])

    assert texts(drain()) == ["2"]


def test_under_load_from_all_sides_no_message_is_stranded_and_none_is_lost(crowd, rows):
    """Writers, workers that deliver, fail, refuse or put back, and an operator who replays."""
    written, seen, lock = set(), set(), threading.Lock()
    ends = time.monotonic() + 4

    def write(dice):
        texts = [f"{dice.random()}" for _ in range(dice.randint(1, 3))]
        with transaction() as tx:
            for text in texts:
                outbox.enqueue(tx, "work", subject=f"s/{dice.randint(1, 3)}", message=text)
            tx.value("SELECT 1")
            time.sleep(dice.random() * 0.01)
        with lock:
            written.update(texts)

    def work(dice):
        messages = lease(dice.randint(1, 6))
        if not messages:
            return time.sleep(0.002)
        done = messages[: dice.randint(0, len(messages))]
        with transaction() as tx:
            for message in messages[len(done) :]:
                if dice.random() < 0.3:
                    outbox.refused(tx, message, reason="no")
                elif dice.random() < 0.5:
                    outbox.put_back(tx, [message], seconds=0, reason="left")
                else:
                    outbox.postponed(tx, message, seconds=0.01, reason="silence")
        if done:
            with lock:
                seen.update(texts(done))
            settle_all(done)
        return None

    def replay(_dice):
        time.sleep(0.01)
        with transaction() as tx:
            for letter in tx.column("SELECT id FROM outbox WHERE state = 'dead' LIMIT 5"):
                outbox.replay_dead_letter(tx, letter)

    def go_on(act, seed):
        dice = random.Random(seed)
        with crowd.active():
            while time.monotonic() < ends:
                try:
                    act(dice)
                except Unavailable:  # a lock that is held for too long: the computer is busy
                    time.sleep(0.01)

    acts = [write, write, write, work, work, work, replay]
    threads = [threading.Thread(target=go_on, args=(act, seed)) for seed, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with crowd.active():
        for letter in rows("SELECT id FROM outbox WHERE state = 'dead'"):
            with transaction() as tx:
                outbox.replay_dead_letter(tx, *letter)
        rows("UPDATE outbox SET due_at = now()")
        seen.update(texts(drain()))

    assert rows("SELECT lane, subject, id, is_head FROM outbox") == []
    assert len(written) > 50
    assert written <= seen


def test_workers_that_share_a_lane_keep_the_order_of_each_subject(crowd):
    seen, may_end = {1: [], 2: []}, threading.Event()

    def work():
        with crowd.active():
            while messages := lease(5) or not may_end.is_set():
                if messages is not True:
                    for message in messages:
                        seen[int(message.subject)].append(int(message.body))
                    settle_all(messages)

    def write(subject):
        with crowd.active():
            for number in range(60):
                add(str(subject), number)

    writers = [threading.Thread(target=write, args=(subject,)) for subject in seen]
    workers = [threading.Thread(target=work) for _ in range(3)]
    for thread in writers + workers:
        thread.start()
    for thread in writers:
        thread.join()
    may_end.set()
    for thread in workers:
        thread.join()

    assert seen == {1: list(range(60)), 2: list(range(60))}


def long(value):
    return pytest.param(value, marks=pytest.mark.long)


@pytest.mark.parametrize("subjects", [1, FEW // 1000, FEW // 3])
def test_a_lease_reads_what_it_takes_however_much_waits(service, rows, subjects):
    """Freshly filled, without statistics, at every point while it drains."""
    rows("ALTER TABLE outbox SET (autovacuum_enabled = off)")
    try:
        fill(rows, FEW, subjects)
        left = FEW
        while left > 0:
            leased = []
            read = rows_read(rows, lambda tx, to=leased: to.extend(take(tx, BATCH)))
            assert read < 10 * BATCH, f"{read} rows read with {left} that wait"
            if leased:
                settle_all(leased)
            left -= len(leased)
    finally:
        rows("ALTER TABLE outbox RESET (autovacuum_enabled)")

    assert rows("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize("subjects", [1, MANY // 1000, MANY // 3])
def test_a_million_messages_drain_at_the_same_pace(service, rows, subjects):
    """Without statistics; only what autovacuum does besides is as on a host."""
    rows("ALTER TABLE outbox SET (autovacuum_analyze_threshold = 2000000000)")
    try:
        fill(rows, MANY, subjects)
        left = MANY
        while left > 0:
            part, leases, counts = max(0, left - MANY // 20), [], []
            while left > part:
                began = time.monotonic()
                leased = lease()
                leases.append(time.monotonic() - began)
                if leased:
                    settle_all(leased)
                left -= len(leased)
                if len(leases) % 50 == 0:
                    began = time.monotonic()
                    with transaction() as tx:
                        outbox.backlog(tx)
                    counts.append(time.monotonic() - began)
            assert median(leases) < 0.05, f"{median(leases)} s with {left} that wait"
            assert median(counts) < 0.05, f"{median(counts)} s to count with {left} that wait"
    finally:
        rows("ALTER TABLE outbox RESET (autovacuum_analyze_threshold)")


def take(tx, limit):
    return outbox.lease_messages(tx, "work", limit)


@pytest.mark.parametrize("statistics", ["none", "of one subject", "of an empty table"])
def test_statistics_lure_no_statement_into_reading_other_subjects(service, rows, statistics):
    if statistics == "of an empty table":
        rows("DELETE FROM outbox; ANALYZE outbox")
    add("early")
    fill(rows, FEW, 1)
    if statistics == "of one subject":
        rows("ANALYZE outbox")

    def stranger(tx):
        outbox.enqueue(tx, "work", subject="stranger", message="1")
        outbox.enqueue(tx, "work", subject="stranger", message="2")

    assert rows_read(rows, lambda tx: latest(tx, "early", 1)) < 10
    assert rows_read(rows, stranger) < 10
    assert rows_read(rows, lambda tx: take(tx, BATCH)) < 10 * BATCH
    assert rows_read(rows, lambda tx: outbox.lease_newest(tx, "work", 1)) < 20
    assert rows_read(rows, lambda tx: outbox.count_waiting(tx, "work", 10)) < 20
    assert rows_read(rows, lambda tx: outbox.settle(tx, "work", subject="stranger")) < 20
    assert rows_read(rows, lambda tx: latest(tx, "stranger", 1)) < 10
    assert rows_read(rows, lambda tx: latest(tx, "stranger", 2)) < 10


@pytest.mark.parametrize("messages", [FEW, long(300_000)])
def test_one_subject_with_a_flood_of_messages_does_not_hold_up_a_stranger(service, rows, messages):
    fill(rows, messages, 1)
    delivered, added_at, waited = [], [], []

    class Together:
        def __call__(self, message):
            self.together([message])

        def together(self, some):
            delivered.extend(message.subject for message in some)
            if len(delivered) > 4 * BATCH and not added_at:
                add("stranger")
                added_at.append((time.monotonic(), len(delivered)))
            if "stranger" in delivered[-BATCH:]:
                waited.append(time.monotonic() - added_at[0][0])
                worker.stop()

    worker = Worker(service, {"work": Together()})
    give_up = threading.Timer(20, worker.stop)
    give_up.start()
    worker.run()
    give_up.cancel()

    assert len(delivered) - added_at[0][1] <= 2 * BATCH
    assert waited[0] < 2


def test_what_waits_of_one_subject_goes_without_a_pause(service, rows):
    messages = 10 * BATCH
    fill(rows, messages, 1)
    began, seen = time.monotonic(), []

    class Together:
        def __call__(self, message):
            self.together([message])

        def together(self, some):
            seen.extend(message.id for message in some)
            if len(seen) == messages:
                worker.stop()

    worker = Worker(service, {"work": Together()})
    give_up = threading.Timer(30, worker.stop)
    give_up.start()
    worker.run()
    give_up.cancel()

    assert seen == sorted(seen)
    assert len(seen) == messages
    assert time.monotonic() - began < messages / BATCH, "a pause of a second after each round"


def test_a_lease_or_a_pause_that_is_longer_than_any_of_ours_is_over(service, rows):
    """The database's clock has stepped back by an hour since."""
    for text in ("1", "2"):
        add("a", text)
    lease()
    rows("UPDATE outbox SET due_at = due_at + interval '1 minute'")
    assert lease() == []

    rows("UPDATE outbox SET due_at = due_at + interval '1 hour'")
    assert texts(lease()) == ["1", "2"]


def latest(tx, subject, number, event_type="user.updated", to=("work",)):
    return outbox.publish_latest(tx, event_type, subject=subject, data={"n": number}, to=to)


def publish(event_type, number, **options):
    with transaction() as tx:
        return latest(tx, "user/1", number, event_type, **options)


WAITING = """
    SELECT lane, message->>'type', (message->'data'->>'n')::integer, message->>'id'
      FROM outbox
     ORDER BY id
"""


def test_a_state_that_waits_is_replaced_by_its_successor(service, rows):
    publish("user.updated", 1)
    last = publish("user.updated", 2)

    assert rows(WAITING) == [("work", "user.updated", 2, last)]


def test_events_of_another_type_keep_their_place(service, rows):
    for event_type, number in [
        ("user.registered", 1),
        ("user.updated", 2),
        ("user.promoted", 3),
        ("user.updated", 4),
        ("user.updated", 5),
    ]:
        publish(event_type, number)

    assert [number for _, _, number, _ in rows(WAITING)] == [1, 2, 3, 5]


def test_a_state_that_a_worker_has_is_not_changed(service, rows):
    publish("user.updated", 1)
    [leased] = lease()
    publish("user.updated", 2)
    publish("user.updated", 3)

    assert [number for _, _, number, _ in rows(WAITING)] == [1, 3]
    settle_all([leased])
    assert [message.body.partition('"n":')[2][:1] for message in lease()] == ["3"]


def test_a_state_is_replaced_for_those_receivers_for_which_it_waits(service, rows):
    publish("user.updated", 1, to=["first", "second"])
    settle_all(lease(lane="first"))
    publish("user.updated", 2, to=["first", "second"])

    assert sorted(row[:3] for row in rows(WAITING)) == [
        ("first", "user.updated", 2),
        ("second", "user.updated", 2),
    ]


def test_a_dead_letter_is_not_replaced(service, rows):
    publish("user.updated", 1)
    [message] = lease()
    with transaction() as tx:
        outbox.refused(tx, message, reason="no")
    publish("user.updated", 2)

    assert [number for _, _, number, _ in rows(WAITING)] == [1, 2]


def test_a_replayed_letter_holds_up_what_waits_of_its_subject(service, rows):
    for text in ("1", "2", "3"):
        add("a", text)
    first, second, _ = lease()
    with transaction() as tx:
        outbox.refused(tx, first, reason="no")
        outbox.refused(tx, second, reason="no")
    rows("UPDATE outbox SET due_at = now(), lease = NULL")
    rows("UPDATE outbox SET state = 'waiting' WHERE state = 'dead'")

    [replayed, *_] = lease()
    assert replayed.id == first.id
    with transaction() as tx:
        outbox.postponed(tx, replayed, seconds=60, reason="silence")
    rows("UPDATE outbox SET due_at = now() WHERE id <> %(id)s", id=first.id)
    assert lease() == []


@pytest.fixture
def old_database(postgres):
    """A connection to a database whose outbox is that of the previous release."""
    name = "outbox_before"
    old = [m for m in migrate.migrations_of("microservice2") if m.name < "chassis/0005"]
    with testing.unhurried():
        testing.execute(
            postgres("postgres"),
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name}",
        )
        connection = psycopg2.connect(postgres(name))
        migrate.migrate(connection, old, say=lambda _line: None)
        yield connection
        connection.close()


OLD_INSERT = """
    INSERT INTO outbox (lane, subject, message, request_id, state)
    VALUES ('work', %s, to_json(%s::text), 'test', %s)
"""
OLD_DELETE = "DELETE FROM outbox WHERE message#>>'{}' = %s"


def test_messages_of_the_previous_release_are_carried_over_and_its_writes_go_on(old_database):
    with old_database.cursor() as cursor:
        for subject, text, state in [
            ("a", "dead", "dead"),
            ("a", "a1", "waiting"),
            ("a", "a2", "waiting"),
            ("b", "b1", "waiting"),
        ]:
            cursor.execute(OLD_INSERT, (subject, text, state))
        migrate.migrate(
            old_database, migrate.migrations_of("microservice2"), say=lambda _line: None
        )
        heads = "SELECT message#>>'{}' FROM outbox WHERE is_head ORDER BY id"

        def found():
            cursor.execute(heads)
            return [text for (text,) in cursor]

        assert found() == ["a1", "b1"]
        cursor.execute(OLD_INSERT, ("a", "a3", "waiting"))
        cursor.execute(OLD_INSERT, ("c", "c1", "waiting"))
        assert found() == ["a1", "b1", "c1"]
        cursor.execute(OLD_DELETE, ("a1",))
        assert found() == ["a2", "b1", "c1"]
        cursor.execute("UPDATE outbox SET state = 'dead' WHERE message#>>'{}' = 'a2'")
        assert found() == ["b1", "a3", "c1"]
