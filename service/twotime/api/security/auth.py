"""Authentication: a key in a header, in the cookie of the page, or once in the address. Only health needs none.

If the site allows it, a Tiled key works as well and opens what Tiled shows for that key.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from pydantic import SecretStr
from starlette import types
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from twotime.api.errors import problem
from twotime.api.security.browser_policy import key_page_policy
from twotime.api.security.keys import SESSION_S, Brake, Key, KeyRing, Scope
from twotime.errors import NotFound, TiledRefused, TiledUnavailable
from twotime.jobs import Callers, Service

log = structlog.get_logger()

COOKIE = "twotime_session"
OPEN_PATHS = ("/healthz", "/readyz")
SIGNED_PATHS = ("/api/v1/hooks/tiled",)
"""Paths open to POST without a key; their routes check a signature of the body."""
LOGIN_PATH = "/session"
_LONGEST_FORM = 4096
_FORM_S = 10.0
_FOREIGN = (
    "A page of another site asked in the name of this one; use the page of this service, or show the key as header "
    "X-API-Key. Behind a proxy, let it pass on the header Host."
)
_PLANNING = ("/api/v1/plans", "/api/v1/plans/rois.png")
_OF_TILED: tuple[Scope, ...] = ("read", "submit")
_CREDENTIAL = re.compile(r"[!-~]{1,8192}")
_SUBMITTING = re.compile(r"/api/v1/analyses(/[^/]+/(cancel|first|mark)|/many)?")


def scope_needed(method: str, path: str) -> Scope:
    """The scope that a request needs: read, submit, or admin for everything else.

    Examples
    --------
    >>> [scope_needed("GET", "/metrics"), scope_needed("POST", "/api/v1/analyses"), scope_needed("DELETE", "/")]
    ['read', 'submit', 'admin']
    """
    if method in ("GET", "HEAD") or (method == "POST" and path in _PLANNING):
        return "read"
    return "submit" if method == "POST" and _SUBMITTING.fullmatch(path) else "admin"


class KeyGuard:
    """Middleware that requires a key with the right scope, and exchanges a key in the address for a cookie.

    The cookie holds a signed expiry time, not the key; scripts cannot read it, and only pages of this site send it.
    Requests that change something are refused if the browser says that another site made them. The cookie is worth as
    much as its key, as long as that key exists.

    Parameters
    ----------
    app : the application behind it
    keys : of the service
    service, callers : for callers with a Tiled key; None: Tiled keys are refused
    """

    def __init__(
        self, app: types.ASGIApp, keys: KeyRing, service: Service | None = None, callers: Callers | None = None
    ) -> None:
        self.app = app
        self.keys = keys
        self.service = service
        self.callers = callers
        self.brake = Brake()

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and _is_open(scope["method"], scope["path"])):
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        async with AsyncExitStack() as during:
            answer = await self._answer(request, during)
            await (answer or self.app)(scope, receive, send)

    async def _answer(self, request: Request, during: AsyncExitStack) -> Response | None:
        """Response in place of the application's, or None to pass the request on; `during` closes when it ends."""
        if _path(request) == LOGIN_PATH and request.method == "POST":
            return self._login(request, await _typed_key(request), "/")
        in_address = request.query_params.get("api_key")
        if in_address is not None and request.method == "GET" and _is_page(request):
            return self._login(request, in_address, _without_key(request))
        shown, key = _shown_key(request), self._key(request)
        request.state.key_is_valid = lambda: self._key(request) is not None
        if key is not None and shown is None and _is_foreign(request):
            return problem(403, "Another site asks", _FOREIGN, _path(request))
        if key is not None:
            if self.service is not None:
                request.state.scoped_service = self.service.unrestricted
            request.state.caller = key.name
            return _forbidden(request, f"The key {key.name!r}", key.scopes)
        if shown is None:
            return _refusal(request, 401)
        return self._wrong(request) if self.callers is None else await self._pass_through(request, during)

    def _key(self, request: Request) -> Key | None:
        """The key of this service that a request shows, itself or by the cookie; None where that is none any more."""
        shown = _shown_key(request)
        return self.keys.of_session(_cookie(request)) if shown is None else self.keys.of(shown)

    async def _pass_through(self, request: Request, during: AsyncExitStack) -> Response | None:
        """Pass a request with a Tiled key on, restricted to what Tiled shows for that key."""
        assert self.callers is not None
        assert self.service is not None
        authorization = _authorization(request)
        if authorization is None:
            return self._wrong(request)
        wait_s = 0 if self.callers.knows(authorization) else self.brake.wait_s(_address(request))
        if wait_s > 0:
            return _too_many(request, wait_s)
        try:
            view = await during.enter_async_context(self.callers.view_of(authorization))
        except TiledRefused:
            return self._wrong(request)
        except NotFound as error:
            return problem(403, "Nothing to be seen", str(error), _path(request))
        except TiledUnavailable as error:
            return problem(503, "Tiled does not answer", str(error), _path(request), headers={"Retry-After": "5"})
        request.state.scoped_service = self.service.restricted_to(view)
        request.state.caller = "a key of Tiled"
        request.state.key_is_valid = lambda: True  # Tiled checks the key with every request.
        return _forbidden(request, "A key of Tiled", _OF_TILED)

    def _login(self, request: Request, shown: str, target: str) -> Response:
        key = self.keys.of(shown)
        if key is None:
            return self._wrong(request)
        response = RedirectResponse(target, status_code=303)
        encrypted = request.url.scheme == "https"
        session = self.keys.session(key)
        response.set_cookie(COOKIE, session, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=encrypted)
        return response

    def _wrong(self, request: Request) -> Response:
        """Refuse an unknown key. Cookies are not counted: open pages keep sending those of removed keys."""
        wait_s = self.brake.failed(_address(request))
        if wait_s > 0:
            return _too_many(request, wait_s)
        log.warning("wrong_key", address=_address(request))
        nor_of_tiled = "" if self.callers is None else ", and Tiled does not accept it"
        detail = (
            f"The API key shown is not a key of this service{nor_of_tiled}; look it up where the service was started."
        )
        return _refusal(request, 401, detail, "This key does not fit.")


def _is_open(method: str, path: str) -> bool:
    return path in OPEN_PATHS or (method == "POST" and path in SIGNED_PATHS)


def _forbidden(request: Request, named: str, scopes: Sequence[Scope]) -> Response | None:
    """Response 403 if the scopes do not suffice, else None."""
    needed = scope_needed(request.method, _path(request))
    if needed in scopes:
        return None
    detail = (
        f"{named} may {' and '.join(scopes)}, but {request.method} {_path(request)} takes the scope "
        f"{needed!r}; ask for a key that has it (twotime key NAME --scope {needed})."
    )
    return problem(403, "Scope missing", detail, _path(request))


def _too_many(request: Request, wait_s: int) -> Response:
    detail = f"Too many wrong keys came from this address; wait {wait_s} s."
    return _refusal(request, 429, detail, detail, {"Retry-After": str(wait_s)})


def _refusal(
    request: Request,
    status: int,
    detail: str = "No API key was shown; send it as header X-API-Key or 'Authorization: Apikey …'.",
    words: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem document or, for a browser, the page that asks for the key."""
    if _is_page(request):
        page = files("twotime.api").joinpath("web/key.html").read_text().replace("{{words}}", words)
        return HTMLResponse(page, status, {"Content-Security-Policy": key_page_policy(page), **(headers or {})})
    title = "Key needed" if status == 401 else "Too many wrong keys"
    return problem(status, title, detail, _path(request), headers={"WWW-Authenticate": "Apikey", **(headers or {})})


def _path(request: Request) -> str:
    """The path as routes see it. That of `request.url` also depends on the Host header, which the client chooses."""
    path: str = request.scope["path"]
    return path


def _is_page(request: Request) -> bool:
    return _path(request) in ("/", LOGIN_PATH)


async def _typed_key(request: Request) -> str:
    body = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(_FORM_S):
            async for part in request.stream():
                body += part
                if len(body) > _LONGEST_FORM:
                    break
    return dict(parse_qsl(body[:_LONGEST_FORM].decode(errors="replace"))).get("api_key", "").strip()


def _is_foreign(request: Request) -> bool:
    """Whether a browser reports that a page of another site requests a change; programs send no such header."""
    if request.method in ("GET", "HEAD"):
        return False
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site != "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _shown_key(request: Request) -> str | None:
    header = request.headers.get("x-api-key")
    if header is not None:
        return header
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() in ("apikey", "bearer") else None


def _authorization(request: Request) -> SecretStr | None:
    """The key as an Authorization header for Tiled; None if it cannot be a Tiled key."""
    scheme, _, _ = request.headers.get("authorization", "").partition(" ")
    bearer = "x-api-key" not in request.headers and scheme.lower() == "bearer"
    shown = _shown_key(request) or ""
    return SecretStr(f"{'Bearer' if bearer else 'Apikey'} {shown}") if _CREDENTIAL.fullmatch(shown) else None


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _cookie(request: Request) -> str:
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _without_key(request: Request) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "api_key"]
    return _path(request) + (f"?{urlencode(kept)}" if kept else "")
