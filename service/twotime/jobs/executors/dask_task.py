"""What a Dask worker does: one attempt of an analysis as one task, with models that stay loaded between tasks."""

import threading

import dask
import torch
from distributed import Worker, get_worker

from twotime.catalog.results.analysis_record import AnalysisRecord, ClaimLost
from twotime.jobs.executors.attempt import AttemptRunner
from twotime.logs import configure_logs
from twotime.settings import Settings

_BENCH = "twotime_bench"


def attempt(settings: Settings, record: AnalysisRecord, key: str, topic: str) -> str:
    """Compute and publish one claimed attempt; to be run as the task `key`.

    Parameters
    ----------
    settings : of the service, with addresses and paths that hold here too
    record : the attempt
    topic : under which stage and fraction are told

    Returns
    -------
    str
        The `Outcome`.
    """
    worker = get_worker()
    bench = getattr(worker, _BENCH, None)
    if bench is None or bench.settings != settings:
        bench = _Bench(worker, settings)
        setattr(worker, _BENCH, bench)
    return str(bench.attempt(record, key, topic))


def stop(key: str, drop: bool, dask_worker: Worker) -> bool:
    """Let a task end as cancelled or, to `drop` it, without a word; False if this worker does not compute it."""
    bench = getattr(dask_worker, _BENCH, None)
    return bench is not None and bench.stop(key, drop)


class _Bench:
    """The `AttemptRunner` of one Dask worker, and the task that it is busy with."""

    def __init__(self, worker: Worker, settings: Settings) -> None:
        configure_logs(as_json=settings.log_json, level=settings.log_level)
        self.settings = settings
        self._worker = worker
        self._key = self._topic = ""
        self._cancel = threading.Event()
        self._dropped = False
        self._runner = AttemptRunner(settings, self._cancel, self._on_progress)
        # Tiled's clients read arrays through Dask, which inside a task would ask the scheduler to: a detour by which an
        # attempt depends on a scheduler that may be gone, and on a thread that another task may have taken.
        dask.config.set(scheduler="threads")
        # CPython 3.11 may stand still for ever where garbage is collected while Dask looks at the frames of all threads
        # (python/cpython#106883), which its profile does every 10 ms of a task; nobody looks at that profile.
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
