"""One child process that computes analyses, as the service controls it."""

import threading
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event

import structlog

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.jobs.executors.executor import OnProgress
from twotime.logs import configure_logs
from twotime.processes import PROCESSES, begin, die_with_parent
from twotime.settings import Settings

log = structlog.get_logger()

_GRACE_S = 5.0


class WorkerProcess:
    """A worker process; `start` starts it again after it died.

    Parameters
    ----------
    settings : with address and key of Tiled
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
        """Process id, while the process lives."""
        return self._process.pid if self._process is not None and self.alive else None

    def start(self) -> None:
        """Start the process, unless it lives."""
        with self._beginning:
            if self.alive:
                return
            ours, theirs = PROCESSES.Pipe()
            n_threads = self.settings.threads_per_worker
            self._process = begin("twotime worker", _work, self.settings, theirs, self._cancel, n_threads=n_threads)
            theirs.close()
            self._connection = ours

    def compute(self, record: AnalysisRecord, on_progress: OnProgress) -> str | None:
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
                on_progress(*message)
        except (BrokenPipeError, ConnectionResetError):
            return None
        finally:
            with self._lock:
                self._job = None

    def cancel(self, analysis_id: str) -> bool:
        """Ask the process to stop this analysis; False if it computes another one."""
        with self._lock:
            if self._job != analysis_id:
                return False
            self._cancel.set()
            return True

    def kill(self) -> None:
        """Kill the process."""
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
    """Main function of the process: attempts one after another, until the service has gone."""
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    die_with_parent()
    import torch

    from twotime.jobs.executors.attempt import AttemptRunner

    torch.set_num_threads(settings.threads_per_worker)
    runner = AttemptRunner(settings, cancel, lambda stage, fraction: connection.send((stage, fraction)))
    runner.warm_up()
    while True:
        try:
            record = connection.recv()
        except EOFError:
            return
        connection.send(runner.run(record))
