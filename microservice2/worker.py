"""The worker: this service publishes no events, so the worker only runs cleanup and fetches."""

from chassis import revocations
from chassis.worker import run
from microservice2.logic import images, retention

LANES = {}


def main():
    cleanup = [retention.clean_up, images.remove_left_images]
    run("microservice2", LANES, cleanup, [revocations.fetch])


if __name__ == "__main__":
    main()
