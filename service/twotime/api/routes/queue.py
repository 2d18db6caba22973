"""What the service is about to do, and a hand on it."""

from dataclasses import asdict

from fastapi import APIRouter

from twotime.api import schemas
from twotime.api.dependencies import TheWholeService

router = APIRouter(prefix="/queue", tags=["analyses"])


@router.get("", response_model=schemas.Queue)
async def queue(service: TheWholeService) -> schemas.Queue:
    """Analyses that are being computed and those that wait, the next one first."""
    return schemas.Queue.model_validate(asdict(service.queue()))


@router.post("/pause", response_model=schemas.Queue)
async def pause(service: TheWholeService) -> schemas.Queue:
    """Begin no further analysis until `resume`, or until the service starts anew."""
    return schemas.Queue.model_validate(asdict(service.pause(True)))


@router.post("/resume", response_model=schemas.Queue)
async def resume(service: TheWholeService) -> schemas.Queue:
    """Go on."""
    return schemas.Queue.model_validate(asdict(service.pause(False)))
