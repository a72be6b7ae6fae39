"""The command: reads and checks the whole file, replays it, reconciles, and says so.

Exits with 0 when the services hold exactly what the file says, 1 when they do not or could not be
reached, 2 for wrong usage or a refused file, 130 after Ctrl-C.
"""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from printable import printable

from import_trade.options import read_options
from import_trade.planning import Plan, make_plan
from import_trade.progress import Notices
from import_trade.reading import read_trade
from import_trade.reconciling import reconcile
from import_trade.records import Refused
from import_trade.replaying import Crew, replay
from import_trade.report import write_report
from import_trade.summary import show_plan, show_reconciliation, show_rejections
from import_trade.transport import Failed, Transport

ADMINISTRATOR = "admin"


class Interrupted(BaseException):
    """Ctrl-C or a request to end. No mere error: nothing may take it for one and go on."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(words: list[str]) -> int:
    options = read_options(words)
    try:
        trade = read_trade(options.file, datetime.now(UTC), options.form)
        plan = make_plan(trade)
        password = None if options.dry_run else read_password(options.password_file)
        report = None if options.dry_run and not options.report else report_path(options)
        if report:
            write_report(report, plan)
    except Refused as refusal:
        return fail(f"{refusal}\nNothing was imported.", 2)

    show_plan(trade, plan, report)
    if options.dry_run:
        show_rejections(plan, report)
        print("Dry run: no service was called, nothing was changed.")
        return 0
    return import_plan(plan, options, password)


def import_plan(plan: Plan, options: argparse.Namespace, password: str) -> int:
    listen_for_signals()
    http = Transport(options.url, ADMINISTRATOR, password, on_trouble=Notices())
    crew = Crew(http, options.concurrency)
    try:
        http.knock()
        result = reconcile(crew, plan, replay(crew, plan))
    except Failed as failure:
        return fail(f"{failure}\nWhat was imported stays; running this again finishes the job.", 1)
    except Interrupted as interrupted:
        return fail(
            f"Stopped by {interrupted}. Nothing is half done; running this again finishes the job.",
            128 + interrupted.number,
        )
    show_reconciliation(plan, result)
    return 1 if result.differences else 0


def read_password(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"the administrator's password cannot be read from {path}: {error}\n"
            "scripts/up writes it; --password-file names another place."
        ) from error


def report_path(options: argparse.Namespace) -> Path:
    return options.report or options.var / "import" / f"{options.file.name}.rejected.csv"


def listen_for_signals() -> None:
    """End cleanly on the first Ctrl-C or SIGTERM, and at once on the second."""

    def end(number: int, _) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def fail(text: str, status: int) -> int:
    sys.stdout.flush()
    print(printable(f"import-trade: {text}"), file=sys.stderr)
    return status


def run() -> int:
    try:
        return main(sys.argv[1:])
    except BrokenPipeError:
        # Whoever read the output is gone (`| head`); the interpreter must not trip over it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(run())
