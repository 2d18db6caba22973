"""The workers of this service: they claim waiting analyses, compute them, and are replaced when they die."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import TiledRefused, TiledUnavailable
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.executors.executor import EXECUTOR_LOST, Executor
from twotime.jobs.executors.worker_process import WorkerProcess
from twotime.jobs.scheduling.job_queue import Job, JobQueue, rank_of

if TYPE_CHECKING:
    from twotime.jobs.executors.dask_cluster import DaskCluster

log = structlog.get_logger()

_PAUSE_S = 2.0
_REPORT_EVERY_S = 0.2


class WorkerPool:
    """Takes analyses from the queue and computes them, each in a process of its own.

    Parameters
    ----------
    tiled : connection; its settings give the number of workers
    owner : name of this process in claims
    on_change : called after every change of an analysis
    on_end : called when an attempt has ended
    supersede_if_outdated : awaited before an attempt starts; True if the software changed since the request, so that
        the attempt is dropped in favour of a new analysis
    on_progress : called when stage or progress change

    Attributes
    ----------
    busy : records that are computed, by id
    contested : ids of analyses that could not be claimed although they are queued: their claim must be looked at
    """

    def __init__(
        self,
        tiled: TiledConnection,
        owner: str,
        on_change: Callable[[AnalysisRecord], None],
        on_end: Callable[[AnalysisRecord], None],
        supersede_if_outdated: Callable[[AnalysisRecord], Awaitable[bool]],
        on_progress: Callable[[AnalysisRecord], None],
    ) -> None:
        self.tiled = tiled
        self.owner = owner
        self.queue = JobQueue()
        self.busy: dict[str, AnalysisRecord] = {}
        self.contested: set[str] = set()
        self._claiming: list[str] = []
        self.workers: list[Executor] = []
        self.cluster: DaskCluster | None = None
        self._on_change = on_change
        self._on_end = on_end
        self._supersede_if_outdated = supersede_if_outdated
        self._on_progress = on_progress
        self._threads: ThreadPoolExecutor | None = None
        self._slots: list[asyncio.Task[None]] = []
        self._reported_at = 0.0

    def start(self) -> None:
        """Start the workers. Call it in the event loop, when the address of Tiled is known."""
        settings = self.tiled.settings
        self.workers = self._executors()
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="worker")
        self._slots = [asyncio.create_task(self._serve(worker)) for worker in self.workers]

    async def stop(self) -> None:
        """Kill the workers and release their analyses to the queue in Tiled."""
        unfinished = list(self.busy.values())
        for slot in self._slots:
            slot.cancel()
        for worker in self.workers:
            await asyncio.to_thread(worker.kill)
        await asyncio.gather(*self._slots, return_exceptions=True)
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown)
        if self.cluster is not None:
            await asyncio.to_thread(self.cluster.close)
        for record in unfinished:
            try:
                await self.tiled.call(self._release, record)
            except (TiledUnavailable, TiledRefused) as error:
                log.warning("not_handed_back", analysis_id=record.id, reason=str(error))

    def stop_one(self, analysis_id: str) -> bool:
        """Remove an analysis from the queue and stop the worker that computes it; True if it waited."""
        waited = analysis_id in self.queue
        self.queue.discard(analysis_id)
        for worker in self.workers:
            worker.cancel(analysis_id)
        return waited

    def is_known(self, analysis_id: str) -> bool:
        """Whether the analysis waits, is being claimed, or is computed here."""
        return analysis_id in self.queue or analysis_id in self.busy or analysis_id in self._claiming

    @property
    def n_slots(self) -> int:
        """Number of analyses that can be computed at the same time."""
        return len(self.workers) if self.cluster is None else min(len(self.workers), self.cluster.n_slots)

    def _executors(self) -> list[Executor]:
        settings = self.tiled.settings
        if not settings.dask_scheduler:
            return [WorkerProcess(settings) for _ in range(settings.workers)]
        # Imported here: distributed is an optional extra.
        from twotime.jobs.executors.dask_cluster import DaskCluster
        from twotime.jobs.executors.dask_worker import DaskWorker

        self.cluster = DaskCluster(settings)
        return [DaskWorker(self.cluster) for _ in range(settings.workers)]

    async def _serve(self, worker: Executor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await loop.run_in_executor(self._threads, worker.start)
            job, computed = await self.queue.get(), False
            self._claiming.append(job.id)  # A list, because the same id can be in it twice for a moment.
            try:
                # Waiting for the job may have taken long, and the executor may have been lost meanwhile.
                await loop.run_in_executor(self._threads, worker.start)
                record = await self._claim(job)
                if record is not None:
                    computed = await self._do(record, worker)
            except (TiledUnavailable, TiledRefused) as error:
                log.warning("job_waits_for_tiled", analysis_id=job.id, reason=str(error))
                await asyncio.sleep(_PAUSE_S)
            except Exception:
                log.exception("job_broke", analysis_id=job.id)
                await asyncio.sleep(_PAUSE_S)
            finally:
                self._claiming.remove(job.id)
                self.queue.end(job, computed=computed)

    async def _claim(self, job: Job) -> AnalysisRecord | None:
        record = await self.tiled.call(
            self.tiled.store.claim, job.id, self.owner, job.after, service_died=job.service_died
        )
        if record is not None:
            self._on_change(record)
            return record
        current = await self.tiled.call(self.tiled.store.get, job.id)
        if current.status == "queued":
            self.contested.add(job.id)
        # No claim: another service was faster, or the claim itself ended the analysis (cancelled, too many deaths).
        (self._on_end if current.ended and current.attempt == job.after + 1 else self._on_change)(current)
        return None

    async def _do(self, record: AnalysisRecord, worker: Executor) -> bool:
        """Compute an attempt; True if it came to a result, so that its duration is what others may take."""
        self.busy[record.id] = record
        try:
            if await self._supersede_if_outdated(record):
                return False
            outcome = await self._compute(record, worker)
            current = await self.tiled.call(self.tiled.store.get, record.id)
        finally:
            del self.busy[record.id]
        if outcome in (None, EXECUTOR_LOST) and not current.ended:
            # A worker that dies (None) counts against the analysis, a lost Dask scheduler does not.
            log.error("worker_died_computing", analysis_id=record.id, attempt=record.attempt)
            job = Job.of(record, record.attempt, service_died=outcome == EXECUTOR_LOST)
            self.queue.put(job, rank_of(record))
        (self._on_end if current.ended else self._on_change)(current)
        return current.status == "done"

    async def _compute(self, record: AnalysisRecord, worker: Executor) -> str | None:
        loop = asyncio.get_running_loop()

        def on_progress(stage: str, fraction: float) -> None:
            loop.call_soon_threadsafe(self._report, record, stage, fraction)

        return await loop.run_in_executor(self._threads, worker.compute, record, on_progress)

    def _report(self, record: AnalysisRecord, stage: str, fraction: float) -> None:
        known = self.busy.get(record.id)
        now = time.monotonic()
        if known is None or (stage == known.stage and fraction < 1 and now - self._reported_at < _REPORT_EVERY_S):
            return
        self._reported_at = now
        self.busy[record.id] = replace(known, stage=stage, progress=fraction, updated_time=time.time())
        self._on_progress(self.busy[record.id])

    def _release(self, record: AnalysisRecord) -> None:
        current = self.tiled.store.get(record.id)
        if current.status == "running" and current.attempt == record.attempt:
            self.tiled.store.release(record)
