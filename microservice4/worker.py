"""The worker: hands the e-mails that wait to the mail server."""

from chassis.worker import run
from microservice4.logic import sending
from microservice4.logic.addressing import LANE

LANES = {LANE: sending.send}


def main():
    run("microservice4", LANES)


if __name__ == "__main__":
    main()
