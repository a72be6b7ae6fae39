"""The worker: hands the e-mails that wait to the mail server."""

from chassis import revocations
from chassis.worker import Parallel, Prompt, run
from microservice4.logic import addressing, deferring, retention, sending, watching

LANES = {
    addressing.LANE: Prompt(sending.send, threads=4),
    deferring.LANE: Parallel(sending.send, threads=2),
}
FREQUENT = [revocations.fetch, deferring.take_up, watching.watch]


def main():
    run("microservice4", LANES, [retention.clean_up], FREQUENT)


if __name__ == "__main__":
    main()
