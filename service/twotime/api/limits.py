"""How long a body may be, whether it says so itself or is sent in pieces."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twotime.api.errors import problem


class BodyLimit:
    """Refuses longer bodies before they are in memory.

    Parameters
    ----------
    most_mib : of one body, MiB
    """

    def __init__(self, app: ASGIApp, most_mib: float) -> None:
        self.app = app
        self.most_bytes = int(most_mib * 2**20)
        self.detail = f"The body is longer than {most_mib:g} MiB, the most that this service takes; send a shorter one."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.most_bytes:
            await problem(413, "Body too long", self.detail, scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.most_bytes:
                raise HTTPException(413, self.detail)
            return message

        await self.app(scope, counted, send)
