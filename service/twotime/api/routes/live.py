"""Scans that still run: their progress and preliminary dynamics."""

import asyncio
import math
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response
from numpy.typing import NDArray

from twotime.api import schemas
from twotime.api.content.png import frame_png, scale, two_time_png
from twotime.api.content.summary import q_dependence, roi_flags, roi_result
from twotime.api.content.table_responses import number
from twotime.api.dependencies import MOST, LiveDynamics, Roi, RunUid, Size, TheService
from twotime.catalog.results.live_scans import G2_QUANTITIES, LiveScan
from twotime.errors import NotReady

router = APIRouter(prefix="/live", tags=["live"])

LiveKind = Annotated[schemas.LiveKind, Query(description="measured or denoised")]
_NODES = {"raw": "two_time", "denoised": "two_time_denoised"}


@router.get("", response_model=schemas.LiveList)
async def scans(service: TheService) -> schemas.LiveList:
    """Scans that are followed or were followed lately, newest first."""
    found = await service.live_scans()
    return schemas.LiveList(scans=[_state(scan) for scan in found])


@router.get("/{uid}", response_model=schemas.LiveView)
async def view(uid: RunUid, service: TheService) -> schemas.LiveView:
    """Preliminary numbers of each ROI, with errors and flags. The analysis follows when the scan has ended."""
    scan = await service.live_scan(uid)
    known = scan.metadata
    fits = [_with_nan(row) for row in known.get("fits") or []]
    return schemas.LiveView(
        **_state(scan).model_dump(),
        newest=_newest(known),
        rois=[roi_result(row) for row in fits],
        flags=roi_flags(fits),
        q_dependence=[q_dependence(_with_nan(row)) for row in known.get("q_fit") or []],
    )


@router.get("/{uid}/g2", response_model=schemas.Table)
async def g2(
    uid: LiveDynamics,
    service: TheService,
    roi: Annotated[int, Query(ge=0, le=MOST, description="number of the ROI, from 1")] = 1,
) -> schemas.Table:
    """One-time correlation function of one ROI so far, measured and denoised, with errors and fits."""
    curves = await service.read_live_array(uid, "g2", roi)
    known = curves[:, np.isfinite(curves[0])]
    return schemas.Table(
        name="g2",
        description="One-time correlation function so far",
        n_rows=known.shape[1],
        units={name: "s" if name == "lag_s" else "1" for name in G2_QUANTITIES},
        columns={name: [number(value) for value in row] for name, row in zip(G2_QUANTITIES, known, strict=True)},
    )


@router.get("/{uid}/intensity", response_model=schemas.LiveIntensity)
async def intensity(uid: LiveDynamics, service: TheService) -> schemas.LiveIntensity:
    """Mean count per pixel so far, one list per ROI."""
    scan = await service.live_scan(uid)
    counts = await service.read_live_array(uid, "intensity")
    cells, step = _cells(scan)
    time_s = step * _frame_time_s(scan) * np.arange(cells)
    return schemas.LiveIntensity(
        time_s=[float(one) for one in time_s], counts=[[number(value) for value in row[:cells]] for row in counts]
    )


@router.get(
    "/{uid}/two-time/{roi}.f32",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": (
                "Little-endian float32, row after row, as far as the scan goes. X-Shape: rows,columns. X-Step: frames "
                "per point. X-Frame-Time: s. X-Scale: ends of the colour scale. NaN where unknown."
            ),
        }
    },
)
async def two_time_numbers(uid: LiveDynamics, roi: Roi, service: TheService, kind: LiveKind = "raw") -> Response:
    """Two-time correlation function so far, averaged for the screen."""
    values, step, time_s = await _two_time(service, uid, roi, kind)
    low, high = await asyncio.to_thread(scale, values, kind)
    headers = {
        "X-Shape": ",".join(str(edge) for edge in values.shape),
        "X-Dtype": "<f4",
        "X-Step": str(step),
        "X-Frame-Time": repr(time_s),
        "X-Scale": f"{low:.6g},{high:.6g}",
        "Cache-Control": "no-store",
    }
    return Response(
        np.ascontiguousarray(values, "<f4").tobytes(), media_type="application/octet-stream", headers=headers
    )


@router.get(
    "/{uid}/two-time/{roi}.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Viridis; first frame lower left; NaN grey."}},
)
async def two_time_picture(
    uid: LiveDynamics, roi: Roi, service: TheService, kind: LiveKind = "raw", size: Size = 400
) -> Response:
    """Two-time correlation function so far, as a picture."""
    values, _, _ = await _two_time(service, uid, roi, kind)
    low, high = await asyncio.to_thread(scale, values, kind)
    content = await asyncio.to_thread(two_time_png, values, kind, low, high, size)
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.get(
    "/{uid}/mean-frame.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "Row 0 on top; logarithmic."}},
)
async def mean_frame(uid: LiveDynamics, service: TheService, size: Size = 400) -> Response:
    """Mean of the frames so far."""
    frame = await service.read_live_array(uid, "mean_frame")
    content = await asyncio.to_thread(frame_png, frame, None, size, logarithmic=True)
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


async def _two_time(service: TheService, uid: str, roi: int, kind: str) -> tuple[NDArray[np.float32], int, float]:
    scan = await service.live_scan(uid)
    cells, step = _cells(scan)
    if cells == 0:
        raise NotReady(f"The live scan {uid[:8]} has too few frames yet; ask again in a moment.")
    values = await service.read_live_array(uid, _NODES[kind], roi)
    return values[:cells, :cells], step, _frame_time_s(scan)


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """A row with NaN in place of null, because metadata cannot hold NaN."""
    return {name: math.nan if value is None else value for name, value in row.items()}


def _cells(scan: LiveScan) -> tuple[int, int]:
    """Number of filled cells of the grid, and frames per cell."""
    step = int(scan.metadata.get("frames_per_cell") or 1)
    return -(-int(scan.metadata.get("n_shown") or 0) // step), step


def _frame_time_s(scan: LiveScan) -> float:
    return float(scan.metadata["frame_time_s"])


def _newest(known: dict[str, Any]) -> schemas.LiveFrame | None:
    """The newest denoised frame, where there is one."""
    if "newest" not in known:
        return None
    names = ("frame", "frame_number", "frames_summed")
    return schemas.LiveFrame(
        **{name: known["newest"][name] for name in names},
        shape=known["frame_shape"],
        regions=known["recipe"]["regions"],
        significance=known["recipe"]["peaks"]["significance"],
    )


def _state(scan: LiveScan) -> schemas.LiveScan:
    known = scan.metadata
    names = ("scan_id", "sample", "detector", "state", "message", "n_frames", "announced", "frame_time_s", "lag_s")
    return schemas.LiveScan(
        uid=scan.uid,
        kind=known.get("kind", "xpcs"),
        n_shown=int(known.get("n_shown") or 0),
        bad_frames=int(known.get("bad_frames") or 0),
        warnings=list(known.get("warnings") or []),
        updated_time=float(known["updated_time"]),
        **{name: known.get(name) for name in names},
    )
