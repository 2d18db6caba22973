"""The application: lifespan of the service, middleware, routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import APIKeyHeader
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import twotime
from twotime.api import errors, schemas
from twotime.api.content.two_time_cache import TwoTimeCache
from twotime.api.event_stream import EventStream
from twotime.api.routes import (
    analyses,
    answers,
    events,
    frames,
    health,
    hooks,
    latest,
    live,
    live_frames,
    page,
    pictures,
    queue,
    results,
    runs,
    series,
)
from twotime.api.security.auth import KeyGuard
from twotime.api.security.browser_policy import BrowserPolicy
from twotime.api.security.keys import key_ring
from twotime.api.security.request_limits import BodyLimit, HeadAsGet
from twotime.jobs import Callers, Service
from twotime.logs import hide_local_variables
from twotime.metrics import Metrics
from twotime.settings import Settings, load_settings

PREFIX = "/api/v1"

_DESCRIPTION = """
X-ray photon correlation spectroscopy from Tiled to Tiled: two-time correlation functions of a run, denoised and
fitted, with errors, units and flags. A recipe of `kind: frames` denoises the detector frames of a run instead.

Show a key of the service as header `X-API-Key`; its scopes say whether it may read, and submit. Where the site allows
it, your own key of Tiled will do: you see what Tiled shows you. Errors are problem
documents (RFC 9457) whose `detail` is one sentence: field, value, remedy. Numbers that do not exist are `null`.
"""
_TAGS = [
    {"name": "analyses", "description": "Ask for analyses, follow them, stop them."},
    {"name": "results", "description": "Numbers of a finished analysis, as JSON or CSV."},
    {"name": "series", "description": "Many scans beside each other, against a field of their runs."},
    {"name": "frames", "description": "Denoised frames of a finished analysis, their peaks, counts of regions."},
    {"name": "pictures", "description": "Two-time correlation functions and mean frames, for embedding."},
    {"name": "live", "description": "Scans while they run."},
    {"name": "runs", "description": "Raw runs, and what an analysis of one would do."},
    {"name": "events", "description": "Server-sent events."},
    {"name": "health", "description": "For orchestrators and Prometheus."},
]
_METHODS = ("GET", "HEAD", "POST")
_PROBLEM = {"content": {errors.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": description, "model": schemas.Problem, **_PROBLEM}
    for code, description in {
        400: "The request contradicts itself or the result, or its body cannot be read.",
        401: "No key, or the wrong one.",
        403: "The key lacks the scope that this takes, is one of Tiled and this is about all runs, or a page of "
        "another site asks in the name of this one.",
        404: "No such run, analysis or result.",
        409: "Not now: the run still runs, or there is no result yet.",
        408: "The body came too slowly.",
        413: "The body is too long.",
        422: "The run, the recipe or a parameter does not fit.",
        429: "Too many wrong keys; wait as long as Retry-After says.",
        500: "The service met an error it does not know.",
        502: "Tiled refuses the service.",
        503: "Tiled does not answer, or too many analyses wait; try again.",
    }.items()
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application with its service, not started yet.

    Parameters
    ----------
    settings : None: from the environment

    Notes
    -----
    ``app.state`` holds `service`, `events`, `two_times` and `key` (the key of the service, with all scopes).
    """
    settings = settings or load_settings()
    hide_local_variables()
    app = FastAPI(
        title="twotime",
        version=twotime.__version__,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    metrics = Metrics()
    app.state.service = Service(settings, metrics)
    app.state.events = EventStream(app.state.service)
    app.state.two_times = TwoTimeCache(app.state.service.unrestricted)
    service = app.state.service
    app.state.callers = Callers(lambda: service.settings) if settings.tiled_keys else None
    app.state.key, keys = key_ring(settings)
    errors.install(app)
    _add_routes(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, most_mib=settings.most_body_mib)
    app.add_middleware(KeyGuard, keys=keys, service=service, callers=app.state.callers)
    app.add_middleware(_Counted, metrics=metrics)
    app.add_middleware(BrowserPolicy, frame_ancestors=settings.frame_ancestors)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await app.state.service.start()
    app.openapi()  # Takes half a second and is then cached; the first request for it shall not block the event loop.
    relay = asyncio.create_task(app.state.events.relay())
    try:
        yield
    finally:
        app.state.events.close()
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
        if app.state.callers is not None:
            app.state.callers.close()
        await app.state.service.stop()


def _add_routes(app: FastAPI) -> None:
    """Add all routes under `PREFIX`, except health, metrics and the page, whose paths are conventional."""
    shows_key = Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="key of the service"))
    api = APIRouter(prefix=PREFIX, responses=_PROBLEMS, dependencies=[shows_key])
    of_analyses = (analyses, queue, results, frames, answers, latest)
    for module in (*of_analyses, live, live_frames, pictures, runs, series, hooks, events):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(page.router)


class _Counted:
    """Middleware that counts responses by method and status; methods without a route count as one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self.metrics.requests.labels(method, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, counted if scope["type"] == "http" else send)
