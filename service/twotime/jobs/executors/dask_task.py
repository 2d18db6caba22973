"""One attempt as a task of a Dask worker, with models that stay loaded between tasks."""

import threading

import dask
import torch
from distributed import Worker, get_worker

from twotime.catalog.results.analysis_record import AnalysisRecord, ClaimLost
from twotime.jobs.executors.attempt import AttemptRunner
from twotime.logs import configure_logs
from twotime.settings import Settings

_STATE = "twotime_state"


def attempt(settings: Settings, record: AnalysisRecord, key: str, topic: str) -> str:
    """Compute and publish one claimed attempt; run as the task `key`.

    Parameters
    ----------
    settings : of the service; addresses and paths must be valid on the Dask worker
    record : the attempt
    topic : of progress events

    Returns
    -------
    str
        The `Outcome`.
    """
    worker = get_worker()
    state = getattr(worker, _STATE, None)
    if state is None or state.settings != settings:
        state = _WorkerState(worker, settings)
        setattr(worker, _STATE, state)
    return str(state.attempt(record, key, topic))


def stop(key: str, drop: bool, dask_worker: Worker) -> bool:
    """End a task as cancelled or, with `drop`, without an outcome; False if this worker does not compute it."""
    state = getattr(dask_worker, _STATE, None)
    return state is not None and state.stop(key, drop)


class _WorkerState:
    """The `AttemptRunner` of one Dask worker and its present task."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        configure_logs(as_json=settings.log_json, level=settings.log_level)
        self.settings = settings
        self._worker = worker
        self._key = self._topic = ""
        self._cancel = threading.Event()
        self._dropped = False
        self._runner = AttemptRunner(settings, self._cancel, self._on_progress)
        # Tiled's clients read arrays through Dask. Inside a task that would ask the scheduler, which may be gone, and
        # need a thread that another task may occupy; read in threads instead.
        dask.config.set(scheduler="threads")
        # CPython 3.11 can deadlock if garbage is collected while Dask walks the frames of all threads
        # (python/cpython#106883). Dask's profiler does so every 10 ms of a task, and nobody uses its profile.
        for name in ("profile", "profile-cycle"):
            if name in worker.periodic_callbacks:
                worker.loop.add_callback(worker.periodic_callbacks[name].stop)
        self._runner.warm_up()

    def attempt(self, record: AnalysisRecord, key: str, topic: str) -> str:
        torch.set_num_threads(self.settings.threads_per_worker)
        self._cancel.clear()
        self._dropped = False
        self._key, self._topic = key, topic
        try:
            return self._runner.run(record)
        finally:
            self._key = ""

    def stop(self, key: str, drop: bool) -> bool:
        if key != self._key:
            return False
        if drop:
            self._dropped = True
        else:
            self._cancel.set()
        return True

    def _on_progress(self, stage: str, fraction: float) -> None:
        if self._dropped:
            raise ClaimLost(f"The service that asked for {self._key} let it go.")
        self._worker.log_event(self._topic, {"key": self._key, "stage": stage, "fraction": float(fraction)})
