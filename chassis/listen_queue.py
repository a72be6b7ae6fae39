"""How much waits in the listen queue of a unix socket, as `ss -xl` shows it.

uwsgi.listen_queue() asks a patched kernel and is 0 on every other. Linux tells it by netlink:
https://man7.org/linux/man-pages/man7/sock_diag.7.html
"""

import os
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20  # the type of the question and of its answer
_NLM_F_REQUEST = 1
_TCP_LISTEN = 10  # the state, of unix sockets too
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_ANY_COOKIE = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_QUESTION = struct.Struct("=BBHIIIII")  # unix_diag_req: family, -, -, states, inode, show, cookie
_ANSWER_BYTES = 16  # of unix_diag_msg; attributes follow
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_QUEUE = struct.Struct("=II")  # unix_diag_rqlen


def listen_queue(descriptor):
    """Return (how many connections wait, how many may wait) of a listening unix socket.

    descriptor: its file descriptor. Takes some 20 us. Raises OSError if it is none, or if the
    process may not ask.
    """
    inode = os.fstat(descriptor).st_ino
    question = _QUESTION.pack(
        socket.AF_UNIX, 0, 0, 1 << _TCP_LISTEN, inode, _UDIAG_SHOW_RQLEN, _ANY_COOKIE, _ANY_COOKIE
    )
    length = _HEADER.size + len(question)
    header = _HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + question)
        return _understood(kernel.recv(4096, socket.MSG_DONTWAIT))


def _understood(answer):
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        raise OSError("this is no listening unix socket")
    position = _HEADER.size + _ANSWER_BYTES
    while position < length:
        size, attribute = _ATTRIBUTE.unpack_from(answer, position)
        if attribute == _UNIX_DIAG_RQLEN:
            return _QUEUE.unpack_from(answer, position + _ATTRIBUTE.size)
        position += (size + 3) & ~3  # attributes begin at multiples of four
    raise OSError("the kernel does not tell the length of the queue")
