"""Delete what is kept no longer: `python -m microservice2.prune [--dry-run]`."""

from chassis import prune
from microservice2.logic.retention import RULES


def main():
    prune.run("microservice2", RULES)


if __name__ == "__main__":
    main()
