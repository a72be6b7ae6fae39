"""A mail server in a machine: writes all that it is given into a file.

Usage: mail_server.py PORT FILE
"""

import socketserver
import sys
from pathlib import Path


class Session(socketserver.StreamRequestHandler):
    """Says yes to everything (RFC 5321)."""

    def handle(self):
        self.say("220 ready")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.say("354 go on")
                self.keep_message()
            self.say("221 bye" if word == b"QUIT" else "250 yes")
            if word == b"QUIT":
                return

    def keep_message(self):
        with Path(sys.argv[2]).open("ab") as file:
            for line in self.rfile:
                if line.rstrip() == b".":
                    return
                file.write(line)

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


if __name__ == "__main__":
    with socketserver.ThreadingTCPServer(("0.0.0.0", int(sys.argv[1])), Session) as server:
        server.serve_forever()
