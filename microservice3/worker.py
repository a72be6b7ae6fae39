"""The worker: brings orders to their end, and tells the others what happened to them."""

from chassis.worker import EventsTo, run
from microservice3.logic import saga

LANES = {
    saga.LANE: saga.finish,
    **{neighbour: EventsTo(neighbour) for neighbour in saga.EVERYBODY},
}
# What an outage of Products has left goes faster by two: one works while the other waits.
THREADS = {saga.LANE: 2}


def main():
    run("microservice3", LANES, threads=THREADS)


if __name__ == "__main__":
    main()
