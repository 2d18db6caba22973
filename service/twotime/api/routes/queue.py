"""The queue of the service: show, pause, resume."""

from dataclasses import asdict

from fastapi import APIRouter

from twotime.api import schemas
from twotime.api.dependencies import TheWholeService

router = APIRouter(prefix="/queue", tags=["analyses"])


@router.get("", response_model=schemas.Queue)
async def queue(service: TheWholeService) -> schemas.Queue:
    """Analyses that are computed now and analyses that wait, the next one first."""
    return schemas.Queue.model_validate(asdict(service.queue()))


@router.post("/pause", response_model=schemas.Queue)
async def pause(service: TheWholeService) -> schemas.Queue:
    """Start no further analysis until `resume`, or until the service is restarted."""
    return schemas.Queue.model_validate(asdict(service.pause(True)))


@router.post("/resume", response_model=schemas.Queue)
async def resume(service: TheWholeService) -> schemas.Queue:
    """Resume a paused queue."""
    return schemas.Queue.model_validate(asdict(service.pause(False)))
