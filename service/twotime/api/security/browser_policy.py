"""What browsers may do with answers: no code in pages, no guessing of types, frames for named origins only."""

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'"
)
"""Of the page: code from files of this service only. Plotly needs styles in elements for its labels."""
DOCUMENT_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
"""Of pages without code."""
_OTHER_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'"
"""Of everything else, which is not to be shown as a page: JSON, tables, pictures, files."""
_POLICY, _REFERRER = "Content-Security-Policy", "Referrer-Policy"


class BrowserPolicy:
    """Middleware that gives every answer its policy, unless its route has set one, and says who may frame it.

    Parameters
    ----------
    app : the application behind it
    frame_ancestors : origins of pages that may show this service in a frame; none: no page may
    """

    def __init__(self, app: ASGIApp, frame_ancestors: Sequence[str] = ()) -> None:
        self.app = app
        self.frames = " ".join(["frame-ancestors", *(frame_ancestors or ["'none'"])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[_POLICY] = f"{headers.get(_POLICY, _OTHER_POLICY)}; {self.frames}"
                headers[_REFERRER] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)


def key_page_policy(html: str) -> str:
    """Policy of the page that asks for the key: its own style by digest, since nothing else is open without a key.

    >>> key_page_policy("<style>p { margin: 0; }</style>")[:44]
    "default-src 'none'; style-src 'sha256-ZMIWxF"
    """
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in styles)
    allowed = " ".join(f"'sha256-{one}'" for one in digests)
    return f"default-src 'none'; style-src {allowed}; base-uri 'none'; form-action 'self'"
