"""Request analyses, list them, follow them, cancel them."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from twotime.api import schemas
from twotime.api.dependencies import (
    LONGEST_NAME,
    MOST,
    AnalysisId,
    SampleName,
    TheRecord,
    TheService,
    TheWholeService,
)
from twotime.catalog.results.analysis_record import AnalysisRecord, MarkValue

router = APIRouter(prefix="/analyses", tags=["analyses"])


@router.post(
    "",
    status_code=202,
    response_model=schemas.Analysis,
    responses={200: {"model": schemas.Analysis, "description": "This very analysis exists and is done."}},
)
async def submit(wanted: schemas.AnalysisRequest, service: TheService, response: Response) -> schemas.Analysis:
    """Analyse a run. The same request finds the same analysis again, unless forced."""
    record = await service.submit(wanted.uid, wanted.recipe, force=wanted.force)
    response.status_code = 200 if record.ended else 202
    response.headers["Location"] = f"/api/v1/analyses/{record.id}"
    return as_schema(record)


@router.get("", response_model=schemas.AnalysisList)
async def listing(
    service: TheService,
    status: Annotated[schemas.Status | None, Query(description="only analyses in this state")] = None,
    raw_uid: Annotated[
        str | None, Query(min_length=1, max_length=LONGEST_NAME, description="uid of the run, or its beginning")
    ] = None,
    scan_id: Annotated[int | None, Query(ge=-MOST, le=MOST, description="of the run")] = None,
    sample: SampleName = None,
    mark: Annotated[MarkValue | None, Query(description="only analyses that are marked so")] = None,
    kind: Annotated[
        schemas.AnalysisKind | None, Query(description="only correlation functions, or only denoised frames")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="how many at most")] = 50,
    offset: Annotated[int, Query(ge=0, le=MOST, description="how many to pass over")] = 0,
) -> schemas.AnalysisList:
    """Analyses that match all filters, newest first."""
    records, total = await service.analyses(
        status=status, raw_uid=raw_uid, scan_id=scan_id, sample=sample, mark=mark, kind=kind, limit=limit, offset=offset
    )
    return schemas.AnalysisList(
        total=total, limit=limit, offset=offset, analyses=[as_schema(record) for record in records]
    )


@router.post("/many", status_code=202, response_model=schemas.SubmittedList)
async def submit_many(wanted: schemas.ManyRequest, service: TheService) -> schemas.SubmittedList:
    """Analyse every finished run that matches, for example all of a sample; unusable runs are listed with reasons.

    They wait for new scans and for single requests.
    """
    which = wanted.model_dump(exclude={"recipe", "force"})
    found = await service.submit_many(wanted.recipe, force=wanted.force, **which)
    return schemas.SubmittedList(runs=[schemas.SubmittedRun.model_validate(asdict(one)) for one in found])


@router.get("/{analysis_id}", response_model=schemas.Analysis)
async def one(record: TheRecord) -> schemas.Analysis:
    """State of one analysis, with its recipe and the source of each value."""
    return as_schema(record)


@router.post("/{analysis_id}/cancel", status_code=202, response_model=schemas.Analysis)
async def cancel(analysis_id: AnalysisId, service: TheService) -> schemas.Analysis:
    """Cancel an analysis: at once if it waits, at the next block of frames if it runs; no effect once it has ended."""
    return as_schema(await service.cancel(analysis_id))


@router.post("/{analysis_id}/mark", response_model=schemas.Analysis)
async def mark(
    request: Request, analysis_id: AnalysisId, said: schemas.MarkRequest, service: TheService
) -> schemas.Analysis:
    """Say of a scan whether it is good, and why. Bad scans are left out of series; everybody reads the note."""
    note = "".join(one if one == "\n" or one.isprintable() else " " for one in said.note).strip()
    return as_schema(await service.mark(analysis_id, said.mark, note, request.state.caller))


@router.post("/{analysis_id}/first", status_code=202, response_model=schemas.Queue)
async def first(analysis_id: AnalysisId, service: TheWholeService) -> schemas.Queue:
    """Move a waiting analysis to the front of the queue."""
    return schemas.Queue.model_validate(asdict(service.advance(analysis_id)))


def as_schema(record: AnalysisRecord) -> schemas.Analysis:
    """A record as the body of a response."""
    fields = asdict(record) | {"kind": record.kind}
    return schemas.Analysis.model_validate({name: fields[name] for name in schemas.Analysis.model_fields})
