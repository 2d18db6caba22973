"""The queue of analyses that wait for a worker: requested ones first, then new scans, then the backlog."""

import asyncio
import heapq
import itertools
from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """Priority in the queue; first come, first served within one rank."""

    FIRST = 0
    """Moved to the front by a user."""
    ASKED = 1
    """Requested by a user."""
    NEW = 2
    """A scan that has just finished."""
    BACKLOG = 3
    """A scan that finished before the service started."""


@dataclass(frozen=True)
class Job:
    """One analysis to compute.

    Attributes
    ----------
    id : of the analysis
    after : newest known attempt, which is free or dead; the job is to claim the next one
    service_died : whether that attempt ended with its whole service
    """

    id: str
    after: int
    service_died: bool = False


class JobQueue:
    """Waiting analyses, each at most once. A second request can only move an analysis forward.

    Attributes
    ----------
    paused : while True, `get` waits

    Examples
    --------
    >>> queue = JobQueue()
    >>> queue.put(Job("last week", 0), Rank.BACKLOG)
    >>> queue.put(Job("just now", 0), Rank.NEW)
    >>> asyncio.run(queue.get()).id
    'just now'
    """

    def __init__(self) -> None:
        self.paused = False
        # Jobs that moved or were discarded stay in the heap and are skipped by `get`; `_waiting` says what counts.
        self._heap: list[tuple[Rank, int, str]] = []
        self._waiting: dict[str, tuple[Rank, int, Job]] = {}
        self._count = itertools.count()
        self._wakers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, analysis_id: str) -> bool:
        return analysis_id in self._waiting

    @property
    def n_asked(self) -> int:
        """Number of waiting analyses that users requested."""
        return sum(rank <= Rank.ASKED for rank, _, _ in self._waiting.values())

    @property
    def order(self) -> list[str]:
        """Ids of waiting analyses, the next one first."""
        return [job.id for *_, job in sorted(self._waiting.values(), key=lambda known: known[:2])]

    def put(self, job: Job, rank: Rank = Rank.ASKED) -> None:
        """Add a job; one that waits already keeps the better of both positions."""
        known = self._waiting.get(job.id)
        place = (rank, next(self._count))
        if known is not None and (known[0], known[1]) < place:
            place = (known[0], known[1])
        self._waiting[job.id] = (*place, job)
        heapq.heappush(self._heap, (*place, job.id))
        self._wake()

    def pause(self, paused: bool) -> None:
        """Pause or resume `get`."""
        self.paused = paused
        self._wake()

    def advance(self, analysis_id: str) -> bool:
        """Move a waiting job to the front; False if it does not wait."""
        known = self._waiting.get(analysis_id)
        if known is None:
            return False
        del self._waiting[analysis_id]
        place = (Rank.FIRST, -next(self._count))  # Negative: the job moved last goes before those moved earlier.
        self._waiting[analysis_id] = (*place, known[2])
        heapq.heappush(self._heap, (*place, analysis_id))
        self._wake()
        return True

    def discard(self, analysis_id: str) -> None:
        """Remove a waiting job; no effect if it does not wait."""
        self._waiting.pop(analysis_id, None)

    async def get(self) -> Job:
        """Remove and return the next job; waits until there is one."""
        while True:
            while self._heap and not self.paused:
                rank, number, analysis_id = heapq.heappop(self._heap)
                known = self._waiting.get(analysis_id)
                if known is not None and known[:2] == (rank, number):
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
