"""The application in a real HTTP server, in the foreground or in a thread."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from twotime.api.app import create_app
from twotime.settings import Settings

_GRACE_S = 5
HEAD_S = 20.0
"""Time limit for the headers of a request, s."""
STALLED_S = 60.0
"""Time limit for a client that reads nothing of a response, s."""
_LONGEST_HEAD = 64 * 2**10
_MOST_CONNECTIONS = 1000
"""Concurrent connections; further ones get 503."""


class Server:
    """Serves the application of `settings`.

    Parameters
    ----------
    settings : `host` and `port` (0: any free one) say where to listen

    Notes
    -----
    As a context manager it runs in a thread: entered, it answers; left, the service has stopped.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings)
        config = uvicorn.Config(
            self.app,
            http=_HeaderTimeoutProtocol,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_S,
            lifespan="on",
            limit_concurrency=_MOST_CONNECTIONS,
            # Client address and scheme from X-Forwarded headers count only if they come from a trusted proxy.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
        )
        self._server = _Server(config, self.app.state.events.close)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """Address, known once the socket is bound."""
        host, port = self._bound().getsockname()[:2]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"

    @property
    def connections(self) -> list[Any]:
        """Connections that are open now; `client` of each is its address and port."""
        return [*self._server.server_state.connections]

    @property
    def key(self) -> str:
        """The key of the service, with all scopes."""
        key: str = self.app.state.key
        return key

    def run(self) -> None:
        """Serve until interrupted.

        Raises
        ------
        ValueError
            If the address cannot be listened on.
        """
        self._server.run(sockets=[self._bound()])

    def start(self) -> None:
        """Serve in a thread; returns when the application answers."""
        listening = self._bound()

        def serve() -> None:
            try:
                self._server.run(sockets=[listening])
            except BaseException as error:
                self._failure = error

        self._thread = threading.Thread(target=serve, name="twotime-api", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The service did not start; its log says why.") from self._failure
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop serving and wait until the service has stopped."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bound(self) -> socket.socket:
        if self._socket is None:
            host, port = self.settings.host, self.settings.port
            try:
                self._socket = socket.create_server((host, port), backlog=128)
            except OSError as error:
                raise ValueError(
                    f"Cannot listen on {host}:{port} ({error.strerror}); set TWOTIME_PORT to a free port, or 0 for any."
                ) from None
        return self._socket


class _HeaderTimeoutProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # uvicorn chooses it when it is imported
    """Closes connections whose request headers do not arrive in time, or whose client does not read."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the timer for the first request."""
        self._head_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Keep the timer running until headers are complete, and while an unwanted body still arrives."""
        in_body = self.cycle is not None and self.cycle.more_body
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_bytes = 0
            self._wait_no_more()
            return
        self._head_bytes += 0 if in_body else len(data)
        if self._head_bytes > _LONGEST_HEAD:
            self._close()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._wait_no_more()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes the answer more slowly than it is written: it has to go on taking it."""
        super().pause_writing()
        self._taken()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        self._taken()
        super().resume_writing()

    def _watch(self, left: int) -> None:
        self._stalled = self.loop.call_later(STALLED_S, self._abort_if_stalled, left)

    def _abort_if_stalled(self, left: int) -> None:
        """Drop a connection whose client took nothing; closing would wait for the client to take the rest."""
        now = self.transport.get_write_buffer_size()
        if now < left:
            self._watch(now)
        else:
            self.transport.abort()

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._close)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """Ends open event streams before it waits for connections to close."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._close_streams = close_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._close_streams()
        await super().shutdown(sockets)
