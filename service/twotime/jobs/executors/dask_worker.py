"""One analysis at a time on a Dask cluster, instead of a local worker process."""

import threading
import uuid
from asyncio import CancelledError
from contextlib import suppress

import structlog
from distributed import Client, Future

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.jobs.executors.dask_cluster import DaskCluster
from twotime.jobs.executors.dask_task import attempt, stop
from twotime.jobs.executors.executor import EXECUTOR_LOST, OnProgress

log = structlog.get_logger()

_LOOK_EVERY_S = 1.0
_GRACE_S = 5.0
_ANSWER_S = 10.0
"""Longer than a worker needs to import what its first task needs; it answers nothing meanwhile."""


class DaskWorker:
    """Computes analyses, one after another, on any free Dask worker.

    If a Dask worker dies, the scheduler gives the same attempt to another one, which first removes what was published.
    If the scheduler dies, the attempt is lost, and a new one is claimed when it is back.

    Parameters
    ----------
    cluster : shared by all executors of a service
    """

    def __init__(self, cluster: DaskCluster) -> None:
        self.cluster = cluster
        self.pid: int | None = None
        self._job: str | None = None
        self._cancel = threading.Event()
        self._killed = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the cluster can compute."""
        return self.cluster.n_slots > 0

    def start(self) -> None:
        """Wait until a Dask worker is free, or `kill` is called."""
        self.cluster.acquire_slot(self, self._killed)

    def compute(self, record: AnalysisRecord, on_progress: OnProgress) -> str | None:
        """Compute a claimed attempt; see `Executor`. `EXECUTOR_LOST` if the scheduler is gone."""
        client = self.cluster.client
        key = f"twotime-{record.id}-{record.attempt}-{uuid.uuid4().hex[:8]}"
        with self._lock:
            self._cancel.clear()
            self._job = record.id
        self.cluster.listen(key, on_progress)
        try:
            return EXECUTOR_LOST if client is None else self._compute(client, record, key)
        except (OSError, RuntimeError, CancelledError) as error:
            log.warning("dask_task_lost", analysis_id=record.id, reason=repr(error))
            return EXECUTOR_LOST
        finally:
            self.cluster.forget(key)
            self.cluster.release_slot(self)
            with self._lock:
                self._job = None

    def cancel(self, analysis_id: str) -> bool:
        """Ask for this analysis to be stopped; False if another one is computed."""
        with self._lock:
            if self._job != analysis_id:
                return False
            self._cancel.set()
            self._wake.set()
            return True

    def kill(self) -> None:
        """Drop the present task; the Dask processes go on."""
        self._killed.set()
        self._wake.set()

    def _compute(self, client: Client, record: AnalysisRecord, key: str) -> str | None:
        future = client.submit(attempt, self.cluster.settings, record, key, self.cluster.topic, key=key, pure=False)
        future.add_done_callback(lambda _: self._wake.set())
        asked = False
        while not future.done():
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()
            if not self.cluster.is_up(client):
                return EXECUTOR_LOST
            if self._killed.is_set():
                _drop(client, future, key)
                return EXECUTOR_LOST
            if self._cancel.is_set() and not asked:
                asked = True
                if not _stopped(client, key, drop=False) and not future.done():
                    # No worker computes it yet. The next claim finds the cancellation in Tiled.
                    future.cancel()
                    return "lost"
        if future.status == "finished":
            return str(future.result(timeout=_GRACE_S))
        if future.status == "error":
            log.error("dask_task_failed", analysis_id=record.id, reason=repr(future.exception(timeout=_GRACE_S)))
            return None
        return EXECUTOR_LOST


def _drop(client: Client, future: "Future[str]", key: str) -> None:
    """End the task without an outcome, so that it does not collide with the next attempt."""
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    if _stopped(client, key, drop=True) and not ended.wait(_GRACE_S):
        log.warning("dask_task_goes_on", key=key)
    future.cancel()


def _stopped(client: Client, key: str, *, drop: bool) -> bool:
    """Whether a worker confirms that it stops a task, within `_ANSWER_S`."""
    answers: dict[str, bool] = {}

    def ask() -> None:
        with suppress(OSError, RuntimeError, CancelledError):
            answers.update(client.run(stop, key, drop, on_error="ignore"))

    asking = threading.Thread(target=ask, name="ask the dask workers", daemon=True)
    asking.start()
    asking.join(_ANSWER_S)
    return any(answers.values())
