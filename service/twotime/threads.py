"""Work in threads that coroutines wait for."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def to_the_end(function: Callable[..., Result], *given: Any) -> Result:
    """Call in a thread; cancelled meanwhile, wait for its end, so that whoever cleans up finds nothing in use."""
    work = asyncio.create_task(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(work)
    finally:
        await asyncio.wait([work])
