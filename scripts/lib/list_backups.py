"""Read `pgbackrest info --output=json`, print LABEL TYPE FINISHED BYTES of each backup, oldest first."""

import json
import sys


def main():
    for stanza in json.load(sys.stdin):
        for backup in stanza.get("backup", []):
            finished = backup["timestamp"]["stop"]
            print(backup["label"], backup["type"], finished, backup["info"]["size"])


main()
