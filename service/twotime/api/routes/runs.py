"""Raw runs, and plans for analysing them."""

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from twotime.api import schemas
from twotime.api.content.png import frame_png, outlines_png
from twotime.api.dependencies import LONGEST_NAME, MOST, PRINTABLE, Size, TheService
from twotime.xpcs.orientation import Orientation

router = APIRouter(tags=["runs"])


@router.get("/runs", response_model=schemas.RunList)
async def runs(
    service: TheService, limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 20
) -> schemas.RunList:
    """The newest runs, each with the decision of the automatic mode and its reason."""
    found = await service.runs(limit=limit)
    return schemas.RunList(runs=[schemas.Run.model_validate(asdict(run)) for run in found])


@router.post("/plans", response_model=schemas.Plan)
async def plan(wanted: schemas.PlanRequest, service: TheService) -> schemas.Plan:
    """What an analysis would do: every value with its source, q and pixel count of each ROI. Computes nothing."""
    return schemas.Plan.model_validate(await service.plan(wanted.uid, wanted.recipe))


@router.get(
    "/runs/{uid}/frame.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "In the analysis frame, row 0 on top."}},
)
async def run_frame(
    service: TheService,
    uid: Annotated[
        str,
        Path(
            min_length=1, max_length=LONGEST_NAME, pattern=PRINTABLE, description="uid, beginning of a uid, or scan_id"
        ),
    ],
    size: Size = 700,
    frame: Annotated[
        int | None, Query(ge=0, le=MOST, description="number of the one frame; none: the mean of the first ten")
    ] = None,
    detector: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=LONGEST_NAME,
            pattern=PRINTABLE,
            description="image key; none: as an analysis would",
        ),
    ] = None,
    orientation: Annotated[
        Orientation | None, Query(description="to the analysis frame; none: that of the detector")
    ] = None,
) -> Response:
    """Detector frame, or mean of the first frames, on a logarithmic scale."""
    counts = await service.frame(uid, frame=frame, detector=detector, orientation=orientation)
    content = await asyncio.to_thread(frame_png, counts, None, size)
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=300"})


@router.post(
    "/plans/rois.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "White on nothing, in the analysis frame."}},
)
async def plan_outlines(wanted: schemas.OutlinesRequest, service: TheService) -> Response:
    """Outlines of the ROIs of a plan, as an overlay for the frame in the same size."""
    labels = await service.planned_labels(wanted.uid, wanted.recipe)
    content = await asyncio.to_thread(outlines_png, labels, wanted.size)
    return Response(content, media_type="image/png")
