"""Delete what is kept no longer: `python -m microservice4.prune [--dry-run]`."""

from chassis import prune
from microservice4.logic.retention import RULES


def main():
    prune.run("microservice4", RULES)


if __name__ == "__main__":
    main()
