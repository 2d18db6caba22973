"""The connection to the Dask cluster that computes instead of local worker processes, and the slots on it."""

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
    """Connection to a Dask scheduler, which reconnects when it breaks, and the slots of its workers.

    Parameters
    ----------
    settings : with the address of a scheduler, or "local" for a cluster that lives as long as this object

    Attributes
    ----------
    state : "3 workers at tcp://…", or one sentence that says what is wrong
    n_slots : analyses that the workers can compute at the same time; 0 while the scheduler is away
    topic : of the events with which workers report progress
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = settings.dask_scheduler
        self.state = f"Not connected to the Dask scheduler {self.address} yet."
        self.n_slots = 0
        self.topic = f"twotime-{uuid.uuid4().hex[:8]}"
        self.client: Client | None = None
        self._local: LocalCluster | None = None
        self._callbacks: dict[str, OnProgress] = {}
        self._users: set[object] = set()
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="dask cluster", daemon=True)
        self._thread.start()

    def acquire_slot(self, who: object, abandoned: threading.Event) -> None:
        """Wait for a free slot; an executor that has one keeps it.

        More tasks than slots would wait in the scheduler: claimed, but without heartbeats, so that they count as dead.
        """
        with self._changed:
            while not abandoned.is_set():
                if self._answers and (who in self._users or len(self._users) < self.n_slots):
                    self._users.add(who)
                    return
                self._changed.wait(_LOOK_EVERY_S)

    def release_slot(self, who: object) -> None:
        """Free the slot."""
        with self._changed:
            self._users.discard(who)
            self._changed.notify_all()

    def is_up(self, client: Client) -> bool:
        """Whether this is the present connection and it is alive."""
        return client is self.client and client.status == "running"

    def listen(self, key: str, on_progress: OnProgress) -> None:
        """Report the progress of a task from now on."""
        self._callbacks[key] = on_progress

    def forget(self, key: str) -> None:
        """Stop reporting the progress of a task."""
        self._callbacks.pop(key, None)

    def close(self) -> None:
        """Close the connection, and the cluster if it is local."""
        self._over.set()
        self._thread.join()
        self._disconnect()
        if self._local is not None:
            self._local.close()

    @property
    def _answers(self) -> bool:
        """Whether it takes tasks. `n_slots` is updated only every `_LOOK_EVERY_S`, so the connection is asked too."""
        client = self.client
        return self.n_slots > 0 and client is not None and self.is_up(client)

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

    def _set_state(self, n_slots: int, state: str) -> None:
        if state != self.state:
            (log.info if n_slots else log.warning)("dask_cluster", state=state)
        with self._changed:
            self.n_slots, self.state = n_slots, state
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
        # The default port 8787 may belong to another scheduler.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,  # The plan bounds memory already; Dask would pause or kill workers half-way.
        env=threads,
    )
