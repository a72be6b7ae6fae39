"""What scripts/dead-letters does, through the public API.

Usage: dead_letters.py BASE_URL ACTION SERVICES [ID...]    with an administrator's token on standard
input. ACTION: list, show, replay, discard, replay-all or discard-all. SERVICES: names, with commas.
"""

import json
import sys
import urllib.error
import urllib.request

from printable import printable

COLUMNS = "{:<14} {:>8}  {:<14} {:<14} {:<16} {:>5}  {:<19}  {}"
HEADINGS = ("SERVICE", "ID", "FOR", "SUBJECT", "EVENT", "TRIES", "SINCE", "REASON")


class Failed(Exception):
    """A service refused, or did not answer. str(): what to tell."""


class DeadLetters:
    """The dead letters of one service. All methods raise Failed."""

    def __init__(self, base_url, service, token):
        self.service = service
        number = service.removeprefix("microservice")
        self._url = f"{base_url}/api/service{number}/dead-letters"
        self._token = token

    def all(self):
        page, found = 1, []
        while letters := self._call("GET", f"?limit=100&page={page}"):
            found += letters
            page += 1
        return found

    def one(self, number):
        return self._call("GET", f"/{number}")

    def replay(self, number):
        self._call("POST", f"/{number}/replay")

    def discard(self, number):
        self._call("DELETE", f"/{number}")

    def _call(self, method, path):
        request = urllib.request.Request(self._url + path, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                number = path.split("/")[1]
                raise Failed(f"{self.service} has no dead letter {number}.") from None
            raise Failed(f"{self.service} answered {error.code} {error.reason}.") from None
        except OSError as error:
            raise Failed(f"{self.service} does not answer: {error}.") from None


def show_table(boxes):
    rows = [
        printable(
            COLUMNS.format(
                box.service,
                letter["id"],
                letter["lane"],
                letter["subject"],
                letter["event_type"] or "-",
                letter["attempts"],
                letter["created_at"][:19],
                letter["reason"],
            )
        ).replace("\n", " ")
        for box in boxes
        for letter in tried(box.all, [])
    ]
    print("\n".join([COLUMNS.format(*HEADINGS), *rows]) if rows else "There are no dead letters.")


def settle(box, action, numbers):
    """Replay or discard letters, each by itself: one that fails does not stop the others."""
    act = {"replay": box.replay, "discard": box.discard}[action]
    for number in numbers:
        if tried(lambda number=number: act(number) or True, False):
            print(f"{box.service} {number}: {action.rstrip('e')}ed.")


failures = []


def tried(action, otherwise):
    """Return what action() returns; if it fails, say so, remember it, and return the other."""
    try:
        return action()
    except Failed as failure:
        failures.append(failure)
        print(printable(str(failure)), file=sys.stderr)
        return otherwise


def main(base_url, action, services, *numbers):
    token = sys.stdin.read().strip()
    boxes = [DeadLetters(base_url, service, token) for service in services.split(",")]
    if action == "list":
        show_table(boxes)
    elif action == "show":
        if letter := tried(lambda: boxes[0].one(numbers[0]), None):
            print(printable(json.dumps(letter, indent=2, ensure_ascii=False)))
    else:
        action, _, everything = action.partition("-")
        for box in boxes:
            chosen = [letter["id"] for letter in tried(box.all, [])] if everything else numbers
            settle(box, action, chosen)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
