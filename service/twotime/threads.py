"""Work in threads that coroutines wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")
_ASKING = ThreadPoolExecutor(32, "ask tiled")
"""Many more than cores, for they wait: a short question shall not stand behind long ones that others asked."""


async def asking(function: Callable[..., Result], *args: Any, **options: Any) -> Result:
    """Call something that waits for Tiled, as `asyncio.to_thread` would."""
    call = partial(copy_context().run, function, *args, **options)
    return await asyncio.get_running_loop().run_in_executor(_ASKING, call)


async def to_the_end(function: Callable[..., Result], *given: Any) -> Result:
    """Call in a thread; cancelled meanwhile, wait for its end, so that whoever cleans up finds nothing in use."""
    work = asyncio.create_task(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(work)
    finally:
        await asyncio.wait([work])
