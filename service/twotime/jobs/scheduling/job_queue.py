"""The queue of analyses that wait for a worker: by priority, then in fair shares, then first come, first served."""

import asyncio
import heapq
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from twotime.catalog.results.analysis_record import AnalysisRecord, Priority
from twotime.jobs.scheduling.fair_shares import NO_SHARE, FairShares, Share


class Rank(IntEnum):
    """Priority of a waiting analysis.

    Within one share a smaller rank goes first. Between shares only the `urgency` counts: what somebody requested and
    what was just measured share the workers evenly, and so does what can wait.
    """

    FIRST = 0
    """Moved to the front by a user."""
    ASKED = 1
    """Requested by a user."""
    NEW = 2
    """A scan that has just finished."""
    MANY = 3
    """Requested by a user, with many others at once."""
    BACKLOG = 4
    """A scan that finished before the service started, or that the site's rules put last."""

    @property
    def urgency(self) -> int:
        """0: first of all; 1: somebody waits for it; 2: can wait."""
        return 0 if self is Rank.FIRST else 1 if self <= Rank.NEW else 2

    @property
    def priority(self) -> Priority:
        """The rank as stored with the analysis."""
        return _PRIORITIES[self]


_PRIORITIES: dict[Rank, Priority] = {
    Rank.FIRST: "asked",
    Rank.ASKED: "asked",
    Rank.NEW: "new",
    Rank.MANY: "many",
    Rank.BACKLOG: "backlog",
}


def rank_of(record: AnalysisRecord) -> Rank:
    """The rank with which an analysis was requested; those of older versions store none."""
    if record.priority is None:
        return Rank.BACKLOG if record.automatic else Rank.ASKED
    return Rank[record.priority.upper()]


@dataclass(frozen=True)
class Job:
    """One analysis to compute.

    Attributes
    ----------
    id : of the analysis
    after : newest known attempt, which is free or dead; the job is to claim the next one
    service_died : whether that attempt ended with its whole service
    share : to whom its time counts
    """

    id: str
    after: int
    service_died: bool = False
    share: Share = NO_SHARE

    @classmethod
    def of(cls, record: AnalysisRecord, after: int, *, service_died: bool = False) -> "Job":
        """The job that claims the attempt of an analysis after attempt `after`."""
        return cls(record.id, after, service_died, record.share or NO_SHARE)


@dataclass(frozen=True)
class _Waiting:
    rank: Rank
    number: int
    job: Job

    @property
    def place(self) -> tuple[Rank, int]:
        return self.rank, self.number


@dataclass(frozen=True)
class _Started:
    job: Job
    charged_s: float
    at: float


class JobQueue:
    """Waiting analyses, each at most once. A second request can only move an analysis forward.

    Parameters
    ----------
    clock : monotonic seconds

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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.paused = False
        self._clock = clock
        self._shares = FairShares()
        self._waiting: dict[str, _Waiting] = {}
        # By identity: a job that is put again while its worker still cleans up must not be taken for the first one.
        self._started: dict[int, _Started] = {}
        self._count = itertools.count()
        self._wakers: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, analysis_id: str) -> bool:
        return analysis_id in self._waiting

    def n_asked(self, share: Share) -> int:
        """Number of waiting analyses of a share that users requested."""
        return sum(
            one.rank in (Rank.FIRST, Rank.ASKED, Rank.MANY) and one.job.share == share
            for one in list(self._waiting.values())
        )

    @property
    def order(self) -> list[str]:
        """Ids of waiting analyses, the next one first."""
        return [one.job.id for one in self._in_order()]

    @property
    def jobs(self) -> list[Job]:
        """Waiting jobs, in no order."""
        return [one.job for one in self._waiting.values()]

    def expected_starts_s(self, n_workers: int) -> list[float | None]:
        """When each analysis of `order` is expected to start, s from now; None while paused or before any has ended.

        Parameters
        ----------
        n_workers : that take analyses from this queue
        """
        now, expected = self._clock(), self._shares.expected_s
        left = (max(0.0, (expected(one.job.share) or 0.0) - (now - one.at)) for one in self._started.values())
        if self.paused:
            n_workers = 0
        free = heapq.nlargest(n_workers, [*left, *[0.0] * n_workers])
        heapq.heapify(free)
        starts: list[float | None] = []
        for one in self._in_order():
            takes_s = expected(one.job.share)
            starts.append(None if takes_s is None or not free else free[0])
            if takes_s is not None and free:
                heapq.heapreplace(free, free[0] + takes_s)
        return starts

    def put(self, job: Job, rank: Rank = Rank.ASKED) -> None:
        """Add a job; one that waits already keeps the better of both positions."""
        known = self._waiting.get(job.id)
        rank, number = place = (rank, next(self._count))
        if known is not None and known.place < place:
            rank, number = known.place
        self._shares.enter(job.share)
        if known is not None:
            self._shares.leave(known.job.share)
        self._waiting[job.id] = _Waiting(rank, number, job)
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
        # Negative: the job moved last goes before those moved earlier.
        self._waiting[analysis_id] = _Waiting(Rank.FIRST, -next(self._count), known.job)
        return True

    def promote(self, analysis_id: str, rank: Rank) -> None:
        """Give a waiting job a better rank; no effect if it has one or does not wait."""
        known = self._waiting.get(analysis_id)
        if known is not None and rank < known.rank:
            self._waiting[analysis_id] = _Waiting(rank, next(self._count), known.job)

    def discard(self, analysis_id: str) -> None:
        """Remove a waiting job; no effect if it does not wait."""
        known = self._waiting.pop(analysis_id, None)
        if known is not None:
            self._shares.leave(known.job.share)

    async def get(self) -> Job:
        """Remove and return the next job, and charge its share; waits until there is one. Call `end` afterwards."""
        while True:
            following = None if self.paused else next(self._in_order(), None)
            if following is not None:
                job = following.job
                del self._waiting[job.id]
                self._started[id(job)] = _Started(job, self._shares.start(job.share), self._clock())
                return job
            waker = asyncio.get_running_loop().create_future()
            self._wakers.add(waker)
            try:
                await waker
            finally:
                self._wakers.discard(waker)

    def end(self, job: Job, *, computed: bool) -> None:
        """Charge the share of a job for the time since `get`.

        Parameters
        ----------
        job : as `get` returned it
        computed : whether the analysis was computed here, so that others are expected to take as long
        """
        started = self._started.pop(id(job))
        self._shares.end(job.share, started.charged_s, self._clock() - started.at, computed=computed)

    def _in_order(self) -> Iterator[_Waiting]:
        """Waiting jobs as workers will take them, if analyses take as long as expected and none is added."""
        shares = self._shares.forecast()
        lanes: dict[Share, deque[_Waiting]] = defaultdict(deque)
        for one in sorted(self._waiting.values(), key=lambda one: one.place):
            lanes[one.job.share].append(one)

        def key(share: Share) -> tuple[int, tuple[float, ...], tuple[Rank, int]]:
            first = lanes[share][0]
            return first.rank.urgency, shares.turn(share) if first.rank.urgency else (), first.place

        heads = [(key(share), share) for share in lanes]
        heapq.heapify(heads)
        while heads:
            seen, share = heapq.heappop(heads)
            # Keys only grow, so the smallest one that is up to date is the smallest of all.
            if seen == key(share):
                yield lanes[share].popleft()
                shares.start(share)
            if lanes[share]:
                heapq.heappush(heads, (key(share), share))

    def _wake(self) -> None:
        for waker in self._wakers:
            if not waker.done():
                waker.set_result(None)
