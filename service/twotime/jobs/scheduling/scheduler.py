"""The scheduler of one service: puts analyses into the queue, cancels them, and recovers those that nobody computes."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import InputError, NotReady, TiledRefused, TiledUnavailable
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.scheduling.job_queue import Job, Rank
from twotime.jobs.scheduling.leases import LeaseMonitor
from twotime.jobs.scheduling.owner import new_owner
from twotime.jobs.scheduling.worker_pool import WorkerPool
from twotime.jobs.status import QueueView
from twotime.recipe import deciding

log = structlog.get_logger()

RECOVER_EVERY_S = 5.0
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

    @property
    def is_full(self) -> bool:
        """Whether as many requested analyses wait as `most_queued` allows."""
        return self.pool.queue.n_asked >= self._tiled.settings.most_queued

    @property
    def view(self) -> QueueView:
        """What is computed and what waits, in order."""
        return QueueView(self.pool.queue.paused, list(self.pool.busy), self.pool.queue.order)

    def enqueue(self, record: AnalysisRecord, rank: Rank = Rank.ASKED) -> None:
        """Let an analysis that is queued in Tiled wait for a worker; no effect on one that is known already."""
        if record.status == "queued" and not self.pool.is_known(record.id):
            self.pool.queue.put(Job(record.id, record.attempt - 1), rank)
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
            try:
                for status in ("queued", "running"):
                    await self._recover(status)
            except (TiledUnavailable, TiledRefused):
                self._leases.restart()
            except Exception:
                log.exception("sweep_broke")
            await asyncio.sleep(RECOVER_EVERY_S)

    async def _recover(self, status: str) -> None:
        found, _ = await self._tiled.call(self._tiled.store.search, status=status, limit=_MOST_OPEN)
        for record in reversed(found):
            if self.pool.is_known(record.id) or record.id in self._cancelling:
                continue
            claim = await self._tiled.call(self._tiled.store.newest_claim, record.id)
            # Asked again: while Tiled answered, this analysis may have been queued here.
            if not self.pool.is_known(record.id) and self._leases.is_claimable(record, claim):
                # A claim of another owner means that the whole service died, which says nothing about the analysis.
                service_died = status == "running" and claim.owner != self.owner
                job = Job(record.id, claim.attempt, service_died=service_died)
                self.pool.queue.put(job, Rank.BACKLOG if record.automatic else Rank.ASKED)

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
        self.enqueue(new, Rank.NEW if new.automatic else Rank.ASKED)
        return True
