"""Dependencies of routes: the service, one analysis, its arrays."""

import hashlib
from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from twotime.api.content.two_time_cache import TwoTimeCache
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.live_scans import LiveScan
from twotime.errors import InputError, NotForCallers, NotFound, NotReady
from twotime.jobs import ScopedService, Service


def get_service(request: Request) -> ScopedService:
    """The service within the scope of the caller. `KeyGuard` sets it; an unchecked request has none."""
    scoped: ScopedService = request.state.scoped_service
    return scoped


def get_whole_service(request: Request) -> Service:
    """The whole service, for routes that concern all runs.

    Raises
    ------
    NotForCallers
        If the caller showed a Tiled key.
    """
    service: Service = request.app.state.service
    if getattr(request.state, "scoped_service", service.unrestricted) is not service.unrestricted:
        raise NotForCallers(
            f"{request.url.path} is about all runs, but a key of Tiled stands for those that Tiled shows; ask with a "
            "key of this service."
        )
    return service


def get_two_times(request: Request) -> TwoTimeCache:
    """The cache of two-time correlation functions."""
    two_times: TwoTimeCache = request.app.state.two_times
    return two_times


TheService = Annotated[ScopedService, Depends(get_service)]
TheWholeService = Annotated[Service, Depends(get_whole_service)]
TheTwoTimeCache = Annotated[TwoTimeCache, Depends(get_two_times)]
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""Of names that become part of an address in Tiled."""
LONGEST_NAME = 200
MOST = 2**31 - 1
"""Of frames, scan ids and other numbers that a database keeps."""
AnalysisId = Annotated[
    str,
    Path(
        max_length=LONGEST_NAME, pattern=PRINTABLE, description="id of the analysis", examples=["6a1f3c2b-9f2d4c11ab"]
    ),
]
RunUid = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE, description="uid of the run")]
Roi = Annotated[int, Path(ge=1, le=MOST, description="number of the ROI, from 1", examples=[1])]
RoiRows = Annotated[int | None, Query(ge=1, le=MOST, description="rows of this ROI only")]
SampleName = Annotated[
    str | None, Query(min_length=1, max_length=LONGEST_NAME, description="name of the sample: only of this one")
]
Size = Annotated[int, Query(ge=16, le=4096, description="longest edge, points")]
ColourLimit = Annotated[float, Query(ge=-1e9, le=1e9, allow_inf_nan=False)]
LowestColour = Annotated[ColourLimit | None, Query(description="value of the lowest colour")]
HighestColour = Annotated[ColourLimit | None, Query(description="value of the highest colour")]


def colour_limits(found: tuple[float, float], vmin: float | None, vmax: float | None) -> tuple[float, float]:
    """Limits asked for, else those that were found; raises `InputError` where the lower is not below the upper."""
    low, high = (found[0] if vmin is None else vmin), (found[1] if vmax is None else vmax)
    if not low < high:
        raise InputError(f"vmin is {low:g} and vmax is {high:g}; vmin must be below vmax.")
    return low, high


async def get_record(analysis_id: AnalysisId, service: TheService) -> AnalysisRecord:
    """The analysis with the id in the path."""
    return await service.analysis(analysis_id)


TheRecord = Annotated[AnalysisRecord, Depends(get_record)]


async def get_finished(record: TheRecord, service: TheService) -> AnalysisRecord:
    """The analysis with the id in the path, if it has a result.

    Raises
    ------
    AnalysisNotFound
        If the caller may not read its data.
    NotReady
        If it waits, runs, failed or was cancelled; the message says what to do.
    """
    if record.status == "done":
        await service.check_data(record.id)
        return record
    if record.status == "failed":
        raise NotReady(
            f"Analysis {record.id} failed and has no result: {record.error} "
            "Correct the cause and post it again with force."
        )
    if record.status == "cancelled":
        raise NotReady(f"Analysis {record.id} was cancelled and has no result; post it again with force.")
    raise NotReady(
        f"Analysis {record.id} is {record.status} and has no result yet; "
        f"wait until status is done (GET /api/v1/analyses/{record.id})."
    )


Finished = Annotated[AnalysisRecord, Depends(get_finished)]


async def get_finished_xpcs(record: Finished) -> AnalysisRecord:
    """As `get_finished`, of correlation functions; raises `NotFound` where the analysis is of another kind."""
    if record.kind != "xpcs":
        raise NotFound(
            f"Analysis {record.id} holds denoised frames and no correlation functions; ask for /frames, /peaks, "
            "/regions or /frame/0.png."
        )
    return record


async def get_finished_frames(record: Finished) -> AnalysisRecord:
    """As `get_finished`, of denoised frames; raises `NotFound` where the analysis is of another kind."""
    if record.kind != "frames":
        raise NotFound(
            f"Analysis {record.id} holds correlation functions and no denoised frames; analyse its run with a recipe "
            "of kind frames."
        )
    return record


FinishedXpcs = Annotated[AnalysisRecord, Depends(get_finished_xpcs)]
FinishedFrames = Annotated[AnalysisRecord, Depends(get_finished_frames)]


async def get_live_dynamics(uid: RunUid, service: TheService) -> str:
    """Uid of a scan whose correlation functions are followed; raises `NotFound` where its frames are denoised."""
    if (await service.live_scan(uid)).metadata.get("kind", "xpcs") != "xpcs":
        raise NotFound(
            f"The frames of the live scan {uid[:8]} are denoised and not correlated; ask for /frame.png, /frames, "
            "/peaks or /regions."
        )
    return uid


async def get_live_frames(uid: RunUid, service: TheService) -> LiveScan:
    """A scan whose frames are denoised as they come; raises `NotFound` where they are correlated."""
    scan = await service.live_scan(uid)
    if scan.metadata.get("kind", "xpcs") != "frames":
        raise NotFound(
            f"The frames of the live scan {uid[:8]} are correlated and not denoised; ask for /two-time, /g2."
        )
    return scan


LiveDynamics = Annotated[str, Depends(get_live_dynamics)]
LiveFrames = Annotated[LiveScan, Depends(get_live_frames)]


def entity_tag(request: Request, record: AnalysisRecord) -> str:
    """ETag of a response that changes only when the analysis is computed again."""
    identity = f"{record.id} {record.attempt} {record.updated_time} {request.url} {request.headers.get('accept')}"
    return f'"{hashlib.sha256(identity.encode()).hexdigest()[:24]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """Response 304 if the client has this version already, else None."""
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return None
