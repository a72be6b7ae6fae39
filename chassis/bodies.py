"""A body is read to its end, also by who refuses it.

uWSGI would close the connection on what is left of it, and Nginx say 502 instead of our answer. Its
own way out, `post-buffering`, kills workers: with each piece it puts the worker's harakiri off
(`inc_harakiri` in its core/reader.c), which another thread that is done may just have set to 0;
what comes of it is a moment in 1970, long past.
"""

from contextlib import suppress

_PIECE_BYTES = 256 * 1024


def read_to_the_end(environ):
    """Read what is left of the body of a request, and forget it. environ: WSGI's, under uWSGI."""
    with suppress(OSError):  # who sends it is gone, and will not hear the answer either
        while environ["wsgi.input"].read(_PIECE_BYTES):
            pass
