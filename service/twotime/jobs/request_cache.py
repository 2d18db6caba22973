"""A cache that also coalesces requests: equal questions at the same time share one answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class RequestCache:
    """Caches answers for a moment and lets equal questions wait for the same answer.

    Fifty screens that poll cost Tiled as much as one. Call `clear` after a change, so that the next question sees it.

    Parameters
    ----------
    max_age_s : age up to which an answer is given again, s
    max_entries : number of answers kept; the oldest are dropped

    Examples
    --------
    >>> async def both() -> int:
    ...     asked = []
    ...     async def ask() -> int:
    ...         asked.append(1)
    ...         return 7
    ...     shared = RequestCache(1.0)
    ...     await asyncio.gather(shared.get("key", ask), shared.get("key", ask))
    ...     return len(asked)
    >>> asyncio.run(both())
    1

    Notes
    -----
    A cache that only has a time to live does not coalesce: fifty questions before the first answer would all go to
    Tiled.
    """

    def __init__(self, max_age_s: float, max_entries: int = 500) -> None:
        self.max_age_s = max_age_s
        self.max_entries = max_entries
        self._known: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to `ask()`, cached under `key`. An exception goes to all who wait, and is not cached."""
        now = time.monotonic()
        asked_at, task = self._known.get(key, (0.0, None))
        if task is None or (task.done() and (now - asked_at > self.max_age_s or task.exception() is not None)):
            self._tidy(now)
            task = asyncio.ensure_future(_asked(ask))
            self._known[key] = now, task
        answer: Answer = await asyncio.shield(task)  # One client that disconnects must not cancel the others' answer.
        return answer

    def clear(self) -> None:
        """Forget all answers, also those that are still awaited."""
        self._known.clear()

    def _tidy(self, now: float) -> None:
        if len(self._known) >= self.max_entries:
            newest = sorted(self._known.items(), key=lambda one: one[1][0], reverse=True)
            self._known = {
                key: (asked_at, task)
                for rank, (key, (asked_at, task)) in enumerate(newest)
                if not task.done() or (rank < self.max_entries // 2 and now - asked_at <= self.max_age_s)
            }


async def _asked(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    return await ask()
