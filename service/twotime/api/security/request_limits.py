"""Middleware for every request: limits on size and duration of bodies, HEAD for every GET."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twotime.api.errors import problem

BODY_S = 60.0
"""Time limit for a whole body, s: 16 MiB at 270 kB/s."""


class BodyLimit:
    """Refuses bodies that are too long before they are in memory, and bodies that come too slowly.

    Parameters
    ----------
    most_mib : of one body, MiB
    patience_s : for all of it, s
    """

    def __init__(self, app: ASGIApp, most_mib: float, patience_s: float = BODY_S) -> None:
        self.app = app
        self.most_bytes = int(most_mib * 2**20)
        self.patience_s = patience_s
        self.detail = f"The body is longer than {most_mib:g} MiB, the most that this service takes; send a shorter one."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.most_bytes:
            await problem(413, "Body too long", self.detail, scope["path"])(scope, receive, send)
            return
        received, whole = 0, False
        ends = asyncio.get_running_loop().time() + self.patience_s

        async def counted() -> Message:
            nonlocal received, whole
            if whole:  # What comes now is that the client has gone, whenever it goes.
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                detail = f"The body was not there after {self.patience_s:g} s; send it again, in one piece."
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            whole = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise HTTPException(413, self.detail)
            return message

        await self.app(scope, counted, send)


class HeadAsGet:
    """Answers HEAD like GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        ended = False

        async def head(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
            elif not ended:  # At the first piece of the body: a stream of events would not come to its last one.
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app({**scope, "method": "GET"}, receive, head)
