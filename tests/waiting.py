"""What tests wait for: conditions, and a loop that runs between their lines."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
LONGEST_S = 240.0


def until(
    condition: Callable[[], Any],
    told: Callable[[], str] = lambda: "",
    longest_s: float = LONGEST_S,
    every_s: float = 0.05,
) -> Any:
    """Wait for something true and return it; fails with what was told when it does not come."""
    end = time.monotonic() + longest_s
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {longest_s:g} s in vain. {told()}"
        time.sleep(every_s)
    return found


class Loop:
    """An event loop in a thread, so that a service lives on between the lines of a test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __call__(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(300)

    def close(self) -> None:
        self(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
