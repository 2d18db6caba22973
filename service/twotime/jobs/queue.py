"""Analyses that wait for a worker of this process: first come first served, those asked for before automatic ones."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One analysis to compute.

    Attributes
    ----------
    id : of the analysis
    after : newest attempt that was seen of it, now free or dead
    service_died : that attempt ended with the service that had it computed
    """

    id: str
    after: int
    service_died: bool = False


class JobQueue:
    """Waiting analyses, each at most once; a second request may only move it forward.

    Examples
    --------
    >>> queue = JobQueue()
    >>> queue.put(Job("automatic", 0), automatic=True)
    >>> queue.put(Job("asked for", 0))
    >>> asyncio.run(queue.get()).id
    'asked for'
    """

    def __init__(self) -> None:
        self._heap: list[tuple[bool, int, str]] = []
        self._waiting: dict[str, tuple[bool, int, Job]] = {}
        self._count = itertools.count()
        self._wakers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, analysis_id: str) -> bool:
        return analysis_id in self._waiting

    @property
    def n_asked(self) -> int:
        """How many of them somebody asked for."""
        return sum(not automatic for automatic, _, _ in self._waiting.values())

    def put(self, job: Job, *, automatic: bool = False) -> None:
        """Let a job wait; one that waits already keeps the better of both places."""
        known = self._waiting.get(job.id)
        place = (automatic, next(self._count))
        if known is not None and (known[0], known[1]) < place:
            place = (known[0], known[1])
        self._waiting[job.id] = (*place, job)
        heapq.heappush(self._heap, (*place, job.id))
        self._wake()

    def discard(self, analysis_id: str) -> None:
        """Forget a job that waits; no effect if it does not."""
        self._waiting.pop(analysis_id, None)

    async def get(self) -> Job:
        """The next job, taken out; waits until there is one."""
        while True:
            while self._heap:
                automatic, number, analysis_id = heapq.heappop(self._heap)
                known = self._waiting.get(analysis_id)
                if known is not None and known[:2] == (automatic, number):
                    del self._waiting[analysis_id]
                    return known[2]
            waker = asyncio.get_running_loop().create_future()
            self._wakers.add(waker)
            try:
                await waker
            finally:
                self._wakers.discard(waker)

    def _wake(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)
