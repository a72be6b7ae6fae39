"""See tests/chaos/run."""

import argparse
import sys
from pathlib import Path

from tests.chaos.experiment import run

RESULTS = Path(__file__).parent / "results"


def main():
    arguments = argparse.ArgumentParser(prog="tests/chaos/run")
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--minutes", type=float, required=True)
    arguments.add_argument("--rate", type=float, default=30.0)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    report = run(
        seed=given.seed,
        seconds=round(given.minutes * 60),
        rate=given.rate,
        folder=given.results,
        say=lambda line: print(line, flush=True),
    )
    _show(report)
    sys.exit(1 if report["troubles"] or any(report["violations"].values()) else 0)


def _show(report):
    print(f"\n{report['orders_begun']} orders begun; {dict(report['orders_by_state'])}")
    for operation, answers in report["answers"].items():
        print(f"  {operation:10} {dict(answers.most_common())}")
    print(f"faults: {dict(report['faults'])}")
    for kind, reason in report["faults_left_out"].items():
        print(f"LEFT OUT: {kind}, because {reason}")
    print(f"calls hit by the network: {dict(report['calls_hit_by_the_network'])}")
    print(f"orders ended {report['seconds_until_orders_ended']} s after the last fault,")
    print(f"messages were delivered after {report['seconds_until_messages_were_delivered']} s")
    for trouble in report["troubles"]:
        print(f"TROUBLE {trouble}")
    for promise, violations in report["violations"].items():
        print(f"{len(violations):5} violations of: {promise}")
        for violation in violations[:20]:
            print(f"        {violation}")


if __name__ == "__main__":
    main()
