"""A folder in place of a mail server: each e-mail becomes a file, to be read or opened."""

from pathlib import Path
from urllib.parse import unquote

from microservice4.errors import MailServerAway


def write(server, name, message):
    """Write the e-mail under that name, where it is complete from the first moment on.

    server: the parts of `file:///folder`. Raises MailServerAway.
    """
    file = Path(unquote(server.path)) / name
    unfinished = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(message.as_bytes())
        unfinished.replace(file)
    except OSError as error:
        raise MailServerAway(f"no file could be written: {error.strerror}") from error
