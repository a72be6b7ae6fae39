"""The worker: sends events and codes, lists revoked tokens, and deletes what has expired."""

from chassis.worker import EventsTo, Parallel, run
from microservice1.logic import guessing, resetting, retention, sessions

LANES = {
    "microservice4": EventsTo("microservice4"),
    resetting.LANE: Parallel(resetting.send_code, threads=1),
}


def main():
    run(
        "microservice1",
        LANES,
        housekeeping=[retention.clean_up],
        frequent=[sessions.keep_revocations, guessing.enter_failed_sign_ins],
    )


if __name__ == "__main__":
    main()
