"""A line between a client and a server that loses a reply when it is told to."""

import contextlib
import socket
import threading
from pathlib import Path

CHUNK_BYTES = 1 << 16


class LossyLine:
    """Listens at a port of loopback and passes everything on, to another port or to a unix socket.

    `lose` arms it: the next request that holds some bytes still reaches the server, and its reply does not come back.
    """

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._lock = threading.Lock()
        self._marker: bytes | None = None
        self._hang_up = True
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, marker: bytes = b"", *, hang_up: bool = True) -> None:
        """Lose the reply to the next request that holds `marker`; then end the connection, or stay silent once."""
        with self._lock:
            self._marker, self._hang_up = marker, hang_up

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:
            server.close()
            raise
        return server

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), self._connected() as server:
            losing = threading.Event()
            back = threading.Thread(target=self._carry_back, args=(server, client, losing), daemon=True)
            back.start()
            while request := client.recv(CHUNK_BYTES):
                if self._takes(request):
                    losing.set()
                server.sendall(request)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _takes(self, request: bytes) -> bool:
        with self._lock:
            found = self._marker is not None and self._marker in request
            if found:
                self._marker = None
            return found

    def _carry_back(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while reply := server.recv(CHUNK_BYTES):
                if not losing.is_set():
                    client.sendall(reply)
                    continue
                losing.clear()
                self.lost += 1
                if self._hang_up:
                    break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
