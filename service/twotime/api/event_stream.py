"""Fan-out of service events to the subscribers of the two event routes."""

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
    """One event: kind (``analysis``, ``run``, ``live``, ``tiled``, ``queue``), number and fields."""

    kind: str
    id: str
    data: dict[str, Any]


class EventStream:
    """Numbers the events of the service and sends them to all subscribers; drops those that lag too far behind."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._numbers = itertools.count(1)

    async def relay(self) -> None:
        """Relay events until cancelled."""
        async for message in self._service.events():
            data = dict(message)
            event = Event(str(data.pop("event")), str(next(self._numbers)), data)
            for queue in [*self._queues]:
                with suppress(asyncio.QueueFull):
                    queue.put_nowait(event)
                    continue
                self._end(queue)

    @contextmanager
    def subscribe(self, analysis_id: str | None = None) -> Iterator[AsyncIterator[Event]]:
        """Events from now on, of everything or of one analysis; ends when the service closes."""
        mine: asyncio.Queue[Event | None] = asyncio.Queue(_LONGEST_BACKLOG)
        self._queues.add(mine)
        try:
            yield _received(mine, analysis_id)
        finally:
            self._queues.discard(mine)

    def close(self) -> None:
        """End all subscriptions, so that their connections close and the server can stop."""
        for queue in [*self._queues]:
            self._end(queue)

    @staticmethod
    def present(record: AnalysisRecord) -> dict[str, Any]:
        """The present state of an analysis in the form of an event."""
        fields = asdict(record)
        names = ("id", "raw_uid", "status", "attempt", "stage", "progress", "error", "mark")
        return {name: fields[name] for name in names} | {"time": record.updated_time}

    def _end(self, queue: asyncio.Queue[Event | None]) -> None:
        self._queues.discard(queue)
        while queue.full():
            queue.get_nowait()
        queue.put_nowait(None)


async def _received(mine: asyncio.Queue[Event | None], analysis_id: str | None) -> AsyncIterator[Event]:
    while (event := await mine.get()) is not None:
        if analysis_id is None or (event.kind == "analysis" and event.data.get("id") == analysis_id):
            yield event
