"""One key guards everything but health: header, cookie of the page, or once in the address."""

import hashlib
import hmac
import os
import secrets
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from twotime.api.errors import problem
from twotime.settings import Settings

COOKIE = "twotime_session"
OPEN_PATHS = ("/healthz", "/readyz")
LOGIN_PATH = "/session"
_WEEK_S = 7 * 24 * 3600


def service_key(settings: Settings) -> str:
    """The key that clients must show: the one set, else the one kept in `var_dir`, made on first use (mode 600)."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = settings.var_dir / "api_key"
    if not path.exists():
        _write_secret(path, secrets.token_hex(24))
    return path.read_text().strip()


class KeyGuard:
    """Lets a request through only with the key; also swaps the key in an address for a cookie.

    The cookie holds a digest of the key, not the key, is out of reach of scripts and is sent by this site's own
    pages only, so that no other page can act in a user's name.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key.encode()
        self.session = hmac.new(self.key, b"twotime page", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = await self._answer(request)
        if answer is None:
            await self.app(scope, receive, send)
        else:
            await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """What to answer in the application's place; None to let the request through."""
        if request.url.path == LOGIN_PATH and request.method == "POST":
            return await self._login(request)
        in_address = request.query_params.get("api_key")
        if in_address is not None and request.method == "GET" and self._is_page(request):
            if self._fits(in_address):
                return self._welcome(request, _without_key(request))
            return self._refuse(request, True)
        shown = in_address if in_address is not None else _shown_key(request)
        if shown is not None:
            return None if self._fits(shown) else self._refuse(request, True)
        if hmac.compare_digest(_cookie(request).encode(), self.session.encode()):
            return None
        return self._refuse(request, False)

    async def _login(self, request: Request) -> Response:
        body = (await request.body())[:4096].decode(errors="replace")
        given = dict(parse_qsl(body)).get("api_key", "").strip()
        return self._welcome(request, "/") if self._fits(given) else self._refuse(request, True)

    def _fits(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self.key)

    def _welcome(self, request: Request, target: str) -> Response:
        response = RedirectResponse(target, status_code=303)
        encrypted = request.url.scheme == "https"
        response.set_cookie(COOKIE, self.session, max_age=_WEEK_S, httponly=True, samesite="strict", secure=encrypted)
        return response

    def _refuse(self, request: Request, shown: bool) -> Response:
        if self._is_page(request):
            words = "This key does not fit." if shown else ""
            page = files("twotime.api").joinpath("web/key.html").read_text().replace("{{words}}", words)
            return HTMLResponse(page, status_code=401)
        detail = (
            "The API key shown is not the key of this service; look it up where the service was started."
            if shown
            else "No API key was shown; send it as header X-API-Key or 'Authorization: Apikey …'."
        )
        return problem(401, "Key needed", detail, request.url.path, headers={"WWW-Authenticate": "Apikey"})

    @staticmethod
    def _is_page(request: Request) -> bool:
        return request.url.path in ("/", LOGIN_PATH)


def _shown_key(request: Request) -> str | None:
    header = request.headers.get("x-api-key")
    if header is not None:
        return header
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() in ("apikey", "bearer") else None


def _cookie(request: Request) -> str:
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _without_key(request: Request) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "api_key"]
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read, whole or not at all; an existing one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
