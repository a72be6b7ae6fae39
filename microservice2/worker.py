"""The worker: this service publishes no events, so the worker only runs cleanup and fetches."""

from chassis import revocations
from chassis.worker import run
from microservice2.logic import images

LANES = {}


def main():
    run("microservice2", LANES, [images.remove_left_images], [revocations.fetch])


if __name__ == "__main__":
    main()
