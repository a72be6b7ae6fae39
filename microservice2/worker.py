"""The worker: this service tells nobody anything, so there is only house to keep."""

from chassis.worker import run
from microservice2 import logic

LANES = {}


def main():
    run("microservice2", LANES, [logic.remove_left_images])


if __name__ == "__main__":
    main()
