"""The worker: brings orders to their end, and tells the others what happened to them."""

from chassis import revocations
from chassis.worker import EventsTo, Parallel, run
from microservice3.logic import reporting, retention, saga

LANES = {
    saga.LANE: Parallel(saga.finish, threads=3),
    **{neighbour: EventsTo(neighbour) for neighbour in saga.EVERYBODY},
}


def main():
    run("microservice3", LANES, [reporting.fold, retention.clean_up], [revocations.fetch])


if __name__ == "__main__":
    main()
