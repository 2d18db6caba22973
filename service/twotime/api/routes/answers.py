"""What a finished analysis says in sentences, and what to measure next."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from twotime.advice import advice as advise
from twotime.api import schemas
from twotime.api.content.frame_time import frame_time_s
from twotime.api.content.table_responses import number
from twotime.api.content.verdicts import verdict_of
from twotime.api.dependencies import MOST, Finished, FinishedXpcs, TheService
from twotime.errors import InputError

router = APIRouter(prefix="/analyses/{analysis_id}", tags=["results"])


@router.get("/verdict", response_model=schemas.Verdict)
async def verdict(record: Finished, service: TheService) -> schemas.Verdict:
    """What the numbers say of sample and beam: law of q, ageing, precision, and what stands in their way."""
    return await verdict_of(record, service)


@router.get("/advice", response_model=schemas.Advice)
async def advice(
    record: FinishedXpcs,
    service: TheService,
    roi: Annotated[int, Query(ge=1, le=MOST, description="number of the ROI, from 1")] = 1,
    relative_error: Annotated[
        float, Query(gt=0, lt=1, allow_inf_nan=False, description="standard error of Γ / Γ that is wanted")
    ] = 0.05,
) -> schemas.Advice:
    """How the error of the rate of one ROI would fall with more frames, repeats, flux, or another frame time."""
    fits = await service.read_table(record.id, "fits")
    if roi > len(fits):
        raise InputError(f"roi is {roi}, but analysis {record.id} has the ROIs 1 to {len(fits)}.")
    bad = await service.read_array(record.id, "bad_frames")
    row = fits.to_dict("records")[roi - 1]
    good = int(np.count_nonzero(~np.asarray(bad, bool)))
    found = await asyncio.to_thread(advise, row, good, frame_time_s(record), relative_error)
    options, needed = (
        [schemas.Option.model_validate(vars(one)) for one in some] for some in (found.options, found.needed)
    )
    return schemas.Advice(
        id=record.id,
        roi=roi,
        relative_error=number(found.relative_error),
        target=found.target,
        sentence=found.sentence,
        options=options,
        needed=needed,
        notes=list(found.notes),
    )
