"""The worker: delivers what waits in the outbox. One process a service, beside uWSGI.

A service's worker is a table of lanes, each with the function that delivers one of its messages:

    run("microservice3", {"saga": Parallel(finish, 3), "microservice4": EventsTo("microservice4")})

Each lane has threads of its own, so a neighbour that hangs holds up nobody else's messages, and
only so many calls to it are under way at once. They wake by LISTEN/NOTIFY, with a poll each second
behind it, and any number of workers of one service may run at once. After an outage the lanes catch
up in the order of the table: while an earlier one is behind, the later ones take a round at times.

The worker watches the table besides: how long the oldest message of each lane has waited is a
metric, and after five minutes an error in the log, also if no lease succeeds.
"""

import itertools
import logging
import random
import signal
import threading
import time

from chassis import context, crash, logs, metrics, outbox, settings
from chassis.database import listening, transaction
from chassis.errors import NotTried, Unavailable
from chassis.http import CALL_SECONDS, RemoteProblem, ServiceClient
from chassis.notify import notifier
from chassis.service import Service

log = logging.getLogger(__name__)

BATCH = 64  # messages that one call may carry
SHARE = 16  # messages that a thread takes to deliver one by one: the others find some as well
POLL_SECONDS = 1.0
GATHER_SECONDS = 1.0  # between two rounds: what comes in it goes together; the first goes at once
WATCH_SECONDS = 5.0
FIRST_RETRY_SECONDS = 0.1
ROUNDS_GIVEN_AWAY = 5  # of a lane while an earlier one is behind
LONGEST_RETRY_SECONDS = 5.0
OUR_FAULT_RETRY_SECONDS = 60.0
TASK_SECONDS = CALL_SECONDS + 1.0
HOUSEKEEPING_SECONDS = 3600.0
_ENDS = ("delivered", "refused")
_NOT_BEGUN = ("left", "held_up")
FREQUENT_SECONDS = 20.0  # a revocation arrives within 60 s, also if one fetch of the list fails
ROUND_SECONDS = 2 * outbox.LEASE_SECONDS  # a lane that takes longer to go round hangs


class Refused(Exception):
    """The receiver has refused a message for good: it becomes a dead letter. str(): the reason."""


class EventsTo:
    """Delivers events to a neighbour: one, or several that are due together."""

    def __init__(self, neighbour):
        self._client = ServiceClient(neighbour)

    def __call__(self, message):
        """Deliver one event. A definite refusal raises Refused."""
        try:
            self._client.send_event(message.body)
        except RemoteProblem as problem:
            if problem.is_our_fault:
                raise
            raise Refused(
                f"{self._client.neighbour} answered {problem.code}: {problem}"
            ) from problem

    def together(self, messages):
        """Deliver several events by one call. A refusal of any of them raises RemoteProblem."""
        self._client.send_events([message.body for message in messages])


class Parallel:
    """Delivers messages by a function, as many at once as there are `threads`.

    Messages of one subject still go one after the other.
    """

    share = SHARE

    def __init__(self, deliver, threads):
        self._deliver = deliver
        self.threads = threads

    def __call__(self, message):
        self._deliver(message)

    def lease_of(self, thread):
        """Return the function of chassis.outbox by which a thread, 0 or above, takes messages."""
        return outbox.lease_messages


class Prompt(Parallel):
    """As Parallel, for messages of which each may take seconds: what is new does not wait for them.

    A thread takes one message at a time, so none waits behind a slow one that its thread took with
    it. The first thread takes the newest message, so none waits behind a backlog.
    """

    share = 1

    def lease_of(self, thread):
        return outbox.lease_newest if thread == 0 else outbox.lease_messages


def retry_after(attempts):
    """Return how many seconds to wait after so many tries: exponential, capped, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(attempts, 16))
    return random.uniform(0, ceiling)  # noqa: S311 - not for secrets


class Worker:
    """Empties the lanes of one service's outbox.

    lanes: {lane: function of an outbox.Message}, the most important first. A function returns when
    the message is done; it raises Refused for a dead letter, Unavailable to be tried again soon,
    NotTried for the same without counting an attempt, and anything else is a mistake of ours,
    logged and tried again each minute, so that a mended one heals by itself. It may have a method
    `together` for several messages in one call (if that raises, they go one by one), or be a
    Parallel or Prompt for several threads. A message that is not answered for five minutes is an
    error in the log, once, and goes on being tried.
    housekeeping: functions without arguments, called once an hour.
    frequent: the same, called each FREQUENT_SECONDS.

    A systemd that wants to know is told each second that all threads go round; it ends a worker of
    which it hears nothing.
    """

    def __init__(self, service, lanes, housekeeping=(), frequent=()):
        self.service = service
        self.lanes = dict(lanes)
        self._housekeeping = housekeeping
        self._frequent = frequent
        self._wake = {lane: threading.Event() for lane in self.lanes}
        self._behind = dict.fromkeys(self.lanes, False)  # there was more than one round could take
        self._stop = threading.Event()
        self._notify = notifier(service.settings.notify_socket)
        self._watch_due = time.monotonic()
        self._last_round = {}  # of each thread, by the monotonic clock
        self._deliveries = metrics.delivery_counter()
        self._overdue = metrics.overdue_counter()
        self._oldest = metrics.oldest_gauge()
        self._waiting = metrics.waiting_gauge()
        self._watched_at = metrics.watched_gauge()

    def step(self, lane):
        """Deliver what is due in one lane, some messages of it. Returns how many were tried."""
        return _tried(self._round(lane, outbox.lease_messages))

    def watch(self):
        """Measure what waits and for how long, and give the alarm for what has waited too long.

        Raises Unavailable if the database does not answer.
        """
        with transaction() as tx:
            waiting = outbox.backlog(tx).waiting
            found = outbox.oldest_of_each_lane(tx)
            overdue = [
                oldest
                for oldest in found
                if oldest.is_overdue and outbox.claim_alarm(tx, oldest.id)
            ]
        for oldest in overdue:
            with context.caused_by(request=oldest.request_id, trace=oldest.traceparent):
                self._alarm(oldest, oldest.reason)
        for lane in self.lanes.keys() | {oldest.lane for oldest in found}:
            self._oldest.labels(lane=lane).set(0)
        for oldest in found:
            self._oldest.labels(lane=oldest.lane).set(oldest.seconds)
        self._waiting.set(min(waiting, outbox.MOST_COUNTED))
        self._watched_at.set_to_current_time()

    def _round(self, lane, lease):
        """Deliver some messages of a lane. Returns pairs of a message and its outcome."""
        leased_until = time.monotonic() + outbox.LEASE_SECONDS
        with transaction() as tx:
            messages = lease(tx, lane, self._most_at_a_time(lane))
        crash.point("leased")
        outcomes = self._deliver_together(lane, messages)
        if outcomes is None:
            outcomes = self._deliver_one_by_one(messages, leased_until)
        outcome_of = list(zip(messages, outcomes, strict=True))
        done = [message for message, outcome in outcome_of if outcome == "delivered"]
        if done:
            crash.point("delivered")
            with transaction() as tx:
                outbox.delivered(tx, done)
        return outcome_of

    def run(self):
        """Work until `stop` is called, then finish what is in hand."""
        threads = [
            threading.Thread(target=self._empty_lane, args=(lane, lease), name=lane)
            for lane in self.lanes
            for lease in self._leases_of(lane)
        ]
        self._last_round = dict.fromkeys(threads, time.monotonic())
        if self._frequent:
            threads.append(threading.Thread(target=self._work_frequently, name="frequent"))
        for thread in threads:
            thread.start()
        self._notify("READY=1")
        log.info("worker started", extra={"lanes": sorted(self.lanes)})
        housekeeping_due = time.monotonic()
        while not self._stop.is_set():
            self._look_around()
            self._listen(until=housekeeping_due)
            if time.monotonic() >= housekeeping_due and not self._stop.is_set():
                housekeeping_due = time.monotonic() + HOUSEKEEPING_SECONDS
                self._do_all(self._housekeeping)
        self._notify("STOPPING=1")
        for thread in threads:
            thread.join()
        self.service.database.close()
        log.info("worker stopped")

    def stop(self, *_signal):
        """Ask `run` to end. May be called from a signal handler or another thread."""
        self._stop.set()
        self._wake_all()

    def _most_at_a_time(self, lane):
        deliver = self.lanes[lane]
        return BATCH if hasattr(deliver, "together") else getattr(deliver, "share", SHARE)

    def _leases_of(self, lane):
        """Return for each thread of a lane the function by which it takes messages."""
        deliver = self.lanes[lane]
        if not isinstance(deliver, Parallel):
            return [outbox.lease_messages]
        return [deliver.lease_of(thread) for thread in range(deliver.threads)]

    def _deliver_together(self, lane, messages):
        """Deliver all messages by one call. Returns their outcomes, None: go one by one."""
        together = getattr(self.lanes[lane], "together", None)
        if together is None or len(messages) < 2:
            return None
        batch = context.new_request_id()
        try:
            with context.work(request=batch, seconds=TASK_SECONDS):
                together(messages)
        except NotTried as silence:
            outcome = "not_called"
            self._put_back(messages, silence.pause_seconds, str(silence))
        except Exception as reason:  # whatever it is, each message tells by itself
            log.info("one by one", extra={"lane": lane, "reason": str(reason)})
            return None
        else:
            outcome = "delivered"
            for message in messages:
                with context.caused_by(request=message.request_id, trace=message.traceparent):
                    log.info("delivered", extra=_about(message, batch=batch))
        self._deliveries.labels(lane=lane, outcome=outcome).inc(len(messages))
        return [outcome] * len(messages)

    def _deliver_one_by_one(self, messages, leased_until):
        """Deliver each message while the lease lasts. Returns their outcomes.

        A message that is to be tried again holds up those that follow it in its subject.
        """
        outcomes, put_back, stuck = [], [], set()
        for message in messages:
            if self._stop.is_set() or leased_until - time.monotonic() < TASK_SECONDS:
                outcome = "left"
            elif message.subject in stuck:
                outcome = "held_up"
            else:
                outcome = self._deliver(message)
            if outcome in _NOT_BEGUN:
                put_back.append(message)
            elif outcome not in _ENDS:
                stuck.add(message.subject)
            outcomes.append(outcome)
        if put_back:
            self._put_back(put_back, 0, "left for the next round")
        return outcomes

    def _deliver(self, message):
        """Deliver one message, and settle it unless it went well. Returns the outcome."""
        outcome = "delivered"
        with context.work(
            request=message.request_id, trace=message.traceparent, seconds=TASK_SECONDS
        ):
            try:
                self.lanes[message.lane](message)
                log.info("delivered", extra=_about(message))
            except Refused as refusal:
                outcome = "refused"
                self._bury(message, str(refusal))
            except RemoteProblem as problem:
                outcome = "our_fault"
                log.error("refused as our fault", extra=_about(message, code=problem.code))
                self._postpone(message, OUR_FAULT_RETRY_SECONDS, f"{problem.code}: {problem}")
            except NotTried as silence:
                outcome = "not_called"
                self._put_back([message], silence.pause_seconds, str(silence))
            except Unavailable as silence:
                outcome = "unknown"
                log.warning("not delivered", extra=_about(message, reason=str(silence)))
                pause = max(retry_after(message.attempts), silence.pause_seconds)
                self._postpone(message, pause, str(silence))
            except Exception as error:  # the other messages must not wait for this one's mistake
                outcome = "our_fault"
                log.exception("failed", extra=_about(message))
                self._postpone(message, OUR_FAULT_RETRY_SECONDS, f"{type(error).__name__}: {error}")
        self._deliveries.labels(lane=message.lane, outcome=outcome).inc()
        return outcome

    def _postpone(self, message, seconds, reason):
        with transaction() as tx:
            self._tell_if_overdue(tx, message, reason)
            outbox.postponed(tx, message, seconds=seconds, reason=reason)

    def _put_back(self, messages, seconds, reason):
        with transaction() as tx:
            for message in messages:
                self._tell_if_overdue(tx, message, reason)
            outbox.put_back(tx, messages, seconds=seconds, reason=reason)

    def _tell_if_overdue(self, tx, message, reason):
        if message.is_overdue and outbox.claim_alarm(tx, message.id):
            self._alarm(message, reason)

    def _alarm(self, message, reason):
        log.error("no answer for 5 minutes", extra=_about(message, reason=reason))
        self._overdue.labels(lane=message.lane).inc()

    def _bury(self, message, reason):
        log.error("dead letter", extra=_about(message, reason=reason))
        with transaction() as tx:
            outbox.refused(tx, message, reason=reason)

    def _empty_lane(self, lane, lease):
        with self.service.active():
            while not self._stop.is_set():
                self._last_round[threading.current_thread()] = time.monotonic()
                self._wake[lane].clear()
                try:
                    done = self._round(lane, lease)
                except Unavailable as silence:
                    log.warning("lane waits", extra={"lane": lane, "reason": str(silence)})
                    done = []
                    self._stop.wait(POLL_SECONDS)
                except Exception:  # a lane that ends would be missed by nobody until it is too late
                    log.exception("lane failed", extra={"lane": lane})
                    done = []
                    self._stop.wait(POLL_SECONDS)
                subjects = {message.subject for message, _ in done}
                self._behind[lane] = len(subjects) == self._most_at_a_time(lane)
                if not _tried(done):
                    self._wake[lane].wait(POLL_SECONDS)
                elif not self._behind[lane] and not _leaves_some(done):
                    self._stop.wait(GATHER_SECONDS)
                self._give_way(lane)

    def _give_way(self, lane):
        """Leave the neighbours, the database and the processor to the lanes before this one."""
        earlier = list(itertools.takewhile(lambda other: other != lane, self.lanes))
        for _ in range(ROUNDS_GIVEN_AWAY):
            if self._stop.is_set() or not any(self._behind[other] for other in earlier):
                return
            self._stop.wait(GATHER_SECONDS)

    def _listen(self, until):
        """Wake each lane that is notified, until it is time for something else."""
        try:
            with listening("outbox") as notified:
                self._wake_all()
                while not self._stop.is_set() and time.monotonic() < until:
                    self._look_around()
                    for lane in notified(POLL_SECONDS) & self.lanes.keys():
                        self._wake[lane].set()
        except Unavailable as silence:
            log.warning("not listening", extra={"reason": str(silence)})
            self._stop.wait(POLL_SECONDS)
        except Exception:  # the lanes go on by their poll
            log.exception("listening failed")
            self._stop.wait(POLL_SECONDS)

    def _look_around(self):
        """Tell systemd that all threads go round, and watch the table when it is time."""
        self._feed_watchdog()
        if time.monotonic() < self._watch_due:
            return
        try:
            self.watch()
            self._watch_due = time.monotonic() + WATCH_SECONDS
        except Unavailable as silence:
            log.warning("outbox not watched", extra={"reason": str(silence)})
        except Exception:  # the lanes go on, and the next second has its own chance
            log.exception("watching the outbox failed")

    def _feed_watchdog(self):
        oldest = min(self._last_round.values(), default=time.monotonic())
        if time.monotonic() - oldest < ROUND_SECONDS:
            self._notify("WATCHDOG=1")

    def _wake_all(self):
        for event in self._wake.values():
            event.set()

    def _work_frequently(self):
        with self.service.active():
            while not self._stop.is_set():
                self._do_all(self._frequent)
                self._stop.wait(FREQUENT_SECONDS)

    def _do_all(self, tasks):
        for task in tasks:
            try:
                task()
            except Unavailable as silence:
                reason = {"task": task.__name__, "reason": str(silence)}
                log.warning("housekeeping put off", extra=reason)
            except Exception:  # the next task, and the next time, have their own chance
                log.exception("housekeeping failed", extra={"task": task.__name__})


def run(name, lanes, housekeeping=(), frequent=()):
    """Be the worker of the service called `name` until SIGTERM. Returns after a graceful end."""
    service = Service(settings.load(name))
    logs.configure(service.settings.log_level)
    metrics.write_as("worker")
    worker = Worker(service, lanes, housekeeping, frequent)
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    with service.active():
        worker.run()


def _tried(done):
    """Return how many messages of a round were tried."""
    return sum(outcome not in ("not_called", *_NOT_BEGUN) for _, outcome in done)


def _leaves_some(done):
    """Tell whether a round left messages that can go at once: of subjects that are not stuck."""
    last = {message.subject: (message, outcome) for message, outcome in done}
    return any(
        outcome == "left" or (outcome in _ENDS and message.is_followed)
        for message, outcome in last.values()
    )


def _about(message, **more):
    return {"lane": message.lane, "subject": message.subject, "attempts": message.attempts, **more}
