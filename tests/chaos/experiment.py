"""One run of chaos: a stack of its own, clients, a nemesis, and then the judgement.

report = run(seed=7, seconds=60, rate=10, folder=Path("..."))
report["violations"]    # {promise: [...]}
"""

import json
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict

from tests.chaos.checker import check
from tests.chaos.clocks import Clocks
from tests.chaos.disk import SmallDisk
from tests.chaos.history import History, calls
from tests.chaos.nemesis import SERVICES, Nemesis, schedule
from tests.chaos.postbox import Postbox
from tests.chaos.proxy import Proxy
from tests.chaos.workload import Shop, Workload
from tests.chaos.world import count_under_way, read_world
from tests.stack import free_ports, running_stack

END_SECONDS = 15.0  # from the last fault healed to the end of every order
DELIVERY_SECONDS = 600.0  # and until every event and e-mail is where it belongs: they queue
PROGRESS_SECONDS = 10


def run(*, seed, seconds, rate, folder, say=print):
    """Run chaos and judge it. Writes history and report into `folder`; returns the report, a dict.

    rate: orders a second. say: called with lines of progress.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"seed-{seed}-{seconds}s-{rate}ps"
    with ExitStack() as parts:
        say("starting a stack")
        stack = parts.enter_context(running_stack("quartet-chaos-"))
        parts.callback(_keep_logs, stack, folder / f"{name}.logs")
        proxy = parts.enter_context(Proxy(stack.internal_url, seed))
        postbox = parts.enter_context(Postbox(*free_ports(1)))
        disk, clocks = parts.enter_context(SmallDisk(stack)), Clocks(stack)
        _reroute(stack, proxy, postbox, clocks)
        history = parts.enter_context(History(folder / f"{name}.history.jsonl"))
        shop = Shop(stack, history, seed)
        nemesis, workload = Nemesis(stack, proxy, disk, clocks), Workload(shop, rate, seed)
        say(f"orders take {', '.join(_abilities(shop)) or 'neither points nor keys'}")
        for kind, reason in nemesis.left_out.items():
            say(f"LEFT OUT: {kind}, because {reason}")
        _break_under_load(nemesis, workload, history, schedule(seed, seconds), seconds, say)
        say("healed; waiting for quiet")
        mailed = len(postbox.events)
        orders_ended, messages_delivered, late = _await_quiet(stack)
        world = read_world(
            stack,
            mails=list(postbox.events),
            repeats_excused=nemesis.worker_deaths["microservice4"],
            late=late,
        )
    report = {
        "seed": seed,
        "seconds": seconds,
        "orders_a_second": rate,
        "abilities": _abilities(shop),
        "orders_begun": workload.placed,
        "orders_by_state": Counter(order["state"] for order in world.orders),
        "answers": _answers(history.events),
        "slowest_answer_seconds": max(_durations(history.events), default=0),
        "e_mails": len(world.mails),
        "e_mails_after_the_last_fault": len(world.mails) - mailed,
        "e_mails_again": len(world.mails) - len(set(world.mails)),
        "faults": nemesis.injected,
        "faults_left_out": nemesis.left_out,
        "calls_hit_by_the_network": proxy.hits,
        "seconds_until_orders_ended": orders_ended,
        "seconds_until_messages_were_delivered": messages_delivered,
        "troubles": nemesis.troubles,
        "violations": check(history.events, world),
        "schedule": [{"began": began, **asdict(fault)} for began, fault in nemesis.told],
    }
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    if any(report["violations"].values()):
        (folder / f"{name}.world.json").write_text(json.dumps(asdict(world), default=str))
    return report


def _reroute(stack, proxy, postbox, clocks):
    """Let all services call each other through the proxy, send e-mails to the postbox, and read
    clocks of their own."""
    for service in SERVICES:
        settings = stack.var / f"env/{service}.env"
        with settings.open("a") as file:
            file.write(f'INTERNAL_URL="http://127.0.0.1:{proxy.port}"\n')
            if service == "microservice4":
                file.write(f'SMTP_URL="{postbox.url}"\n')
            for name, value in clocks.settings(service).items():
                file.write(f'{name}="{value}"\n')
        stack.function("stop_service", service)
        stack.function("start_service", service)
    for service in SERVICES:
        stack.function("await_ready", service)
    for mail in (stack.var / "mail").glob("*.eml"):
        postbox.take(mail.read_bytes())  # of the order that scripts/up has placed


def _break_under_load(nemesis, workload, history, faults, seconds, say):
    """Let the clients and the nemesis work side by side. Returns when all is healed."""
    history.started = started = time.monotonic()
    evil = threading.Thread(target=nemesis.run, args=(faults, started))
    end = threading.Event()
    teller = threading.Thread(target=_tell, args=(end, nemesis, workload, started, say))
    evil.start()
    teller.start()
    try:
        workload.run(seconds, started)
    finally:
        evil.join()
        nemesis.heal()
        end.set()
        teller.join()


def _tell(end, nemesis, workload, started, say):
    while not end.wait(PROGRESS_SECONDS):
        faults = sum(nemesis.injected.values())
        passed = time.monotonic() - started
        say(f"{passed:5.0f} s  {workload.placed} orders begun, {faults} faults injected")


def _await_quiet(stack):
    """Wait for the end of every order, and then of every message.

    Returns the seconds that orders and messages took, and what was late, a list of lines.
    """
    healed = time.monotonic()
    orders_ended, late = None, []
    while (passed := round(time.monotonic() - healed, 1)) < DELIVERY_SECONDS:
        orders, messages = count_under_way(stack)
        if orders == 0 and orders_ended is None:
            orders_ended = passed
        if orders and not late and passed > END_SECONDS:
            late.append(f"{orders} orders have not ended {passed} s after the last fault")
        if orders == messages == 0:
            break
        time.sleep(0.25)
    return orders_ended, passed, late


def _abilities(shop):
    able = {"points": shop.takes_points, "idempotency keys": shop.takes_keys}
    return [name for name, has in able.items() if has]


def _answers(events):
    """Count the answers: {"place": {"201": 80, "409 out_of_stock": 2, "silence": 1}}."""
    counted = {}
    for call in calls(events):
        code = (call.body or {}).get("code")
        answer = f"{call.status or 'silence'} {code or ''}".strip()
        counted.setdefault(call.operation, Counter())[answer] += 1
    return counted


def _durations(events):
    return [round(call.end - call.start, 2) for call in calls(events) if call.end is not None]


def _keep_logs(stack, folder):
    """Keep the logs, and what runs, for whoever looks for the cause of a violation."""
    folder.mkdir(exist_ok=True)
    with (folder / "processes").open("w") as file:
        subprocess.run(["ps", "-eo", "pid,ppid,stat,wchan,etimes,args"], stdout=file, check=False)
    for log in (stack.var / "log").glob("*.log"):
        (folder / log.name).write_bytes(log.read_bytes())
