"""Delete what is kept no longer: `python -m microservice1.prune [--dry-run]`."""

from chassis import prune
from microservice1.logic.retention import RULES


def main():
    prune.run("microservice1", RULES)


if __name__ == "__main__":
    main()
