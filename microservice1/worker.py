"""The worker: tells notifications what happened to users, and forgets expired refresh tokens."""

from chassis.worker import events_to, run
from microservice1.logic import sessions


def main():
    run(
        "microservice1",
        lanes={"microservice4": events_to("microservice4")},
        housekeeping=[sessions.forget_expired],
    )


if __name__ == "__main__":
    main()
