"""Read what `pgbackrest info --output=json` says, print LABEL TYPE FINISHED BYTES for each backup.

The oldest comes first; FINISHED is in seconds since 1970.
"""

import json
import sys


def main():
    for stanza in json.load(sys.stdin):
        for backup in stanza.get("backup", []):
            finished = backup["timestamp"]["stop"]
            print(backup["label"], backup["type"], finished, backup["info"]["size"])


main()
