"""Denoised frames of a finished analysis: pictures, numbers, peaks, counts of regions."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Path, Query, Request, Response
from numpy.typing import NDArray

from frame_denoiser import line_profile
from twotime.api import schemas
from twotime.api.content.frame_pictures import colour_scale, frame_picture
from twotime.api.content.frames_summary import frames_summary
from twotime.api.content.number_responses import numbers_response, part_of
from twotime.api.content.table_responses import number
from twotime.api.dependencies import (
    MOST,
    FinishedFrames,
    HighestColour,
    LowestColour,
    Size,
    TheService,
    colour_limits,
    entity_tag,
    get_finished_frames,
    unchanged,
)
from twotime.api.table_routes import add_table
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import InputError, NotFound
from twotime.results import FRAME_IMAGES, FrameImage, shrink

router = APIRouter(prefix="/analyses/{analysis_id}", tags=["frames"])

_PROFILED: tuple[FrameImage, ...] = ("raw", "rate", "error")
TABLES = ("frames", "peaks", "regions")
"""Address of each published table, which is the name of its node."""

Place = Annotated[float, Query(ge=-0.5, le=1e6, allow_inf_nan=False)]
Frame = Annotated[int, Path(ge=0, le=MOST, description="number of the denoised frame, from 0", examples=[0])]
Kind = Annotated[
    FrameImage, Query(description="raw counts, denoised rate, its standard error, or the residual in errors")
]


@router.get("/frames/summary", response_model=schemas.FramesSummary)
async def summary(record: FinishedFrames) -> schemas.FramesSummary:
    """What was denoised: number and size of the frames, scan variable, regions, model, warnings."""
    return frames_summary(record)


@router.get(
    "/frame/{frame}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Row 0 on top; masked pixels grey."}},
)
async def picture(
    request: Request,
    record: FinishedFrames,
    service: TheService,
    frame: Frame,
    kind: Kind = "rate",
    size: Size = 800,
    logarithmic: Annotated[bool, Query(description="logarithmic colour scale, but for residuals")] = True,
    vmin: LowestColour = None,
    vmax: HighestColour = None,
) -> Response:
    """One frame as a picture; raw counts and rate have the same colours, so that they can be compared."""
    tag = entity_tag(request, record)
    same = unchanged(request, tag)
    if same is not None:
        return same
    values = await _frame(service, record, frame, kind)
    reference = await _frame(service, record, frame, "rate") if kind == "raw" else values
    found = await asyncio.to_thread(colour_scale, reference, kind, logarithmic=logarithmic)
    low, high = colour_limits(found, vmin, vmax)
    if logarithmic and kind != "residual" and low <= 0:
        raise InputError(f"vmin is {low:g}, but colours are logarithmic; give a positive vmin, or logarithmic=false.")
    content = await asyncio.to_thread(frame_picture, values, kind, (low, high), size, logarithmic=logarithmic)
    return Response(content, media_type="image/png", headers={"ETag": tag, "X-Scale": f"{low:.6g},{high:.6g}"})


@router.get(
    "/frame/{frame}.f32",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": (
                "Little-endian float32, row after row. X-Shape: rows,columns. X-Dtype: <f4. X-Start: first row and "
                "column. X-Step: each point is the mean of this many pixels squared. NaN where masked."
            ),
        }
    },
)
async def numbers(
    request: Request,
    record: FinishedFrames,
    service: TheService,
    frame: Frame,
    kind: Kind = "rate",
    row: Annotated[int, Query(ge=0, le=MOST, description="first row")] = 0,
    row_stop: Annotated[int | None, Query(ge=1, le=MOST, description="one past the last row; none: all")] = None,
    column: Annotated[int, Query(ge=0, le=MOST, description="first column")] = 0,
    column_stop: Annotated[int | None, Query(ge=1, le=MOST, description="one past the last column; none: all")] = None,
    size: Annotated[int | None, Query(ge=16, le=8192, description="average to at most this many points")] = None,
) -> Response:
    """One frame as numbers, all or a part of it, at full resolution unless `size` is given; counts per pixel."""
    tag = entity_tag(request, record)
    same = unchanged(request, tag)
    if same is not None:
        return same
    values = await _frame(service, record, frame, kind)
    rows = part_of(row, row_stop, values.shape[0], ("row", "row_stop"), "rows")
    columns = part_of(column, column_stop, values.shape[1], ("column", "column_stop"), "columns")
    part, step = await asyncio.to_thread(shrink, values[rows, columns], size or max(values.shape))
    return numbers_response(part, rows, columns, step, tag)


@router.get("/frame/{frame}/profile", response_model=schemas.FrameProfile)
async def profile(
    record: FinishedFrames,
    service: TheService,
    frame: Frame,
    row: Annotated[Place, Query(description="row of the first end, from 0 at the middle of the first pixel")],
    column: Annotated[Place, Query(description="column of the first end")],
    row_stop: Annotated[Place, Query(description="row of the other end")],
    column_stop: Annotated[Place, Query(description="column of the other end")],
    width: Annotated[int, Query(ge=1, le=1000, description="pixels across the line that are averaged")] = 1,
) -> schemas.FrameProfile:
    """Raw counts and denoised rate along a line, with standard errors."""
    raw, rate, error = [await service.read_array(record.id, FRAME_IMAGES[kind], frame=frame) for kind in _PROFILED]
    mask = np.asarray(await service.read_array(record.id, "mask"), bool)
    ends = (row, column), (row_stop, column_stop)
    try:
        found = await asyncio.to_thread(line_profile, raw, rate, error, mask, *ends, width)
    except ValueError as problem:
        raise InputError(f"The line cannot be drawn: {problem}") from None
    return schemas.FrameProfile.model_validate(
        {name: [number(value) for value in values] for name, values in asdict(found).items()}
    )


async def _frame(service: TheService, record: AnalysisRecord, frame: int, kind: FrameImage) -> NDArray[Any]:
    """One frame, NaN where raw counts are masked; raises `InputError` if there is no such frame."""
    values = await service.read_array(record.id, FRAME_IMAGES[kind], frame=frame)
    if kind != "raw":
        return values
    mask = np.asarray(await service.read_array(record.id, "mask"), bool)
    return np.where(mask, values.astype(np.float32), np.nan)


async def _rows(service: TheService, record: AnalysisRecord, node: str, frame: int | None) -> pd.DataFrame:
    if node == "regions" and not record.recipe["regions"]:
        raise NotFound(f"Analysis {record.id} has no regions; name some in its recipe.")
    table = await service.read_table(record.id, node)
    return table if frame is None else table[table["frame"] == frame]


def _units(record: AnalysisRecord) -> dict[str, str]:
    """Units that depend on the run."""
    return {"scan_value": (record.facts.get("scan_variable") or {}).get("unit") or "1"}


def _of_frame(
    frame: Annotated[int | None, Query(ge=0, le=MOST, description="rows of this frame only")] = None,
) -> int | None:
    return frame


for _node in TABLES:
    add_table(
        router,
        _node,
        _node,
        finished=get_finished_frames,
        only=_of_frame,
        read=_rows,
        example="frame,frame_number,frames_summed,scan_value,...\n0,0,5,112.5,...\n",
        units=_units,
    )
