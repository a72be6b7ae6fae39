"""Named places at which a process can be made to die, to prove that it may die there.

    answer = products.put(...)
    crash.point("answered")      # does nothing, unless the setting CRASH_POINT says `answered`

Then it dies as by kill -9: nothing is closed, rolled back or said. With CRASH_SHARE, 0 to 1, it
dies at that share of the times only. Tests alone set them.
"""

import os
import random
import signal

from chassis import context

POINTS = (
    "answered",  # a neighbour has decided, and we have not written it down
    "committed",  # a transaction is done, and what follows from it is not begun
    "leased",  # messages of the outbox are ours, and none is delivered
    "delivered",  # messages are delivered, and still in the outbox
    "mailed",  # the mail server has taken an e-mail, and it is still written down as queued
)


def point(name):
    """Die here, if the current service's settings say so. name: one of POINTS."""
    settings = context.service.get().settings
    if settings.crash_point == name and random.random() < settings.crash_share:  # noqa: S311
        os.kill(os.getpid(), signal.SIGKILL)
