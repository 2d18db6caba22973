"""The scheduler of one service: puts analyses into the queue, cancels them, and recovers those that nobody computes."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import InputError, NotReady, TiledRefused, TiledUnavailable
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.scheduling.fair_shares import NO_SHARE, Share
from twotime.jobs.scheduling.job_queue import Job, Rank, rank_of
from twotime.jobs.scheduling.leases import LeaseMonitor
from twotime.jobs.scheduling.owner import new_owner
from twotime.jobs.scheduling.worker_pool import WorkerPool
from twotime.jobs.status import QueueView
from twotime.recipe import deciding

log = structlog.get_logger()

RECOVER_EVERY_S = 5.0
RECOVERY_SHARE = 0.05
"""Most of the time that the recovery may spend on requests: listing 500 analyses costs Tiled 0.8 s of a core."""
_LONGEST_PAUSE_S = 60.0
_MOST_OPEN = 1000

OnRecord = Callable[[AnalysisRecord], None]


class Resubmission(Protocol):
    """Repeats the request of an analysis; see `twotime.jobs.requests.submission.Submission`."""

    def versions(self, kind: str) -> dict[str, str]:
        """Versions of all that decides the numbers of a kind of analysis."""
        ...

    def resubmit(self, record: AnalysisRecord) -> AnalysisRecord:
        """Queue the request of an outdated analysis again."""
        ...


class Scheduler:
    """Decides what this service computes next. Use it in one event loop.

    Parameters
    ----------
    tiled : connection
    resubmission : for analyses that were requested under other versions
    on_change, on_end, on_progress : called with the record when an analysis changes, ends, or advances
    """

    def __init__(
        self,
        tiled: TiledConnection,
        resubmission: Resubmission,
        on_change: OnRecord,
        on_end: OnRecord,
        on_progress: OnRecord,
    ) -> None:
        self.owner = new_owner()
        self._tiled = tiled
        self._resubmission = resubmission
        self._on_change = on_change
        self._on_end = on_end
        self._leases = LeaseMonitor(self.owner)
        self._cancelling: set[str] = set()
        self.pool = WorkerPool(
            tiled,
            self.owner,
            on_change=on_change,
            on_end=on_end,
            on_progress=on_progress,
            supersede_if_outdated=self._supersede_if_outdated,
        )

    def is_full(self, share: Share) -> bool:
        """Whether as many requested analyses of a share wait as `most_queued` allows."""
        return self.pool.queue.n_asked(share or NO_SHARE) >= self._tiled.settings.most_queued

    @property
    def view(self) -> QueueView:
        """What is computed and what waits, in order."""
        queue = self.pool.queue
        return QueueView(queue.paused, list(self.pool.busy), queue.order, queue.expected_starts_s(self.pool.n_slots))

    def enqueue(self, record: AnalysisRecord, rank: Rank = Rank.ASKED) -> None:
        """Let an analysis that is queued in Tiled wait for a worker; one that waits already can only move forward."""
        if record.status == "queued" and not self.pool.is_known(record.id):
            self.pool.queue.put(Job.of(record, record.attempt - 1), rank)
        else:
            self.pool.queue.promote(record.id, rank)
        self._on_change(record)

    def advance(self, analysis_id: str) -> None:
        """Move a waiting analysis to the front; raises `NotReady` if it does not wait here."""
        if not self.pool.queue.advance(analysis_id):
            raise NotReady(
                f"Analysis {analysis_id} does not wait in this service; GET /api/v1/queue lists those that do."
            )

    async def cancel(self, analysis_id: str) -> AnalysisRecord:
        """Cancel an analysis: at once if it waits, at the next block if it runs, without effect once it has ended."""
        # Meanwhile the recovery must not queue it: it reads "queued" from Tiled until the cancellation is written.
        self._cancelling.add(analysis_id)
        try:
            record = await self._tiled.call(self._tiled.store.request_cancel, analysis_id, self.owner)
        finally:
            self._cancelling.discard(analysis_id)
        if self.pool.stop_one(analysis_id) and record.status == "cancelled":
            self._on_end(record)
        else:
            self._on_change(record)
        return record

    async def recover(self) -> None:
        """Queue, every few seconds and without end, what waits in Tiled and what a dead process left behind."""
        while True:
            began, pause_s = time.monotonic(), RECOVER_EVERY_S
            try:
                await self._recover()
                pause_s = min(max(pause_s, (time.monotonic() - began) / RECOVERY_SHARE), _LONGEST_PAUSE_S)
            except (TiledUnavailable, TiledRefused):
                self._leases.restart()
            except Exception:
                log.exception("sweep_broke")
            await asyncio.sleep(pause_s)

    async def _recover(self) -> None:
        before = self.pool.queue.jobs
        search = self._tiled.store.search
        queued, n_queued = await self._tiled.call(search, status="queued", limit=_MOST_OPEN)
        running, n_running = await self._tiled.call(search, status="running", limit=_MOST_OPEN)
        self.pool.contested &= {record.id for record in queued}
        if max(n_queued, n_running) <= _MOST_OPEN:
            self._forget(before, [*queued, *running])
        for record in reversed([*running, *queued]):
            if not self._is_known(record):
                await self._recover_one(record)

    def _forget(self, jobs: Iterable[Job], open_records: Iterable[AnalysisRecord]) -> None:
        """Remove those waiting jobs that another service has claimed or cancelled since."""
        by_id = {record.id: record for record in open_records}
        for job in jobs:
            record = by_id.get(job.id)
            if record is None or (record.status == "running" and record.attempt > job.after):
                self.pool.queue.discard(job.id)

    async def _recover_one(self, record: AnalysisRecord) -> None:
        if record.status == "queued" and record.id not in self.pool.contested:
            # Nobody has claimed it, most likely. If somebody has, our claim fails and the next recovery looks closer:
            # looking at the claims of 500 analyses costs Tiled 40 s.
            self.pool.queue.put(Job.of(record, record.attempt - 1), rank_of(record))
            return
        claim = await self._tiled.call(self._tiled.store.newest_claim, record.id)
        # Asked again: while Tiled answered, this analysis may have been queued here.
        if not self._is_known(record) and self._leases.is_claimable(record, claim):
            # A claim of another owner means that the whole service died, which says nothing about the analysis.
            service_died = record.status == "running" and claim.owner != self.owner
            self.pool.queue.put(Job.of(record, claim.attempt, service_died=service_died), rank_of(record))
            self.pool.contested.discard(record.id)

    def _is_known(self, record: AnalysisRecord) -> bool:
        return self.pool.is_known(record.id) or record.id in self._cancelling

    async def _supersede_if_outdated(self, record: AnalysisRecord) -> bool:
        """Replace an analysis that other numerics or weights are to compute by a new one; True if it was replaced.

        The id of an analysis holds these versions, so computing it with others would publish numbers under a wrong id.
        """
        if deciding(record.versions) == deciding(self._resubmission.versions(record.kind)):
            return False
        tiled = self._tiled
        try:
            new = await tiled.call(self._resubmission.resubmit, record)
        except InputError as error:
            self._on_end(await tiled.call(tiled.store.failed, record, str(error)))
            return True
        sentence = f"The software changed before this was computed; analysis {new.id} takes its place."
        self._on_end(await tiled.call(tiled.store.cancelled, record, sentence))
        self.enqueue(new, rank_of(new))
        return True
