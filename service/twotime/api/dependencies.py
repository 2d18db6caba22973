"""What routes ask for: the service, one analysis, its arrays."""

import hashlib
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from twotime.api.two_times import TwoTimes
from twotime.catalog.analyses import AnalysisRecord
from twotime.errors import NotReady
from twotime.jobs import Service


def get_service(request: Request) -> Service:
    """The service that this application runs."""
    service: Service = request.app.state.service
    return service


def get_two_times(request: Request) -> TwoTimes:
    """The two-time correlation functions that were read last."""
    two_times: TwoTimes = request.app.state.two_times
    return two_times


TheService = Annotated[Service, Depends(get_service)]
TheTwoTimes = Annotated[TwoTimes, Depends(get_two_times)]
AnalysisId = Annotated[str, Path(description="id of the analysis", examples=["6a1f3c2b-9f2d4c11ab"])]
Roi = Annotated[int, Path(description="number of the ROI, from 1", examples=[1])]
Size = Annotated[int, Query(ge=16, le=4096, description="longest edge, points")]


async def get_record(analysis_id: AnalysisId, service: TheService) -> AnalysisRecord:
    """The analysis that the address names."""
    return await service.analysis(analysis_id)


TheRecord = Annotated[AnalysisRecord, Depends(get_record)]


async def get_finished(record: TheRecord) -> AnalysisRecord:
    """The analysis that the address names, if it has a result.

    Raises
    ------
    NotReady
        If it waits, runs, failed or was cancelled; says which and what to do.
    """
    if record.status == "done":
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


def entity_tag(request: Request, record: AnalysisRecord) -> str:
    """Tag of an answer that changes only when the analysis is computed again."""
    told = f"{record.id} {record.attempt} {record.updated_time} {request.url} {request.headers.get('accept')}"
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:24]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """The answer for a client that has this very thing already; else None."""
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return None


def frame_time_s(record: AnalysisRecord) -> float:
    """Time between two analysed frames, s."""
    frames = record.recipe["frames"]
    return float(record.recipe["geometry"]["frame_time_s"]) * int(frames["stride"]) * _bin(frames)


def n_frames(record: AnalysisRecord) -> int:
    """Number of analysed frames."""
    frames = record.recipe["frames"]
    return len(range(frames["start"], frames["stop"], frames["stride"])) // _bin(frames)


def _bin(frames: dict[str, Any]) -> int:
    """How many frames were added to one; analyses of earlier versions added none."""
    return int(frames.get("bin", 1))
