"""Bring stored text into its form: `python -m microservice2.normalise [--dry-run]`."""

from chassis import normalise
from microservice2.database import TEXTS


def main():
    normalise.run("microservice2", TEXTS)


if __name__ == "__main__":
    main()
