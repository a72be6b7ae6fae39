"""The worker: hands the e-mails that wait to the mail server."""

from chassis import revocations
from chassis.worker import Parallel, run
from microservice4.logic import retention, sending, watching
from microservice4.logic.addressing import LANE

LANES = {LANE: Parallel(sending.send, threads=3)}


def main():
    run("microservice4", LANES, [retention.clean_up], [revocations.fetch, watching.watch])


if __name__ == "__main__":
    main()
