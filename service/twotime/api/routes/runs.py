"""Raw runs, and what an analysis of one would do."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from twotime.api import schemas
from twotime.api.dependencies import TheService

router = APIRouter(tags=["runs"])


@router.get("/runs", response_model=schemas.RunList)
async def runs(
    service: TheService, limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 20
) -> schemas.RunList:
    """The newest runs, with what the automatic mode made of each and why."""
    found = await service.runs(limit=limit)
    return schemas.RunList(runs=[schemas.Run.model_validate(asdict(run)) for run in found])


@router.post("/plans", response_model=schemas.Plan)
async def plan(wanted: schemas.PlanRequest, service: TheService) -> schemas.Plan:
    """What an analysis would do: every value with its source, q and pixel count of each ROI. Computes nothing."""
    return schemas.Plan.model_validate(await service.plan(wanted.uid, wanted.recipe))
