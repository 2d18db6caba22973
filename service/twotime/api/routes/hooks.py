"""Webhooks: Tiled reports finished runs."""

import hashlib
import hmac
import json
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from twotime.api.dependencies import TheWholeService
from twotime.api.errors import problem
from twotime.errors import NotFound, RunNotFound

log = structlog.get_logger()

router = APIRouter(prefix="/hooks", tags=["runs"])

SIGNATURE = "X-Tiled-Signature"
_LONGEST_BODY = 4 * 2**20
_UPDATED = "container-child-metadata-updated"


@router.post("/tiled", status_code=204, response_class=Response)
async def tiled(request: Request, service: TheWholeService) -> Response:
    """A delivery of a Tiled webhook, signed with `TWOTIME_WEBHOOK_SECRET`; no key needed.

    One that names a finished run has it judged like any other; the same run named again, and all else, has no effect.
    """
    secret = service.settings.webhook_secret
    if secret is None:
        raise NotFound(
            "TWOTIME_WEBHOOK_SECRET is not set, so that no delivery can be trusted; set it to the secret that the "
            "webhook was registered with."
        )
    shown = request.headers.get(SIGNATURE, "")
    # This path needs no key: read no body without a signature, and never more than a run's documents need.
    body = await _body(request) if shown else b""
    if not shown or not is_signed(body, shown, secret.get_secret_value()):
        log.warning("wrong_signature", address=request.client.host if request.client else "")
        detail = (
            f"The header {SIGNATURE} is missing or does not fit the body; register the webhook with the secret that "
            "TWOTIME_WEBHOOK_SECRET names."
        )
        return problem(401, "Signature needed", detail, request.url.path)
    uid = finished_run(body)
    if uid is not None:
        try:
            await service.run_finished(uid)
        except RunNotFound:
            log.info("delivery_of_another_container", raw_uid=uid)
    return Response(status_code=204)


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether a body has the right signature; compared in constant time.

    Examples
    --------
    >>> is_signed(b"{}", "sha256=" + hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest(), "secret")
    True
    >>> is_signed(b"{}", "sha256=00", "secret")
    False
    """
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


def finished_run(body: bytes) -> str | None:
    """Uid of the finished run that a delivery reports; None if it reports something else.

    Raises
    ------
    HTTPException
        If the body is not JSON.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400) from error
    metadata = _dict(_dict(event).get("metadata"))
    if _dict(event).get("type") != _UPDATED or not metadata.get("stop"):
        return None
    uid = _dict(metadata.get("start")).get("uid")
    return uid if isinstance(uid, str) and uid else None


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise HTTPException(413, f"A delivery is longer than {_LONGEST_BODY} bytes, more than any run's documents.")
    return body


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
