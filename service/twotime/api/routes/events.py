"""What happens, as it happens: server-sent events."""

from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from twotime.api.dependencies import AnalysisId, TheRecord, TheService, TheWholeService
from twotime.api.event_stream import Event, EventStream
from twotime.errors import NotFound, TiledRefused, TiledUnavailable
from twotime.jobs import ScopedService

router = APIRouter(tags=["events"])


@router.get("/events", response_class=EventSourceResponse)
async def events(request: Request, _whole: TheWholeService) -> AsyncIterator[ServerSentEvent]:
    """Changes of all analyses (`event: analysis`), runs (`run`) and of Tiled (`tiled`).

    A comment is sent every 15 s of silence, and the stream ends with the key or session that opened it. Nothing is
    replayed, whatever Last-Event-ID says: after a gap ask for the lists again.
    """
    hub: EventStream = request.app.state.events
    with hub.subscribe() as received:
        async for event in received:
            if not request.state.key_is_valid():
                return
            yield _sent(event)


@router.get("/analyses/{analysis_id}/events", response_class=EventSourceResponse)
async def analysis_events(
    request: Request, analysis_id: AnalysisId, _known: TheRecord, service: TheService
) -> AsyncIterator[ServerSentEvent]:
    """Changes of one analysis, first its present state; ends when the analysis has ended."""
    hub: EventStream = request.app.state.events
    with hub.subscribe(analysis_id) as received:
        record = await service.analysis(analysis_id)
        yield ServerSentEvent(event="analysis", data=hub.present(record))
        if record.ended:
            return
        async for event in received:
            if not (request.state.key_is_valid() and await _is_shown(analysis_id, service)):
                return
            yield _sent(event)
            if event.data.get("status") in ("done", "failed", "cancelled"):
                return


async def _is_shown(analysis_id: str, service: ScopedService) -> bool:
    """Whether the caller may still see the analysis; while Tiled does not answer nothing changes."""
    with suppress(TiledUnavailable):
        try:
            await service.analysis(analysis_id)
        except (NotFound, TiledRefused):
            return False
    return True


def _sent(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event=event.kind, id=event.id, data=event.data)
