"""The page and its files; nothing is loaded from elsewhere."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import plotly
from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, HTMLResponse, Response

from twotime.api.reference import reference_html
from twotime.api.security.browser_policy import DOCUMENT_POLICY, PAGE_POLICY
from twotime.errors import NotFound

router = APIRouter(include_in_schema=False)

_WEB = Path(str(files("twotime.api") / "web"))
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FRESH = {"Cache-Control": "no-cache"}


@router.get("/")
async def page() -> Response:
    """The page."""
    return FileResponse(
        _WEB / "index.html", media_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY, **_FRESH}
    )


@router.get("/docs")
async def reference(request: Request) -> Response:
    """The REST interface in words."""
    return HTMLResponse(
        reference_html(request.app.openapi()), headers={"Content-Security-Policy": DOCUMENT_POLICY, **_FRESH}
    )


@router.get("/page/plotly.min.js")
async def plotly_script() -> Response:
    """Plotly's JavaScript, from the installed package."""
    return FileResponse(_PLOTLY, media_type="text/javascript", headers={"Cache-Control": "private, max-age=86400"})


@router.get("/page/{name}")
async def part(
    name: Annotated[str, PathParameter(max_length=100, description="name of a file of the page")],
) -> Response:
    """A style sheet, script or icon of the page."""
    known = {path.name: path for path in _WEB.iterdir() if path.suffix in _TYPES}
    if name not in known:
        raise NotFound(f"The page has no part named {name!r}; it has {', '.join(sorted(known))}.")
    return FileResponse(known[name], media_type=_TYPES[known[name].suffix], headers=_FRESH)
