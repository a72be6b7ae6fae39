"""Bring stored text into its form: `python -m microservice1.normalise [--dry-run]`."""

from chassis import normalise
from microservice1.database import TEXTS


def main():
    normalise.run("microservice1", TEXTS)


if __name__ == "__main__":
    main()
