"""What a process tells the systemd that supervises it: that it is ready, alive, stopping.

Datagrams on a unix socket, as sd_notify(3) describes: no library is needed.
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import logging
import socket

log = logging.getLogger(__name__)


def notifier(address):
    """Return a function that sends a state, as `READY=1`, to the socket at that address.

    address: the setting NOTIFY_SOCKET, a path or an abstract name that begins with `@`. Without one
    nobody wants to know, and the function does nothing.
    """
    if not address:
        return lambda _state: None
    place = "\0" + address[1:] if address.startswith("@") else address

    def notify(state):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
                supervisor.connect(place)
                supervisor.sendall(state.encode())
        except OSError as error:  # the work matters more; a watchdog acts if it hears nothing
            log.warning("systemd was not told", extra={"state": state, "reason": str(error)})

    return notify
