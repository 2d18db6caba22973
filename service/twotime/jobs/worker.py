"""A process that computes analyses, as seen from the service: give it work, hear from it, stop it, notice its death."""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from typing import Protocol

import structlog

from twotime.catalog.analyses import AnalysisRecord
from twotime.logs import configure_logs
from twotime.processes import PROCESSES, begin, die_with_parent
from twotime.settings import Settings

log = structlog.get_logger()

AWAY = "away"
"""Outcome of an attempt whose place was lost, which does not speak against the analysis."""
_GRACE_S = 5.0


class Executor(Protocol):
    """Computes one analysis at a time: a process of this machine, or a place on a Dask cluster."""

    @property
    def alive(self) -> bool:
        """Whether it could compute."""
        ...

    @property
    def pid(self) -> int | None:
        """Of its process on this machine, while it lives."""
        ...

    def start(self) -> None:
        """Be ready for the next analysis; blocks as long as that takes."""
        ...

    def compute(self, record: AnalysisRecord, hear: Callable[[str, float], None]) -> str | None:
        """Compute a claimed attempt; blocks until it has ended.

        Parameters
        ----------
        record : the attempt
        hear : told stage and fraction as they come

        Returns
        -------
        str or None
            The `Outcome`; `AWAY` if its place was lost; None if a process died of it.
        """
        ...

    def cancel(self, analysis_id: str) -> bool:
        """Ask for this analysis to be stopped; False if another one is computed."""
        ...

    def kill(self) -> None:
        """End at once."""
        ...


class Worker:
    """One worker process; started when needed, started again after it died.

    Parameters
    ----------
    settings : with the address and key of Tiled filled in
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._cancel: Event = PROCESSES.Event()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._job: str | None = None
        self._lock = threading.Lock()
        self._beginning = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """Of the process, while it lives."""
        return self._process.pid if self._process is not None and self.alive else None

    def start(self) -> None:
        """Start the process unless it lives."""
        with self._beginning:
            if self.alive:
                return
            ours, theirs = PROCESSES.Pipe()
            n_threads = self.settings.threads_per_worker
            self._process = begin("twotime worker", _work, self.settings, theirs, self._cancel, n_threads=n_threads)
            theirs.close()
            self._connection = ours

    def compute(self, record: AnalysisRecord, hear: Callable[[str, float], None]) -> str | None:
        """Compute a claimed attempt; see `Executor`."""
        with self._lock:
            self._cancel.clear()
            self._job = record.id
        try:
            self.start()
            assert self._connection is not None
            self._connection.send(record)
            while True:
                message = self._receive()
                if message is None or isinstance(message, str):
                    return message
                hear(*message)
        except (BrokenPipeError, ConnectionResetError):
            return None
        finally:
            with self._lock:
                self._job = None

    def cancel(self, analysis_id: str) -> bool:
        """Ask the process to stop this analysis; False if it works on something else."""
        with self._lock:
            if self._job != analysis_id:
                return False
            self._cancel.set()
            return True

    def kill(self) -> None:
        """End the process at once."""
        with self._beginning:
            if self._process is not None:
                self._process.kill()
                self._process.join(_GRACE_S)

    def _receive(self) -> str | tuple[str, float] | None:
        assert self._connection is not None
        assert self._process is not None
        wait([self._connection, self._process.sentinel])
        try:
            if self._connection.poll():
                message: str | tuple[str, float] = self._connection.recv()
                return message
        except (EOFError, OSError):
            pass
        self._process.join(_GRACE_S)
        log.error("worker_died", exit_code=self._process.exitcode)
        return None


def _work(settings: Settings, connection: Connection, cancel: Event) -> None:
    """What the process does: attempts one after another, until its service is gone."""
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    die_with_parent()
    import torch

    from twotime.jobs.computing import Computer

    torch.set_num_threads(settings.threads_per_worker)
    computer = Computer(settings, cancel, lambda stage, fraction: connection.send((stage, fraction)))
    computer.warm_up()
    while True:
        try:
            record = connection.recv()
        except EOFError:
            return
        connection.send(computer.attempt(record))
