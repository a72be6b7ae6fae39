"""Bring stored text into its form: `python -m microservice3.normalise [--dry-run]`."""

from chassis import normalise
from microservice3.database import TEXTS


def main():
    normalise.run("microservice3", TEXTS)


if __name__ == "__main__":
    main()
