"""The Dask cluster that computes in the place of worker processes, as seen from the service: there, away, how large."""

import threading
import uuid
from contextlib import suppress
from typing import Any

import structlog
from distributed import Client, LocalCluster

from twotime.jobs.executors.executor import OnProgress
from twotime.processes import deaf_to_interrupts
from twotime.settings import Settings

log = structlog.get_logger()

LOCAL = "local"
_LOOK_EVERY_S = 0.5
_CONNECT_S = 5.0


class DaskCluster:
    """One connection to a scheduler, made again whenever it breaks, and the places for analyses behind it.

    Parameters
    ----------
    settings : with the address of a scheduler, or "local" for a cluster that lives as long as this

    Attributes
    ----------
    state : "3 workers at tcp://…", or one sentence that says what is wrong
    n_places : analyses that its workers can compute at the same time; 0 while the scheduler is away
    topic : under which its workers say how far they are
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = settings.dask_scheduler
        self.state = f"Not connected to the Dask scheduler {self.address} yet."
        self.n_places = 0
        self.topic = f"twotime-{uuid.uuid4().hex[:8]}"
        self.client: Client | None = None
        self._local: LocalCluster | None = None
        self._callbacks: dict[str, OnProgress] = {}
        self._taken: set[object] = set()
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="dask cluster", daemon=True)
        self._thread.start()

    def take_place(self, who: object, given_up: threading.Event) -> None:
        """Wait until the scheduler is there and a worker has nothing to do; one that has its place keeps it.

        More analyses than that would wait in the scheduler, claimed but without signs of life.
        """
        with self._changed:
            while not given_up.is_set():
                if self._answers and (who in self._taken or len(self._taken) < self.n_places):
                    self._taken.add(who)
                    return
                self._changed.wait(_LOOK_EVERY_S)

    def leave_place(self, who: object) -> None:
        """Let somebody else have it."""
        with self._changed:
            self._taken.discard(who)
            self._changed.notify_all()

    def is_up(self, client: Client) -> bool:
        """Whether this is the present connection, and it holds."""
        return client is self.client and client.status == "running"

    def listen(self, key: str, on_progress: OnProgress) -> None:
        """Call `on_progress` with stage and fraction of a task from now on."""
        self._callbacks[key] = on_progress

    def forget(self, key: str) -> None:
        """Listen to a task no longer."""
        self._callbacks.pop(key, None)

    def close(self) -> None:
        """End the connection, and the cluster if it is ours."""
        self._over.set()
        self._thread.join()
        self._disconnect()
        if self._local is not None:
            self._local.close()

    @property
    def _answers(self) -> bool:
        """Whether tasks can be given to it: a connection that broke shows at once, `n_places` only at the next look."""
        client = self.client
        return self.n_places > 0 and client is not None and self.is_up(client)

    def _keep_connected(self) -> None:
        while not self._over.is_set():
            try:
                if self.client is None:
                    self._connect()
                self._check()
            except (OSError, RuntimeError) as error:
                self._set_state(
                    0, f"The Dask scheduler {self.address} does not answer ({error or type(error).__name__})."
                )
                self._disconnect()
            except Exception as error:
                log.exception("dask_broke")
                self._set_state(0, f"The Dask cluster {self.address} broke with {type(error).__name__}: {error}.")
                self._disconnect()
            self._over.wait(_LOOK_EVERY_S)

    def _connect(self) -> None:
        if self.address == LOCAL and self._local is None:
            with deaf_to_interrupts():
                self._local = _local_cluster(self.settings)
        target = self.address if self._local is None else self._local.scheduler_address
        client = Client(target, timeout=_CONNECT_S, set_as_default=False, name="twotime")
        client.subscribe_topic(self.topic, self._on_event)
        self.client = client

    def _check(self) -> None:
        client = self.client
        if client is None or client.status != "running":
            raise OSError("the connection ended")
        threads = client.nthreads()
        workers = f"{len(threads)} workers" if len(threads) != 1 else "1 worker"
        nobody = f"The Dask scheduler {self.address} has no workers; start some with `dask worker`."
        self._set_state(sum(threads.values()), f"{workers} at {self.address}" if threads else nobody)

    def _disconnect(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            with suppress(OSError, RuntimeError):
                client.close(timeout=_CONNECT_S)

    def _set_state(self, n_places: int, state: str) -> None:
        if state != self.state:
            (log.info if n_places else log.warning)("dask_cluster", state=state)
        with self._changed:
            self.n_places, self.state = n_places, state
            self._changed.notify_all()

    def _on_event(self, event: tuple[float, dict[str, Any]]) -> None:
        _, said = event
        on_progress = self._callbacks.get(said["key"])
        if on_progress is not None:
            on_progress(said["stage"], said["fraction"])


def _local_cluster(settings: Settings) -> LocalCluster:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), settings.threads_per_worker)
    return LocalCluster(
        n_workers=settings.workers,
        threads_per_worker=1,
        # Its HTTP server takes port 8787 without an address, and another scheduler may have it.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,  # The recipe's plan bounds memory; a worker that is paused or killed half-way helps nobody.
        env=threads,
    )
