"""Many scans beside each other: against a field of their runs, with laws, and their curves."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from twotime.api import schemas
from twotime.api.content.series import columns, map_body, series_body, series_csv
from twotime.api.dependencies import LONGEST_NAME, MOST, PRINTABLE, SampleName, TheService
from twotime.catalog.results.series_scans import MOST_SCANS, Selection
from twotime.series import SCAN_NUMBER, CurveKind, Law, dynamics_map

router = APIRouter(prefix="/series", tags=["series"])

_MOST_IDS = 200


def selection(
    sample: SampleName = None,
    first_scan_id: Annotated[int | None, Query(ge=0, le=MOST, description="scans from this number on")] = None,
    last_scan_id: Annotated[int | None, Query(ge=0, le=MOST, description="scans up to this number")] = None,
    since: Annotated[
        float | None, Query(ge=0, le=1e11, allow_inf_nan=False, description="start of the run, s since 1970")
    ] = None,
    until: Annotated[
        float | None, Query(ge=0, le=1e11, allow_inf_nan=False, description="start of the run, s since 1970")
    ] = None,
    ids: Annotated[
        list[Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,100}$")]] | None,
        Query(alias="id", max_length=_MOST_IDS, description="of an analysis; may be given many times"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SCANS, description="how many scans at most, the newest")] = 200,
    with_bad: Annotated[bool, Query(description="also scans that are marked as bad")] = False,
) -> Selection:
    """Which scans."""
    return Selection(tuple(ids or ()), sample, first_scan_id, last_scan_id, since, until, limit, with_bad)


Scans = Annotated[Selection, Depends(selection)]
FieldName = Annotated[
    str,
    Query(
        min_length=1,
        max_length=LONGEST_NAME,
        pattern=PRINTABLE,
        description="what the scans are drawn against: scan_id, time, or a number of the start document or the "
        "baseline stream, such as temperature",
    ),
]


Quantity = Annotated[schemas.SeriesQuantity, Query(description="through which the law goes")]
TheLaw = Annotated[Law | None, Query(description="to fit through y against x; none: no fit")]
Unit = Annotated[
    str | None,
    Query(min_length=1, max_length=20, pattern=PRINTABLE, description="of x, where its field does not say it"),
]


@router.get("", response_model=schemas.Series)
async def series(
    which: Scans,
    service: TheService,
    x: FieldName = SCAN_NUMBER,
    y: Quantity = "relaxation_rate",
    law: TheLaw = None,
    x_unit: Unit = None,
) -> Response:
    """Published numbers of many scans in one table, sorted by x.

    Of each run the newest finished analysis counts; analyses that are named by `id` count themselves. ROIs of the same
    q are one group. `fields` lists what x may be: the numbers in the documents of the runs that differ between them.
    """
    found = await service.series(which, x)
    body = await asyncio.to_thread(lambda: series_body(found, y, law, x_unit).model_dump_json())
    return Response(body, media_type="application/json")


@router.get(
    ".csv",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {"example": "analysis_id,scan_id,x,...\n6a1f3c2b-9f2d4c11ab,4711,...\n"}}}
    },
)
async def series_as_csv(which: Scans, service: TheService, x: FieldName = SCAN_NUMBER) -> Response:
    """The same as CSV, one line per scan and ROI."""
    found = await service.series(which, x)
    headers = {"Content-Disposition": 'inline; filename="series.csv"'}
    text = await asyncio.to_thread(series_csv, found)
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.get(
    "/report.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}, "description": "One page that needs nothing else."}},
)
async def report(
    which: Scans,
    service: TheService,
    x: FieldName = SCAN_NUMBER,
    y: Quantity = "relaxation_rate",
    law: TheLaw = None,
    x_unit: Unit = None,
) -> Response:
    """A report of the series: verdict of each scan, pictures, laws, marks, flags and settings.

    That of a day is the series of the runs since its beginning: `since`.
    """
    found = await service.series(which, x)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    try:
        await service.export_series(found, folder / "series.html", y, law, x_unit)
        text = await asyncio.to_thread((folder / "series.html").read_text, "utf-8")
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    headers = {"Content-Disposition": 'attachment; filename="series.html"'}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/map", response_model=schemas.DynamicsMap)
async def dynamics_map_of(which: Scans, service: TheService) -> Response:
    """The ROIs of the scans on the map of dynamics, and the scans that are unlike all earlier ones of their sample.

    The place of a ROI is where the denoiser's latent vectors lie, in standard deviations of its training set, and does
    not change with what else is shown. `distance` is that from the nearest ROI of earlier scans of the same sample, in
    usual distances; null where these are fewer than three scans or ten ROIs.
    """
    found = await service.series(which)

    def body() -> str:
        return map_body(dynamics_map(found), len(found.scans), found.x.unit).model_dump_json()

    return Response(await asyncio.to_thread(body), media_type="application/json")


@router.get("/g2", response_model=schemas.Columns)
async def curves(
    which: Scans,
    service: TheService,
    group: Annotated[int, Query(ge=1, le=MOST, description="number of a group of ROIs of the same q")],
    x: FieldName = SCAN_NUMBER,
    kind: Annotated[CurveKind, Query(description="of the measured or the denoised two-time function")] = "raw",
) -> schemas.Columns:
    """One-time correlation functions of one group of ROIs, of at most 40 scans evenly along x."""
    found = await service.series(which, x)
    return columns(await service.curves(which, x, group, kind), found.x.unit)
