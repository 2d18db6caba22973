"""Blocking calls in threads, awaited by coroutines."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")
_ASKING = ThreadPoolExecutor(32, "ask tiled")
"""Many more than cores, because they mostly wait; a short request shall not queue behind long ones."""


async def asking(function: Callable[..., Result], *args: Any, **options: Any) -> Result:
    """Call a function that waits for Tiled, like `asyncio.to_thread` but in threads of its own."""
    call = partial(copy_context().run, function, *args, **options)
    return await asyncio.get_running_loop().run_in_executor(_ASKING, call)


async def to_the_end(function: Callable[..., Result], *given: Any) -> Result:
    """Call a function in a thread. If cancelled, wait for its end first, so that cleaning up finds nothing in use.

    Cancelled once more while it waits, it goes on waiting: `asyncio.gather` ends at its first cancelled task, and
    whoever then cancels the others does so for the second time.
    """
    work = asyncio.create_task(asyncio.to_thread(function, *given))
    try:
        return await asyncio.shield(work)
    finally:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
