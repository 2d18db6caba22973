"""Watching for runs that start and finish: Tiled's event stream, and a query wherever events can be lost.

::

    connect --> query --> events ... --> query every `reconcile_s`
       ^                     |---------> query after a gap in the event numbers
       |                     |
       +--- TiledUnavailable +  (the caller connects again: Tiled keeps no events over a restart)
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgpack
from databroker.queries import Comparison, TimeRange
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from twotime.catalog.runs.document_values import has_documents
from twotime.catalog.runs.search import is_run
from twotime.catalog.server.tiled_client import open_root, opened_root, raw_catalog, tiled_errors
from twotime.errors import StreamOff, TiledUnavailable
from twotime.settings import Settings
from twotime.threads import to_the_end

OnRun = Callable[[str, Mapping[str, Any], Mapping[str, Any]], Awaitable[None]]
OnStart = Callable[[str, Mapping[str, Any]], Awaitable[None]]
_News = tuple[list[tuple[Mapping[str, Any], Mapping[str, Any]]], list[Mapping[str, Any]]]

MARGIN_S = 300.0
"""Stop times are compared with the clock of this machine; the clock of the beamline may be off by this much."""
_CREATED = "container-child-created"
_UPDATED = "container-child-metadata-updated"
_LONGEST_RUN_S = 86400.0
_MOST_RUNNING = 20
_STARTING = (502, 503, 504)


async def watch_runs(settings: Settings, on_run: OnRun, on_start: OnStart | None = None) -> None:
    """Call `on_run(uid, start, stop)` for every run that finishes from now on; a run may be reported more than once.

    Parameters
    ----------
    settings : with `tiled_uri` set
    on_run : awaited for each run; events queue up meanwhile
    on_start : awaited as ``on_start(uid, start)`` for every run that starts or is running

    Raises
    ------
    StreamOff
        If Tiled answers but has no event stream; use `poll_runs`.
    TiledUnavailable
        When the connection ends; call again to continue.
    TiledRefused
        If the key is refused.

    Notes
    -----
    A run has finished when an update of its metadata carries ``stop``; TiledWriter has flushed all data before.

    Events can be lost: with its memory cache, a restarted Tiled numbers events from 1 again, and a client that
    reconnects gets none of those in between and no error. Therefore the catalog is queried after every connection,
    after every gap in the event numbers, and every `settings.reconcile_s`.

    Tiled's subscription client (0.2.20) is not used: its callbacks are weak references, it closes on messages above
    1 MB, it reconnects without telling, and it needs a key that may create keys.
    """
    asked = time.time()
    opened = ExitStack()

    def open_raw() -> Any:
        root = open_root(settings)
        opened.callback(root.context.close)
        return raw_catalog(root, settings)

    try:
        raw = await to_the_end(open_raw)
        async with connect(
            _stream_uri(settings), additional_headers=_headers(settings), max_size=None, open_timeout=15
        ) as socket:
            await _Watch(settings, on_run, on_start, raw, asked).follow(socket)
    except InvalidStatus as error:
        status = error.response.status_code
        kind = TiledUnavailable if status in _STARTING else StreamOff
        raise kind(f"Tiled at {settings.tiled_uri} answers {status} where its event stream should be.") from error
    except (OSError, WebSocketException, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise TiledUnavailable(f"The event stream of {settings.tiled_uri} ended ({reason}).") from error
    finally:
        opened.close()


async def poll_runs(settings: Settings, on_run: OnRun, on_start: OnStart | None = None, *, for_s: float) -> None:
    """As `watch_runs`, for servers without an event stream: query the catalog every `reconcile_s`, for `for_s` seconds.

    Raises
    ------
    TiledUnavailable
        If Tiled does not answer.
    TiledRefused
        If the key is refused.
    """
    end, since = time.monotonic() + for_s, time.time()
    while time.monotonic() < end:
        began = time.time()
        await _tell(await asyncio.to_thread(_news_alone, settings, since), on_run, on_start)
        since = began
        await asyncio.sleep(min(settings.reconcile_s, for_s))


def runs_going_on(raw: Any) -> list[Mapping[str, Any]]:
    """Start documents of the newest runs that have not ended."""
    newest = raw.search(TimeRange(since=time.time() - _LONGEST_RUN_S)).sort(("start.time", -1))
    # `head`, not a slice up to a length asked before: if the first run arrives between both requests, the client asks
    # for empty pages forever.
    runs = newest.values().head(_MOST_RUNNING)
    return [run.metadata["start"] for run in runs if is_run(run) and not run.metadata.get("stop")]


class _Watch:
    """Watches over one connection."""

    def __init__(self, settings: Settings, on_run: OnRun, on_start: OnStart | None, raw: Any, since: float) -> None:
        self.settings = settings
        self.on_run = on_run
        self.on_start = on_start
        self.raw = raw
        self.since = since
        self.sequence: int | None = None
        self.asked_at = 0.0

    async def follow(self, socket: ClientConnection) -> None:
        await self._reconcile()
        while True:
            left = self.asked_at + self.settings.reconcile_s - time.monotonic()
            try:
                message = await asyncio.wait_for(socket.recv(), max(left, 0.01))
            except TimeoutError:
                await self._reconcile()
                continue
            await self._take(msgpack.unpackb(message) if isinstance(message, bytes) else {})

    async def _take(self, event: Mapping[str, Any]) -> None:
        sequence = event.get("sequence")
        if sequence is not None:
            gap = self.sequence is not None and sequence != self.sequence + 1
            self.sequence = sequence
            if gap:
                await self._reconcile()
        metadata = event.get("metadata") or {}
        if not has_documents(metadata):
            return
        if event.get("type") == _UPDATED and metadata.get("stop"):
            await self.on_run(metadata["start"]["uid"], metadata["start"], metadata["stop"])
        begun = event.get("type") == _CREATED and not metadata.get("stop")
        if begun and self.on_start is not None:
            await self.on_start(metadata["start"]["uid"], metadata["start"])

    async def _reconcile(self) -> None:
        """Query the catalog for runs since the last query, and report them."""
        began = time.time()
        await _tell(await to_the_end(_news, self.settings, self.raw, self.since), self.on_run, self.on_start)
        self.since = began
        self.asked_at = time.monotonic()


def _news(settings: Settings, raw: Any, since: float) -> _News:
    with tiled_errors(str(settings.tiled_uri)):
        ended = raw.search(Comparison("ge", "stop.time", since - MARGIN_S)).values()
        finished = [(run.metadata["start"], run.metadata["stop"]) for run in ended if is_run(run)]
        return finished, runs_going_on(raw)


def _news_alone(settings: Settings, since: float) -> _News:
    """As `_news`, over a connection of its own, so that a thread that outlives the service leaves nothing open."""
    with opened_root(settings) as root:
        return _news(settings, raw_catalog(root, settings), since)


async def _tell(news: _News, on_run: OnRun, on_start: OnStart | None) -> None:
    finished, going_on = news
    for start, stop in finished:
        await on_run(start["uid"], start, stop)
    if on_start is not None:
        for start in going_on:
            await on_start(start["uid"], start)


def _stream_uri(settings: Settings) -> str:
    parts = urlsplit(str(settings.tiled_uri))
    base = parts.path.rstrip("/").removesuffix("/api/v1")
    path = f"{base}/api/v1/stream/single/{settings.raw_path.strip('/')}"
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, path, "envelope_format=msgpack", ""))


def _headers(settings: Settings) -> dict[str, str]:
    key = settings.tiled_api_key
    return {} if key is None else {"Authorization": f"Apikey {key.get_secret_value()}"}
