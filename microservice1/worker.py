"""The worker: tells notifications what happened to users, lists revoked tokens, and cleans up."""

from chassis.worker import EventsTo, run
from microservice1.logic import guessing, sessions

LANES = {"microservice4": EventsTo("microservice4")}


def main():
    run(
        "microservice1",
        LANES,
        housekeeping=[sessions.forget_expired, guessing.forget_addresses],
        frequent=[sessions.keep_revocations, guessing.enter_failed_sign_ins],
    )


if __name__ == "__main__":
    main()
