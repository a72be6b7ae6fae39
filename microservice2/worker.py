"""The worker: this service tells nobody anything, so there is only house to keep."""

from chassis.worker import run
from microservice2.logic import images

LANES = {}


def main():
    run("microservice2", LANES, [images.remove_left_images])


if __name__ == "__main__":
    main()
