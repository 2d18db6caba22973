"""Health of the service, for orchestrators and Prometheus."""

from fastapi import APIRouter, Response

import twotime
from twotime.api import schemas
from twotime.api.dependencies import TheWholeService
from twotime.jobs.status import Health

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=schemas.Health)
async def healthz() -> schemas.Health:
    """The process lives. No key needed."""
    return schemas.Health(version=twotime.__version__)


@router.get(
    "/readyz",
    response_model=schemas.Readiness,
    responses={503: {"model": schemas.Readiness, "description": "Something is missing; `checks` say what."}},
)
async def readyz(service: TheWholeService, response: Response) -> schemas.Readiness:
    """Whether Tiled answers, runs are watched, workers live and the weights are the published ones. No key needed."""
    health = service.health()
    checks = _checks(health)
    # Documents are only a second source: Tiled's event stream reports runs without them.
    ready = health.ready and all(check.ok for check in checks if check.name != "documents")
    response.status_code = 200 if ready else 503
    return schemas.Readiness(ready=ready, checks=checks)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Numbers."}}
)
async def metrics(service: TheWholeService) -> Response:
    """Numbers for Prometheus: analyses by status, seconds by stage, queue, Tiled, requests."""
    return Response(service.metrics.text(), media_type=service.metrics.content_type)


def _checks(health: Health) -> list[schemas.Check]:
    alive, wanted = health.workers
    heard = schemas.Check(name="documents", ok=health.documents_heard, detail=health.documents)
    return [
        schemas.Check(name="tiled", ok=health.tiled_reachable, detail=health.tiled),
        schemas.Check(name="watcher", ok=health.watching, detail=health.watcher),
        schemas.Check(name="workers", ok=alive >= wanted, detail=health.dask or f"{alive} of {wanted} alive"),
        schemas.Check(name="weights", ok=health.weights_valid, detail=health.ensemble),
        *([heard] if health.documents else []),
    ]
