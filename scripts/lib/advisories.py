"""Tell what pip-audit has found: `pip-audit --format json ... | advisories.py`.

Exit status: 0 if no package has a known vulnerability; 1 if one has; 77 if the source of advisories
could not be reached, so that nothing is known.
"""

import json
import sys

NOT_CHECKED = 77


def main(text):
    checked, vulnerable = [], []
    for package in _packages(text):
        if "vulns" in package:  # else it was skipped: the source does not know the package
            checked.append(package)
            vulnerable += [_line(package, found) for found in package["vulns"]]
    if vulnerable:
        print(*vulnerable, sep="\n")
        print("What to do: scripts/lock --upgrade, and commit what it changes.")
        return 1
    if not checked:
        print("NOT CHECKED: the source of advisories cannot be reached from here.")
        return NOT_CHECKED
    print(f"{len(checked)} packages have no known vulnerability.")
    return 0


def _packages(text):
    try:
        return json.loads(text)["dependencies"]
    except (ValueError, KeyError):  # pip-audit could not connect, and has said why
        return []


def _line(package, found):
    fixed = ", ".join(found["fix_versions"]) or "none yet"
    return f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


if __name__ == "__main__":
    sys.exit(main(sys.stdin.read()))
