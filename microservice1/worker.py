"""The worker: tells notifications what happened to users, and forgets sessions that are over."""

from chassis.worker import EventsTo, run
from microservice1.logic import sessions

LANES = {"microservice4": EventsTo("microservice4")}


def main():
    run("microservice1", LANES, housekeeping=[sessions.forget_expired])


if __name__ == "__main__":
    main()
