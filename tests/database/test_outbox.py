"""The outbox: what is written with a change is delivered after it, in order, until it is done."""

import logging
import threading
import time
from collections import Counter

import pytest

from chassis import outbox
from chassis.database import listening, transaction
from chassis.errors import Unavailable
from chassis.http import NeighbourUnavailable, NotCalled, RemoteProblem
from chassis.testing import deliver_all
from chassis.worker import SHARE, EventsTo, Parallel, Prompt, Refused, Worker


@pytest.fixture
def enqueue(service):
    def add(subject, text, lane="work"):
        with transaction() as tx:
            outbox.enqueue(tx, lane, subject=subject, message=text)

    return add


def lease(limit=16):
    with transaction() as tx:
        return outbox.lease_messages(tx, "work", limit)


def test_a_message_that_is_leased_is_not_leased_again(enqueue):
    enqueue("a", "one")

    assert [message.body for message in lease()] == ['"one"']
    assert lease() == []


def test_what_is_rolled_back_is_never_delivered(service):
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        outbox.enqueue(tx, "work", subject="a", message=1)
        1 / 0  # noqa: B018

    assert lease() == []


def test_a_row_that_somebody_is_just_leasing_is_passed_over_without_waiting(enqueue):
    enqueue("a", "one")
    enqueue("b", "two")

    with transaction() as tx:
        first = outbox.lease_messages(tx, "work", 1)
        second = lease()  # in a transaction of its own, beside the first

    assert sorted(message.body for message in [*first, *second]) == ['"one"', '"two"']


def test_a_change_that_commits_late_is_not_lost(service):
    """Rows are chosen by their state and not by their place: a lower id may appear later."""
    with transaction() as late:
        outbox.enqueue(late, "work", subject="late", message="late")
        with transaction() as early:
            outbox.enqueue(early, "work", subject="early", message="early")
        with transaction() as tx:
            outbox.delivered(tx, outbox.lease_messages(tx, "work", 16))

    assert [message.body for message in lease()] == ['"late"']


def test_messages_of_one_subject_go_in_order_and_others_do_not_wait(enqueue):
    enqueue("a", "a1")
    enqueue("a", "a2")
    enqueue("b", "b1")

    assert [message.body for message in lease()] == ['"a1"', '"a2"', '"b1"']


def test_the_newest_message_can_be_leased_before_older_ones_but_not_before_its_subject(enqueue):
    for subject, text in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1"), ("b", "b2")]:
        enqueue(subject, text)

    found = []
    for _ in range(4):
        with transaction() as tx:
            found += [message.body for message in outbox.lease_newest(tx, "work", 1)]

    assert found == ['"c1"', '"b1"', '"a1"']


def test_what_waits_in_a_lane_is_counted_to_a_limit(enqueue):
    for number in range(5):
        enqueue("a", number)
    enqueue("a", "elsewhere", lane="other")
    lease(2)

    with transaction() as tx:
        assert [outbox.count_waiting(tx, "work", most) for most in (9, 3)] == [5, 3]


def test_in_a_prompt_lane_what_is_new_does_not_wait_for_a_backlog(enqueue, service):
    seen = []

    def work(message):
        seen.append(message.body)
        if message.body == '"new"':
            worker.stop()
        elif len(seen) == 1:
            enqueue("new", "new")
        time.sleep(0.1)

    for number in range(20):
        enqueue(f"subject {number}", number)
    worker = Worker(service, {"work": Prompt(work, threads=2)})
    give_up = threading.Timer(20, worker.stop)
    give_up.start()
    worker.run()
    give_up.cancel()

    assert seen.index('"new"') < 10


def test_a_lease_that_has_ended_is_anothers_and_the_first_can_settle_nothing(enqueue, rows):
    enqueue("a", "one")
    first = lease()
    rows("UPDATE outbox SET due_at = now()")
    second = lease()

    with transaction() as tx:
        outbox.delivered(tx, first)
        outbox.postponed(tx, first[0], seconds=0, reason="late")
        outbox.refused(tx, first[0], reason="late")

    assert rows("SELECT state, lease::text FROM outbox") == [("waiting", second[0].lease)]


def test_two_workers_share_the_work_and_do_nothing_twice(enqueue, service):
    for number in range(60):
        enqueue(f"subject {number}", number)
    seen, lock = [], threading.Lock()

    def work(message):
        with lock:
            seen.append(message.body)

    def run():
        deliver_all(Worker(service, {"work": work}))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(int, seen)) == list(range(60))


@pytest.mark.parametrize(
    ("failure", "state", "most_seconds"),
    [
        (Unavailable("not now"), "waiting", 5),
        (Refused("never"), "dead", 0),
        (RemoteProblem("microservice2", 403, {"code": "forbidden"}), "waiting", 60),
        (KeyError("a mistake of ours"), "waiting", 60),
    ],
    ids=str,
)
def test_what_a_failure_means(enqueue, service, rows, failure, state, most_seconds):
    enqueue("a", "one")

    def fail(_message):
        raise failure

    Worker(service, {"work": fail}).step("work")

    [(found, error, seconds, lease)] = rows(
        "SELECT state, last_error, extract(epoch FROM due_at - now())::float, lease FROM outbox"
    )
    assert found == state
    assert error
    assert lease is None
    if state == "waiting":
        assert seconds <= most_seconds
        assert seconds > 50 or most_seconds < 60


def test_a_dead_letter_does_not_hold_up_what_comes_after_it(enqueue, service):
    enqueue("a", "bad")
    enqueue("a", "good")
    seen = []

    def work(message):
        if message.body == '"bad"':
            raise Refused("bad")
        seen.append(message.body)

    deliver_all(Worker(service, {"work": work}))

    assert seen == ['"good"']


def test_a_failure_holds_up_its_own_subject_only(enqueue, service, rows):
    for text in ("a1", "a2", "a3", "b1"):
        enqueue(text[0], text)
    seen = []

    def work(message):
        if message.body == '"a2"':
            raise Unavailable
        seen.append(message.body)

    worker = Worker(service, {"work": work})
    assert worker.step("work") == 3

    assert seen == ['"a1"', '"b1"']
    assert rows("SELECT message#>>'{}', attempts FROM outbox ORDER BY id") == [("a2", 1), ("a3", 0)]
    worker.step("work")
    assert seen == ['"a1"', '"b1"']


def test_whoever_listens_hears_at_once_which_lane_has_something(enqueue, service):
    with listening("outbox") as notified:
        assert notified(0.05) == set()
        threading.Timer(0.1, _in(service, enqueue), ("a", "one")).start()
        began = time.monotonic()
        assert notified(5) == {"work"}
        assert time.monotonic() - began < 4


def test_a_held_task_wakes_nobody_until_it_is_handed_over(service):
    with listening("outbox") as notified:
        with transaction() as tx:
            lease = outbox.enqueue_held(tx, "work", subject="a", message="one")
        assert notified(0.2) == set()
        with transaction() as tx:
            outbox.hand_over(tx, "work", subject="a", lease=lease)
        assert notified(5) == {"work"}


def test_a_worker_delivers_what_comes_and_stops_when_told(enqueue, service):
    seen = threading.Event()
    worker = Worker(service, {"work": lambda _message: seen.set()})
    running = threading.Thread(target=_in(service, worker.run))
    running.start()
    enqueue("a", "one")

    assert seen.wait(5)
    worker.stop()
    running.join(5)
    assert not running.is_alive()


def test_a_parallel_lane_works_side_by_side_but_never_on_one_subject(enqueue, service):
    for number in range(SHARE + 1):  # one thread takes a share, the other finds one more
        enqueue(f"subject {number}", "first")
        enqueue(f"subject {number}", "second")
    met, at_work, seen, begun = threading.Barrier(2, timeout=5), Counter(), [], set()

    def work(message):
        at_work[message.subject] += 1
        if threading.current_thread() not in begun:
            begun.add(threading.current_thread())
            met.wait()
        seen.append((message.subject, message.body, at_work[message.subject]))
        at_work[message.subject] -= 1
        if len(seen) == 2 * (SHARE + 1):
            worker.stop()

    worker = Worker(service, {"work": Parallel(work, threads=2)})
    give_up = threading.Timer(10, worker.stop)
    give_up.start()
    worker.run()
    give_up.cancel()

    assert not met.broken
    for number in range(SHARE + 1):
        done = [what for subject, *what in seen if subject == f"subject {number}"]
        assert done == [['"first"', 1], ['"second"', 1]]


def test_while_a_lane_is_behind_those_after_it_wait(enqueue, service):
    for number in range(4 * SHARE):
        enqueue(f"subject {number}", number, lane="first")
        enqueue(f"subject {number}", number, lane="second")
    seen = []

    def work(message):
        seen.append(message.lane)
        time.sleep(0.005)
        if len(seen) == 8 * SHARE:
            worker.stop()

    worker = Worker(service, {"first": work, "second": work})
    give_up = threading.Timer(20, worker.stop)
    give_up.start()
    worker.run()
    give_up.cancel()

    assert len(seen) == 8 * SHARE
    end_of_the_first = len(seen) - seen[::-1].index("first")
    assert seen[:end_of_the_first].count("second") <= 2 * SHARE


def _in(service, function):
    def run(*arguments):
        with service.active():
            return function(*arguments)

    return run


class Together:
    """A lane that takes several messages at once, until told not to."""

    def __init__(self, refusal=None):
        self.refusal, self.calls = refusal, []

    def __call__(self, message):
        self.calls.append([message.body])
        if message.body == '"bad"':
            raise Refused("bad")

    def together(self, messages):
        self.calls.append([message.body for message in messages])
        if self.refusal:
            raise self.refusal


def test_what_is_due_together_is_delivered_by_one_call(enqueue, service, rows):
    for subject in "abc":
        enqueue(subject, subject)
    lane = Together()

    deliver_all(Worker(service, {"work": lane}))

    assert [sorted(call) for call in lane.calls] == [['"a"', '"b"', '"c"']]
    assert rows("SELECT count(*) FROM outbox") == [(0,)]


@pytest.mark.parametrize(
    "refusal", [RemoteProblem("microservice2", 422, {"code": "invalid"}), Unavailable()], ids=str
)
def test_if_they_are_not_taken_together_they_go_one_by_one(enqueue, service, rows, refusal):
    for text in ("good", "bad", "fine"):
        enqueue(text, text)
    lane = Together(refusal)

    Worker(service, {"work": lane}).step("work")

    assert sorted(map(len, lane.calls)) == [1, 1, 1, 3]
    assert rows("SELECT message#>>'{}', state FROM outbox") == [("bad", "dead")]


def failing_with(failure):
    def fail(_message):
        raise failure

    return fail


NOT_CALLED = NotCalled("microservice2", "circuit open", 0.5)


def test_what_was_not_called_is_no_attempt_and_waits_until_the_circuit_may_close(
    enqueue, service, rows
):
    for subject in "ab":
        enqueue(subject, subject)
    worker = Worker(service, {"work": failing_with(NOT_CALLED)})

    for _ in range(3):
        assert worker.step("work") == 0
        rows("UPDATE outbox SET due_at = now()")
    worker.step("work")

    found = rows(
        "SELECT state, attempts, lease, last_error, extract(epoch FROM due_at - now())::float > 0"
        " FROM outbox"
    )
    assert found == [("waiting", 0, None, "microservice2: circuit open", True)] * 2


def test_what_was_not_called_together_is_put_back_together(enqueue, service, rows):
    for subject in "abc":
        enqueue(subject, subject)
    lane = Together(NOT_CALLED)

    assert Worker(service, {"work": lane}).step("work") == 0

    assert len(lane.calls) == 1
    assert rows("SELECT attempts, lease FROM outbox") == [(0, None)] * 3


def test_what_a_round_has_no_time_for_is_no_attempt_either(enqueue, service, rows):
    enqueue("a", "a")
    worker = Worker(service, {"work": failing_with(Unavailable())})
    worker.stop()

    worker.step("work")

    assert rows("SELECT attempts, lease, due_at <= now() FROM outbox") == [(0, None, True)]


def test_a_neighbour_is_left_alone_for_as_long_as_it_asks(enqueue, service, rows):
    enqueue("a", "a")

    Worker(service, {"work": failing_with(NeighbourUnavailable("microservice2", "503", 9))}).step(
        "work"
    )

    assert rows("SELECT extract(epoch FROM due_at - now())::float > 8, attempts FROM outbox") == [
        (True, 1)
    ]


@pytest.mark.parametrize("failure", [Unavailable("not now"), NOT_CALLED], ids=str)
def test_a_message_that_nobody_answers_for_five_minutes_is_an_error_in_the_log_once(
    enqueue, service, rows, caplog, failure
):
    enqueue("a", "a")
    worker = Worker(service, {"work": failing_with(failure)})

    def alarms_after(minutes):
        caplog.clear()
        rows(
            "UPDATE outbox SET alarm_at = alarm_at - make_interval(mins => %(minutes)s),"
            " due_at = now()",
            minutes=minutes,
        )
        worker.step("work")
        return [record.subject for record in caplog.records if record.levelno == logging.ERROR]

    assert alarms_after(minutes=4) == []
    assert alarms_after(minutes=1) == ["a"]
    assert alarms_after(minutes=1) == []
    assert rows("SELECT state, lease FROM outbox") == [("waiting", None)]


def test_an_alarm_needs_no_lease_and_is_given_once(enqueue, service, rows, caplog):
    """As when each lease times out, or no worker has a lane of that name."""
    enqueue("a", "old")
    enqueue("b", "young")
    enqueue("c", "lost", lane="nobody's")
    rows(
        "UPDATE outbox SET alarm_at = now(), created_at = now() - interval '5 min'"
        " WHERE subject <> 'b'"
    )
    workers = [Worker(service, {"work": failing_with(Unavailable())}) for _ in range(2)]

    for worker in workers * 2:
        worker.watch()
    rows("UPDATE outbox SET due_at = now()")
    workers[0].step("work")

    alarms = [record for record in caplog.records if record.message == "no answer for 5 minutes"]
    assert sorted((alarm.lane, alarm.subject) for alarm in alarms) == [
        ("nobody's", "c"),
        ("work", "a"),
    ]


def test_the_age_of_the_oldest_message_of_each_lane_is_a_metric(enqueue, service, rows):
    enqueue("a", "old")
    enqueue("a", "young")
    enqueue("b", "young", lane="other")
    rows("UPDATE outbox SET created_at = now() - interval '100 s' WHERE message#>>'{}' = 'old'")
    worker = Worker(service, {"work": lambda _message: None, "idle": None})

    def ages():
        worker.watch()
        samples = worker._oldest.collect()[0].samples
        return {sample.labels["lane"]: sample.value for sample in samples}

    found = ages()
    assert 100 <= found.pop("work") < 120
    assert found["other"] < 20
    assert found["idle"] == 0
    worker.step("work")
    assert ages()["work"] == 0


@pytest.mark.parametrize(
    ("status", "state"), [(422, "dead"), (409, "dead"), (403, "waiting"), (401, "waiting")]
)
def test_an_event_that_is_refused_is_a_dead_letter_but_our_own_fault_is_not(
    enqueue, service, rows, monkeypatch, status, state
):
    enqueue("a", "a")
    lane = EventsTo("microservice4")
    refusal = RemoteProblem("microservice4", status, {"code": "no"})
    monkeypatch.setattr(lane._client, "send_event", failing_with(refusal))

    Worker(service, {"work": lane}).step("work")

    assert rows("SELECT state FROM outbox") == [(state,)]


def test_a_step_of_a_saga_is_never_a_dead_letter_whatever_is_answered(enqueue, service, rows):
    """Only who delivers events says Refused; a refusal that a step does not know is our mistake."""
    enqueue("a", "a")

    Worker(
        service, {"work": failing_with(RemoteProblem("microservice2", 409, {"code": "new"}))}
    ).step("work")

    assert rows("SELECT state FROM outbox") == [("waiting",)]


def test_a_replayed_letter_goes_before_what_waits_of_its_subject_and_wakes_its_lane(
    enqueue, service
):
    enqueue("a", "first")
    Worker(service, {"work": failing_with(Refused("no"))}).step("work")
    enqueue("a", "second")
    with transaction() as tx:
        window = {"limit": 10, "offset": 0, "after_key": None, "after_id": None}
        [letter] = outbox.list_dead_letters(tx, window)
    seen = []

    with listening("outbox") as notified:
        with transaction() as tx:
            assert outbox.replay_dead_letter(tx, letter.id) == letter
        assert notified(5) == {"work"}
    deliver_all(Worker(service, {"work": lambda message: seen.append(message.body)}))

    assert seen == ['"first"', '"second"']
