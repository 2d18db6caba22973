"""One answer of Tiled for everybody who asks at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class RequestCache:
    """Answers that are asked for once and given to all who want the same within a moment.

    Fifty screens that poll cost as much as one. Whoever changes something calls `forget`, so that the next one to ask
    sees it.

    Parameters
    ----------
    max_age_s : how old an answer may be, s
    max_entries : answers kept at max_entries; the oldest are let go

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
    """

    def __init__(self, max_age_s: float, max_entries: int = 500) -> None:
        self.max_age_s = max_age_s
        self.max_entries = max_entries
        self._known: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question; whatever asking raises, all who wait for it get."""
        now = time.monotonic()
        asked_at, task = self._known.get(key, (0.0, None))
        if task is None or (task.done() and (now - asked_at > self.max_age_s or task.exception() is not None)):
            self._tidy(now)
            task = asyncio.ensure_future(_asked(ask))
            self._known[key] = now, task
        answer: Answer = await asyncio.shield(task)
        return answer

    def clear(self) -> None:
        """Let nobody get an answer from before this moment."""
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
