"""The one map from errors to problem documents (RFC 9457): type, title, status, a sentence, and where."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from twotime import errors

MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.TwotimeError], tuple[int, str]] = {
    errors.RunNotFound: (404, "Run not found"),
    errors.AnalysisNotFound: (404, "Analysis not found"),
    errors.NotFound: (404, "Not found"),
    errors.AmbiguousRun: (409, "Run reference is ambiguous"),
    errors.RunStillRunning: (409, "Run is still running"),
    errors.DamagedFrames: (422, "Frames are damaged"),
    errors.UnusableRun: (422, "Run cannot be analysed"),
    errors.RecipeError: (422, "Recipe does not fit"),
    errors.NotReady: (409, "No result yet"),
    errors.NotForCallers: (403, "Not with a key of Tiled"),
    errors.InputError: (400, "Request cannot be met"),
    errors.QueueFull: (503, "Queue is full"),
    errors.ExportTooSlow: (503, "Export takes too long"),
    errors.TiledUnavailable: (503, "Tiled does not answer"),
    errors.TiledFailing: (503, "Tiled fails"),
    errors.StreamOff: (503, "Tiled has no stream of events"),
    errors.TiledRefused: (502, "Tiled refuses the service"),
    errors.WeightsDamaged: (503, "Weights are damaged"),
    errors.Cancelled: (409, "Cancelled"),
    errors.TwotimeError: (500, "Analysis service error"),
}
"""Status and title of each error class; a class that is not listed has those of its nearest parent."""

_TITLES = {
    401: "Key needed",
    404: "Not found",
    405: "Method not allowed",
    408: "Body too slow",
    413: "Body too long",
    422: "Request does not fit",
}
_RETRY_AFTER_S = "5"
_LONGEST_SHOWN = 200
"""Characters shown of an invalid value, which may be megabytes."""
_LONGEST_DETAIL = 4000


def install(app: FastAPI) -> None:
    """Register handlers that turn every error of a route into a problem document."""
    app.add_exception_handler(errors.TwotimeError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: int,
    title: str,
    detail: str,
    instance: str,
    *,
    kind: str = "about:blank",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document.

    Parameters
    ----------
    detail : one sentence that names the field, its value and the remedy
    instance : path of the request
    kind : URI of the kind of problem
    """
    if len(detail) > _LONGEST_DETAIL:
        detail = f"{detail[:_LONGEST_DETAIL]}..."
    document = {"type": kind, "title": title, "status": status, "detail": detail, "instance": instance}
    content = json.dumps(document, ensure_ascii=False).encode()
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def status_and_title(error: errors.TwotimeError) -> tuple[int, str]:
    """Status and title of an error, by its class or the nearest parent listed in `STATUS`.

    Examples
    --------
    >>> status_and_title(errors.RunNotFound("no run fits 'abc'"))
    (404, 'Run not found')
    """
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.TwotimeError)
    status, title = status_and_title(error)
    headers = {"Retry-After": _RETRY_AFTER_S} if status == 503 else None
    kind = f"urn:twotime:problem:{_kebab(type(error).__name__)}"
    return problem(status, title, str(error), request.url.path, kind=kind, headers=headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    detail = " ".join(_sentence(item) for item in error.errors())
    kind = "urn:twotime:problem:invalid-request"
    return problem(422, _TITLES[422], detail, request.url.path, kind=kind)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 400:
        detail = "The body cannot be read as JSON; send one JSON object in UTF-8."
    if error.status_code == 404 and detail == "Not Found":
        detail = f"There is nothing at {request.url.path}; the routes are listed at /docs and /openapi.json."
    if error.status_code == 405:
        detail = f"{request.method} is not possible at {request.url.path}; /docs and /openapi.json list what is."
    title = _TITLES.get(error.status_code, "Request cannot be met")
    return problem(error.status_code, title, detail, request.url.path, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    structlog.get_logger().error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    detail = (
        f"The service met an error it does not know ({type(error).__name__}); its log has the details. "
        "Please report it with the time and the address of this request."
    )
    return problem(500, "Unexpected error", detail, request.url.path)


def _sentence(item: Any) -> str:
    """One sentence for a pydantic error: field, value, expectation."""
    place, *names = (str(part) for part in item["loc"])
    field = ".".join(names) or place
    if item["type"] == "json_invalid":
        return f"The body is not JSON ({item['ctx']['error']}); send one JSON object."
    if item["type"] == "extra_forbidden":
        return f"{field} is not a field of this request; remove it or correct its name."
    if item["type"] == "missing" and not names:
        return f"The {place} is missing; send one JSON object."
    if item["type"] == "missing":
        where = {"body": "the body", "query": "the query", "path": "the address"}.get(place, f"the {place}")
        return f"{field} is missing in {where}; give it."
    given = item.get("input")
    shown = f" (got {_short(given)})" if isinstance(given, str | int | float | bool) or given is None else ""
    return f"{field}: {item['msg'].removeprefix('Value error, ')}{shown}."


def _short(given: Any) -> str:
    if isinstance(given, str) and len(given) > _LONGEST_SHOWN:
        return f"{given[:_LONGEST_SHOWN]!r}... of {len(given)} characters"
    try:
        return repr(given)
    except ValueError:  # Python refuses to print numbers with thousands of digits.
        return "a number of very many digits"


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
