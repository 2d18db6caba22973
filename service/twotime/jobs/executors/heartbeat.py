"""The heartbeat of an attempt: renews its lease by writing progress, and notices cancellation and lost claims."""

import threading
import time
from typing import Protocol

import structlog

from twotime.catalog.results.analysis_record import AnalysisRecord, ClaimLost
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.errors import Cancelled, TwotimeError
from twotime.jobs.executors.executor import OnProgress

log = structlog.get_logger()

HEARTBEAT_S = 5.0
"""A sixth of the lease, so that one slow or failed write does not cost the claim."""
WRITE_EVERY_S = 1.0
"""Progress is written at most this often: a message costs Tiled about 40 ms."""


class StopSign(Protocol):
    """An event of threading or multiprocessing; set when the present attempt shall stop."""

    def is_set(self) -> bool:
        """Whether it is set."""
        ...

    def set(self) -> None:
        """Set it."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait until it is set, at most `timeout` seconds."""
        ...


class Heartbeat:
    """Renews the lease of a running attempt from a thread, and learns from Tiled whether to stop.

    Parameters
    ----------
    store, record : the attempt
    cancel : set to stop the attempt, from outside or by a cancellation found in Tiled
    on_progress : called at every step
    """

    def __init__(
        self,
        store: AnalysisStore,
        record: AnalysisRecord,
        cancel: StopSign,
        on_progress: OnProgress,
    ) -> None:
        self.store = store
        self.record = record
        self.cancel = cancel
        self.on_progress = on_progress
        self._now = ("starting", 0.0)
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {record.id}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def step(self, stage: str, fraction: float) -> None:
        """Record progress; raises as `check`."""
        self.check()
        self._now = (stage, fraction)
        self.on_progress(stage, fraction)

    def check(self) -> None:
        """Raise `Cancelled` if the attempt shall stop, `ClaimLost` if another process has claimed a later attempt."""
        if self._lost:
            raise ClaimLost(f"Attempt {self.record.attempt} of {self.record.id} was taken over by another process.")
        if self.cancel.is_set():
            raise Cancelled(f"Analysis {self.record.id} was cancelled on request.")

    def _beat(self) -> None:
        # A thread of its own, because a stage may compute for minutes between two calls of `step`. An unreachable Tiled
        # does not end the attempt: the lease of every other process starts anew when Tiled is back.
        written, beat, silent = self._now, time.monotonic(), False
        while not self._over.wait(WRITE_EVERY_S):
            due = time.monotonic() - beat > HEARTBEAT_S
            if not due and self._now == written:
                continue
            try:
                if due:
                    self._check_claim()
                    beat = time.monotonic()
                written = self._now
                self.store.progress(self.record, *written)
                silent = False
            except TwotimeError as error:
                if not silent:
                    log.warning("progress_not_written", analysis_id=self.record.id, reason=str(error))
                silent = True

    def _check_claim(self) -> None:
        state = self.store.claim_state(self.record)
        self._lost = state == "lost"
        if state == "cancel":
            self.cancel.set()
