"""Bring stored text into its form: `python -m microservice4.normalise [--dry-run]`."""

from chassis import normalise
from microservice4.database import TEXTS


def main():
    normalise.run("microservice4", TEXTS)


if __name__ == "__main__":
    main()
