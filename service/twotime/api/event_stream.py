"""From the one stream of the service to any number of listeners."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.jobs import Service

_LONGEST_BACKLOG = 1000


@dataclass(frozen=True)
class Event:
    """One message: ``analysis``, ``run`` or ``tiled``, its number, and what it says."""

    kind: str
    id: str
    data: dict[str, Any]


class EventStream:
    """Hands what the service says to everybody who listens; a listener that lags too far behind is dropped."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._numbers = itertools.count(1)

    async def relay(self) -> None:
        """Pass on what the service says, until cancelled."""
        async for said in self._service.events():
            data = dict(said)
            event = Event(str(data.pop("event")), str(next(self._numbers)), data)
            for listener in [*self._listeners]:
                with suppress(asyncio.QueueFull):
                    listener.put_nowait(event)
                    continue
                self._end(listener)

    @contextmanager
    def subscribe(self, analysis_id: str | None = None) -> Iterator[AsyncIterator[Event]]:
        """What happens from the moment of entering, to all or to one analysis; ends when the service closes."""
        mine: asyncio.Queue[Event | None] = asyncio.Queue(_LONGEST_BACKLOG)
        self._listeners.add(mine)
        try:
            yield _received(mine, analysis_id)
        finally:
            self._listeners.discard(mine)

    def close(self) -> None:
        """End all listeners, so that their connections close and the server can stop."""
        for listener in [*self._listeners]:
            self._end(listener)

    @staticmethod
    def present(record: AnalysisRecord) -> dict[str, Any]:
        """The state of an analysis in the form of an event."""
        told = asdict(record)
        names = ("id", "raw_uid", "status", "attempt", "stage", "progress", "error")
        return {name: told[name] for name in names} | {"time": record.updated_time}

    def _end(self, listener: asyncio.Queue[Event | None]) -> None:
        self._listeners.discard(listener)
        while listener.full():
            listener.get_nowait()
        listener.put_nowait(None)


async def _received(mine: asyncio.Queue[Event | None], analysis_id: str | None) -> AsyncIterator[Event]:
    while (event := await mine.get()) is not None:
        if analysis_id is None or (event.kind == "analysis" and event.data.get("id") == analysis_id):
            yield event
