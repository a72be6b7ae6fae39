"""Delete what is kept no longer: `python -m microservice3.prune [--dry-run]`."""

from chassis import prune
from microservice3.logic.retention import RULES


def main():
    prune.run("microservice3", RULES)


if __name__ == "__main__":
    main()
