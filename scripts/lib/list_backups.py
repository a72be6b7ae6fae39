"""Read what `pgbackrest info --output=json` says, print LABEL TYPE FINISHED BYTES for each backup.

The oldest comes first; FINISHED is in seconds since 1970. PostgreSQL's user has the repository, and
root makes paths and sums of what is printed: a label that pgBackRest would not give is passed over.
"""

import json
import re
import sys

LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?")
TYPES = ("full", "diff", "incr")


def main():
    for stanza in json.load(sys.stdin):
        for backup in stanza.get("backup", []):
            label, kind = backup["label"], backup["type"]
            if LABEL.fullmatch(label) and kind in TYPES:
                print(label, kind, int(backup["timestamp"]["stop"]), int(backup["info"]["size"]))


main()
