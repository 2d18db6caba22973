"""A connection that can be cut, slowed down and made to answer nonsense, between a service and its Tiled."""

import socket
import threading
import time
from contextlib import suppress

_REASONS = {401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests", 500: "Internal Server Error"}


class Proxy:
    """Passes bytes on to a port of this machine, until it is told not to.

    Parameters
    ----------
    target : port to pass on to

    Attributes
    ----------
    port : to connect to
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._mode: str | int = "pass"
        self._delay_s = 0.0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def heal(self) -> None:
        """Pass everything on."""
        self._mode, self._delay_s = "pass", 0.0
        self._drop()

    def cut(self) -> None:
        """Close every connection, and every new one at once."""
        self._mode = "cut"
        self._drop()

    def slow(self, delay_s: float) -> None:
        """Pass everything on so much later."""
        self._delay_s = delay_s

    def answer(self, status: int) -> None:
        """Answer every request with this status."""
        self._mode = status
        self._drop()

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._listening.close()
        self._drop()

    def _accept(self) -> None:
        while not self._closed:
            try:
                ours, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(ours,), daemon=True).start()

    def _serve(self, ours: socket.socket) -> None:
        self._keep(ours)
        with suppress(OSError):
            if self._mode == "cut":
                return self._end(ours)
            if isinstance(self._mode, int):
                return self._refuse(ours, self._mode)
            theirs = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            theirs.settimeout(None)
            self._keep(theirs)
            threading.Thread(target=self._pass, args=(theirs, ours), daemon=True).start()
            return self._pass(ours, theirs)
        return self._end(ours)

    def _refuse(self, ours: socket.socket, status: int) -> None:
        ours.settimeout(5)
        ours.recv(65536)
        body = b'{"detail": "said so by the fault harness"}'
        reason = _REASONS.get(status, "Service Unavailable")
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        ours.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
        self._end(ours)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._delay_s:
                    time.sleep(self._delay_s)
                target.sendall(data)
        self._end(source)
        self._end(target)

    def _keep(self, one: socket.socket) -> None:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Else every answer of Tiled comes 40 ms later.
        with self._lock:
            self._open.add(one)

    def _end(self, one: socket.socket) -> None:
        with self._lock:
            self._open.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _drop(self) -> None:
        with self._lock:
            there = list(self._open)
        for one in there:
            self._end(one)
