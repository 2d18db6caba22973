"""Numbers of a finished analysis: summary, tables, intensity."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from twotime.api import schemas
from twotime.api.content.age_cuts import age_cut as cut_at_age
from twotime.api.content.frame_time import frame_time_s, n_frames
from twotime.api.content.summary import summary
from twotime.api.content.table_responses import number
from twotime.api.dependencies import (
    MOST,
    Finished,
    FinishedXpcs,
    RoiRows,
    TheService,
    TheTwoTimeCache,
    get_finished_xpcs,
)
from twotime.api.table_routes import add_table
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import InputError, NotFound
from twotime.export.files import Dialect
from twotime.results import FrameImage

router = APIRouter(prefix="/analyses/{analysis_id}", tags=["results"])

TABLES = {
    "g2": "g2",
    "g2-multitau": "g2_multitau",
    "fits": "fits",
    "fits-age": "fits_age",
    "fits-variant": "fits_variant",
    "q-fit": "q_fit",
}
"""Address and node of each published table."""


Ending = Literal["nxs", "h5", "pychx.h5", "html", "pdf", "txt", "tif", "edf"]
Image = Annotated[
    FrameImage | None, Query(description="which quantity of denoised frames a TIFF or EDF file holds; none: the rate")
]
_IMAGES = ("tif", "edf")
_ENDINGS: dict[str, tuple[str, ...]] = {
    "xpcs": ("nxs", "h5", "pychx.h5", "html", "pdf", "txt"),
    "frames": ("nxs", "h5", "html", "pdf", "txt", *_IMAGES),
}


@router.get("/result", response_model=schemas.Result)
async def result(record: FinishedXpcs, service: TheService) -> schemas.Result:
    """The headline numbers of each ROI: q, Γ, β, C∞ and α with errors and flags, raw and denoised, and D."""
    fits = await service.read_table(record.id, "fits")
    q_fit = await service.read_table(record.id, "q_fit")
    return summary(record, fits, q_fit, n_frames(record), frame_time_s(record))


@router.get(
    "/export.{ending}",
    response_class=FileResponse,
    responses={
        200: {
            "content": {
                "application/x-hdf5": {},
                "text/html": {},
                "application/pdf": {},
                "text/plain": {},
                "image/tiff": {},
                "application/octet-stream": {},
            },
            "description": "The whole analysis in one file.",
        }
    },
)
async def export(record: Finished, service: TheService, ending: Ending, image: Image = None) -> FileResponse:
    """The whole analysis in one file.

    NeXus (NXxpcs, with the paths of the APS), one HDF5 dataset per node, HDF5 with the names of pyCHX, a report with
    pictures that needs nothing else as HTML or PDF, or its numbers as text. Of denoised frames NeXus is
    NXdata, there is nothing for pyCHX, and one quantity of them also comes as the pages of a TIFF or the blocks of an
    EDF file, in float32, NaN where masked.
    """
    own = _ENDINGS[record.kind]
    if ending not in own:
        holds = "denoised frames" if record.kind == "frames" else "correlation functions"
        files = ", ".join(f"export.{one}" for one in own)
        raise NotFound(f"Analysis {record.id} holds {holds}; there are {files} of it.")
    if image is not None and ending not in _IMAGES:
        raise InputError(f"image is {image}, but export.{ending} holds all quantities; leave image out.")
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    name = f"{record.id}.{ending}"
    dialect = Dialect.PYCHX if ending == "pychx.h5" else None
    try:
        await service.export(record.id, folder / name, dialect, image)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / name,
        filename=name,
        media_type=_MEDIA_TYPES.get(ending, "application/x-hdf5"),
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


@router.get("/intensity", response_model=schemas.Intensity)
async def intensity(record: FinishedXpcs, service: TheService) -> schemas.Intensity:
    """Mean count per pixel of each frame and ROI, and the excluded frames."""
    counts, frame, bad = [await service.read_array(record.id, name) for name in _PER_FRAME]
    return schemas.Intensity(
        frame=[int(one) for one in frame],
        bad=[bool(one) for one in bad],
        counts=[[number(one) for one in roi] for roi in np.asarray(counts, float).T],
    )


@router.get("/age-cut", response_model=schemas.AgeCut)
async def age_cut(
    record: FinishedXpcs,
    service: TheService,
    two_times: TheTwoTimeCache,
    roi: Annotated[int, Query(ge=1, le=MOST, description="number of the ROI, from 1")],
    age_s: Annotated[float, Query(ge=0, le=1e11, allow_inf_nan=False, description="age (t1 + t2) / 2, s")],
) -> schemas.AgeCut:
    """g2 and its fit at the fitted age nearest to the given one."""
    c2 = {"raw": await two_times.values(record, "raw", roi)}
    with suppress(NotFound):
        c2["denoised"] = await two_times.values(record, "denoised", roi)
    end_s = len(c2["raw"]) * frame_time_s(record)
    if age_s > end_s:
        raise InputError(f"age_s is {age_s:g}, but the frames of analysis {record.id} end at {end_s:.4g} s.")
    g2, ages = [await _rows(service, record, name, roi) for name in ("g2", "fits_age")]
    if ages.empty:
        raise NotFound(f"Analysis {record.id} was not fitted at constant age; set fit.ages in its recipe.")
    width = record.recipe["fit"].get("age_width")
    return await asyncio.to_thread(cut_at_age, c2, g2, ages, age_s, width)


_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "txt": "text/plain; charset=utf-8",
    "tif": "image/tiff",
    "edf": "application/octet-stream",
}
_PER_FRAME = ("intensity", "frame_number", "bad_frames")


async def _rows(service: TheService, record: AnalysisRecord, node: str, roi: int | None) -> pd.DataFrame:
    """Rows of one ROI, or all rows; raises InputError if the analysis has no such ROI."""
    table = await service.read_table(record.id, node)
    if roi is None:
        return table
    number = len(await service.read_table(record.id, "fits"))
    if roi > number:
        raise InputError(f"roi is {roi}, but analysis {record.id} has the ROIs 1 to {number}.")
    return table[table["roi"] == roi] if "roi" in table else table


def _of_roi(roi: RoiRows = None) -> int | None:
    return roi


for _path, _node in TABLES.items():
    add_table(
        router,
        _path,
        _node,
        finished=get_finished_xpcs,
        only=_of_roi,
        read=_rows,
        example="roi,q,...\n1,0.0045,...\n",
    )
