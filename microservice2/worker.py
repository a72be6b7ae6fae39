"""The worker: this service tells nobody anything, so there is only house to keep."""

from chassis.worker import run

LANES = {}


def main():
    run("microservice2", LANES)


if __name__ == "__main__":
    main()
