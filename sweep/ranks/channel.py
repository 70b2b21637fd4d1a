"""JSON messages between rank 0 and a peer, over TCP: each sees at once that the other has ended."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_HANDSHAKE = 10.0  # seconds for the other side to say who it is
# A node that loses its power says nothing: after some 50 s of silence it counts as ended.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)


class Channel:
    """One side of a connection. Any thread may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        for option in _KEEP_ALIVE:
            connection.setsockopt(*option)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._sending = threading.Lock()

    @property
    def host(self) -> str:
        """The other side's address."""
        return str(self._connection.getpeername()[0])

    def send(self, **message: Any) -> bool:
        """Send one message; False: the other side has ended."""
        line = json.dumps(message).encode() + b"\n"
        with self._sending:
            try:
                self._connection.sendall(line)
            except OSError:
                return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """Wait for a message; None: the other side has ended."""
        try:
            line = self._lines.readline()
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        """End it, also for a thread that is receiving."""
        with suppress(OSError):  # it has ended already
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def listen(port: int = 0, only_here: bool = False) -> socket.socket:
    """A listening socket; port 0: any free one. OSError where the port is taken."""
    if only_here:
        return socket.create_server(("127.0.0.1", port))
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def accept(listener: socket.socket, token: str) -> tuple[Channel, Mapping[str, Any]] | None:
    """The next one that knocks, and what it says of itself.

    None: nobody within the listener's timeout, or somebody who belongs to another job.
    """
    try:
        connection = listener.accept()[0]
    except TimeoutError:
        return None
    connection.settimeout(_HANDSHAKE)
    channel = Channel(connection)
    hello = channel.receive()
    if hello is None or hello.get("token") != token or not channel.send(welcome=True):
        channel.close()
        return None
    connection.settimeout(None)
    return channel, hello


def knock(host: str, port: int, token: str, **about: Any) -> Channel | None:
    """A channel to who listens there; None: nobody does, or another job."""
    try:
        connection = socket.create_connection((host, port), _HANDSHAKE)
    except OSError:
        return None
    channel = Channel(connection)
    if channel.send(token=token, **about) and channel.receive() == {"welcome": True}:
        connection.settimeout(None)
        return channel
    channel.close()
    return None
