"""Scans that still run and whose frames are denoised: the newest frame, its peaks, counts of regions so far."""

import asyncio
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray

from twotime.api import schemas
from twotime.api.content.frame_pictures import colour_scale, frame_picture
from twotime.api.content.table_responses import as_schema
from twotime.api.dependencies import LiveFrames, Size, TheService
from twotime.catalog.results.live_scans import LiveScan
from twotime.columns import COLUMNS
from twotime.results import FrameImage

router = APIRouter(prefix="/live/{uid}", tags=["live"])

Kind = Annotated[
    FrameImage, Query(description="raw counts, denoised rate, its standard error, or the residual in errors")
]


@router.get(
    "/frame.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Row 0 on top; masked pixels grey."}},
)
async def live_frame_picture(
    scan: LiveFrames,
    service: TheService,
    kind: Kind = "rate",
    size: Size = 600,
    logarithmic: Annotated[bool, Query(description="logarithmic colour scale, but for residuals")] = True,
) -> Response:
    """The newest denoised frame as a picture; raw counts and rate have the same colours."""
    values = await _image(service, scan, kind)
    reference = await _image(service, scan, "rate") if kind == "raw" else values
    ends = await asyncio.to_thread(colour_scale, reference, kind, logarithmic=logarithmic)
    content = await asyncio.to_thread(frame_picture, values, kind, ends, size, logarithmic=logarithmic)
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.get(
    "/frame.f32",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": (
                "Little-endian float32, row after row. X-Shape: rows,columns. X-Dtype: <f4. X-Step: each point is the "
                "mean of this many pixels squared. NaN where masked."
            ),
        }
    },
)
async def live_frame_numbers(scan: LiveFrames, service: TheService, kind: Kind = "rate") -> Response:
    """The newest denoised frame as numbers, averaged for the screen where it is large; counts per pixel."""
    values = await _image(service, scan, kind)
    headers = {
        "X-Shape": ",".join(str(edge) for edge in values.shape),
        "X-Dtype": "<f4",
        "X-Start": "0,0",
        "X-Step": str(scan.metadata["frame_step"]),
        "Cache-Control": "no-store",
    }
    return Response(
        np.ascontiguousarray(values, "<f4").tobytes(), media_type="application/octet-stream", headers=headers
    )


@router.get("/frames", response_model=schemas.Table)
async def live_frames(scan: LiveFrames) -> schemas.Table:
    """The sums of frames that were denoised so far, the latest; of a slow denoiser not all."""
    return _table(scan, "frames")


@router.get("/peaks", response_model=schemas.Table)
async def live_peaks(scan: LiveFrames) -> schemas.Table:
    """Peaks of the newest denoised frame."""
    return _table(scan, "peaks")


@router.get("/regions", response_model=schemas.Table)
async def live_regions(scan: LiveFrames) -> schemas.Table:
    """Counts of each region in the frames that were denoised so far."""
    return _table(scan, "regions")


async def _image(service: TheService, scan: LiveScan, kind: FrameImage) -> NDArray[np.float32]:
    return await service.read_live_array(scan.uid, f"frame_{kind}")


def _table(scan: LiveScan, name: str) -> schemas.Table:
    rows: list[dict[str, Any]] = (scan.metadata.get("tables") or {}).get(name) or []
    table = pd.DataFrame(rows, columns=list(COLUMNS[name]))
    return as_schema(name, table.replace({np.nan: None}))
