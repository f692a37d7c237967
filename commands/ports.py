"""Ports on loopback: which are free, and what to say of one that is not."""

import errno
import socket
from collections.abc import Iterable

from commands.endings import failed


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens at just now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def check_ports(ports: Iterable[int], option: str = "--port") -> None:
    """End the command if nobody can listen at one of these ports of loopback, before anything is opened. `option`: what to choose otherwise."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As servers do: closed connections linger.
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                what = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
                raise failed(f"port {port} {what}: choose another {option}") from None
