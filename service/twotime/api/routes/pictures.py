"""Two-time correlation functions and the mean frame, as pictures and as raw numbers."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response

from twotime.api import schemas
from twotime.api.content.frame_time import frame_time_s, n_frames
from twotime.api.content.number_responses import numbers_response, part_of
from twotime.api.content.png import frame_png, two_time_figure, two_time_png
from twotime.api.dependencies import (
    MOST,
    Finished,
    FinishedXpcs,
    HighestColour,
    LowestColour,
    Roi,
    Size,
    TheService,
    TheTwoTimeCache,
    colour_limits,
    entity_tag,
    unchanged,
)
from twotime.results import shrink

router = APIRouter(prefix="/analyses/{analysis_id}", tags=["pictures"])

Kind = Annotated[
    schemas.Kind, Query(description="measured, denoised, standard error of the denoised, or measured - denoised")
]


@router.get(
    "/two-time/{roi}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Viridis; first frame lower left; NaN grey."}},
)
async def two_time_picture(
    request: Request,
    record: FinishedXpcs,
    two_times: TheTwoTimeCache,
    roi: Roi,
    kind: Kind = "raw",
    vmin: LowestColour = None,
    vmax: HighestColour = None,
    size: Size = 800,
    axes: Annotated[bool, Query(description="with axes in s and a colour bar")] = False,
    own_scale: Annotated[bool, Query(description="let raw not share the colours of denoised")] = False,
) -> Response:
    """Two-time correlation function as a picture; raw and denoised have the same colour scale."""
    tag = entity_tag(request, record)
    same = unchanged(request, tag)
    if same is not None:
        return same
    values = await two_times.values(record, kind, roi)
    low, high = colour_limits(await two_times.scale(record, kind, roi, own=own_scale), vmin, vmax)
    if axes:
        title = f"{record.sample or record.raw_uid[:8]}  scan {record.scan_id}  ROI {roi}"
        time_s = frame_time_s(record)
        content = await asyncio.to_thread(two_time_figure, values, kind, low, high, size, time_s, title)
    else:
        content = await asyncio.to_thread(two_time_png, values, kind, low, high, size)
    headers = {"ETag": tag, "X-Scale": f"{low:.6g},{high:.6g}"}
    return Response(content, media_type="image/png", headers=headers)


@router.get(
    "/two-time/{roi}.f32",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": (
                "Little-endian float32, row after row. X-Shape: rows,columns. X-Dtype: <f4. X-Start: first frames of "
                "rows and columns. X-Step: each point is the mean of this many frames squared. X-Frame-Time: s. "
                "X-Scale: ends of the colour scale of the whole. NaN where unknown."
            ),
        }
    },
)
async def two_time_numbers(
    request: Request,
    record: FinishedXpcs,
    two_times: TheTwoTimeCache,
    roi: Roi,
    kind: Kind = "raw",
    start: Annotated[int, Query(ge=0, le=MOST, description="first frame of the rows")] = 0,
    stop: Annotated[int | None, Query(ge=1, le=MOST, description="one past the last frame; none: all")] = None,
    start_2: Annotated[
        int | None, Query(ge=0, le=MOST, description="first frame of the columns; none: as the rows")
    ] = None,
    stop_2: Annotated[
        int | None, Query(ge=1, le=MOST, description="one past their last frame; none: as the rows")
    ] = None,
    size: Annotated[int | None, Query(ge=16, le=8192, description="average to at most this many points")] = None,
) -> Response:
    """Two-time correlation function as numbers, all or a window of it, at full resolution unless `size` is given."""
    tag = entity_tag(request, record)
    same = unchanged(request, tag)
    if same is not None:
        return same
    number = n_frames(record)
    rows = part_of(start, stop, number, ("start", "stop"), "frames")
    columns = part_of(
        start if start_2 is None else start_2,
        stop if stop_2 is None else stop_2,
        number,
        ("start_2", "stop_2"),
        "frames",
    )
    values = await two_times.values(record, kind, roi, (rows, columns))
    part, step = await asyncio.to_thread(shrink, values, size or number)
    low, high = await two_times.scale(record, kind, roi)
    return numbers_response(
        part, rows, columns, step, tag, X_Frame_Time=repr(frame_time_s(record)), X_Scale=f"{low:.6g},{high:.6g}"
    )


@router.get(
    "/mean-frame.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Row 0 on top; logarithmic unless asked."}},
)
async def mean_frame(
    request: Request,
    record: Finished,
    service: TheService,
    size: Size = 800,
    rois: Annotated[bool, Query(description="with the outlines of the ROIs")] = False,
    logarithmic: Annotated[bool, Query(description="logarithmic colour scale")] = True,
) -> Response:
    """Mean of the analysed frames."""
    tag = entity_tag(request, record)
    same = unchanged(request, tag)
    if same is not None:
        return same
    frame = await service.read_array(record.id, "mean_frame")
    labelled = rois and (record.kind == "xpcs" or bool(record.recipe["regions"]))
    labels = await service.read_array(record.id, "roi_labels") if labelled else None
    mask = np.asarray(await service.read_array(record.id, "mask"), bool)
    content = await asyncio.to_thread(frame_png, frame, labels, size, logarithmic=logarithmic, mask=mask)
    return Response(content, media_type="image/png", headers={"ETag": tag})
