"""The service behind the API: puts the parts together, starts and stops them."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from twotime.errors import NotReady, WeightsDamaged
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.access.viewer import Viewer
from twotime.jobs.event_hub import EventHub
from twotime.jobs.notifications import Notifications
from twotime.jobs.request_cache import RequestCache
from twotime.jobs.requests.automatic import AutomaticMode
from twotime.jobs.requests.document_triggers import DocumentTriggers
from twotime.jobs.requests.site_rules import load_site_rules
from twotime.jobs.requests.submission import Submission
from twotime.jobs.scheduling.scheduler import Scheduler
from twotime.jobs.scoped_service import MAX_AGE_S, Parts, ScopedService
from twotime.jobs.status import Health, QueueView
from twotime.live.supervisor import LiveSupervisor
from twotime.metrics import Metrics
from twotime.recipe import load_recipe
from twotime.settings import Settings

log = structlog.get_logger()


class Service:
    """One service: start it, use it through `unrestricted` or `restricted_to`, stop it. Use it in one event loop.

    While Tiled does not answer, methods that need it raise `TiledUnavailable`. The service keeps running and continues
    when Tiled comes back.

    Parameters
    ----------
    settings : of the site; an invalid recipe or rules file is refused here
    metrics : for Prometheus

    Attributes
    ----------
    unrestricted : the service with full access
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._hub = EventHub()
        cache = RequestCache(MAX_AGE_S)
        notify = self._notify = Notifications(self._hub, self.metrics, cache)
        self._tiled = TiledConnection(settings, notify.on_tiled_change)
        self._submission = Submission(self._tiled, load_recipe(settings.recipe_file))
        self._scheduler = Scheduler(
            self._tiled,
            self._submission,
            on_change=notify.on_analysis_change,
            on_end=notify.on_analysis_end,
            on_progress=notify.on_analysis_progress,
        )
        rules = load_site_rules(settings.rules_file)
        self._live: LiveSupervisor | None = None
        if settings.automatic and settings.live:
            self._live = LiveSupervisor(lambda: self._tiled.settings, notify.on_live_state)
        self._automatic = AutomaticMode(
            self._tiled, self._submission, self._scheduler.enqueue, notify.on_run_judged, rules, self._live
        )
        self._documents = DocumentTriggers(self._tiled, self._automatic, self._live, notify.on_live_state)
        self._parts = Parts(
            self._tiled, self._submission, self._scheduler, self._automatic, on_change=notify.on_analysis_change
        )
        self.unrestricted = ScopedService(self._tiled, self._parts, cache)
        self._ensemble = "not loaded yet"
        self._ensemble_loaded = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        pool = self._scheduler.pool
        self.metrics.queue_length.set_function(lambda: len(pool.queue))
        self.metrics.running.set_function(lambda: len(pool.busy))

    @property
    def settings(self) -> Settings:
        """Those given, completed with address and key of the embedded Tiled server once it runs."""
        return self._tiled.settings

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the living workers."""
        return [worker.pid for worker in self._scheduler.pool.workers if worker.pid is not None]

    def restricted_to(self, viewer: Viewer) -> ScopedService:
        """The service as a caller may use it, who reads with a Tiled key of their own."""
        return ScopedService(viewer, self._parts)

    async def start(self) -> None:
        """Start the embedded Tiled if there is one, workers, watcher and recovery; returns before Tiled answers."""
        self._loop = asyncio.get_running_loop()
        self._run_in_background(self._run())

    async def stop(self) -> None:
        """Release unfinished analyses to the queue in Tiled and end every process that was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._documents.stop()
        await self._automatic.stop()
        if self._live is not None:
            await self._live.stop()
        await self._scheduler.pool.stop()
        await self._tiled.close()

    async def run_finished(self, uid: str) -> None:
        """Let the automatic mode decide about a finished run; no effect if it has decided already.

        Raises
        ------
        RunNotFound
            If the run is not in the catalog of raw runs.
        NotReady
            If the automatic mode is switched off.
        """
        if not self.settings.automatic:
            raise NotReady(
                "The automatic mode is switched off; set TWOTIME_AUTOMATIC to true, or post the run yourself."
            )
        await self._automatic.on_run_finished(uid)

    def on_document(self, name: str, document: dict[str, Any]) -> None:
        """Take a Bluesky document, for ``RE.subscribe(service.on_document)``; from any thread, never raises."""
        if self._loop is None or not self.settings.automatic:
            return
        with suppress(RuntimeError):  # The loop has ended, and the service with it.
            self._loop.call_soon_threadsafe(self._documents.runs.take, name, document)

    def hear(self, name: str, document: dict[str, Any]) -> None:
        """Old name of `on_document`, until the next release."""
        warnings.warn("Service.hear is now Service.on_document; subscribe that.", DeprecationWarning, stacklevel=2)
        self.on_document(name, document)

    def queue(self) -> QueueView:
        """What this service computes and what waits for it, in order."""
        return self._scheduler.view

    def pause(self, paused: bool) -> QueueView:
        """Start no further analysis, or resume; those that are being computed finish."""
        self._scheduler.pool.queue.pause(paused)
        self._notify.on_queue_paused(paused)
        return self.queue()

    def advance(self, analysis_id: str) -> QueueView:
        """Move a waiting analysis to the front; raises `NotReady` if it does not wait here."""
        self._scheduler.advance(analysis_id)
        return self.queue()

    def health(self) -> Health:
        """State of the service as last seen; sends no request."""
        pool, listener = self._scheduler.pool, self._documents.listener
        can_compute = pool.cluster is None or pool.cluster.n_slots > 0
        return Health(
            ready=self._tiled.reachable and self._ensemble_loaded and can_compute,
            tiled_reachable=self._tiled.reachable,
            watching=self._automatic.healthy,
            weights_valid=self._ensemble_loaded,
            tiled=self._tiled.state,
            watcher=self._automatic.state,
            workers=(sum(worker.alive for worker in pool.workers), self.settings.workers),
            dask="" if pool.cluster is None else pool.cluster.state,
            documents="" if listener is None else f"{listener.state}; {self._documents.runs.summary}",
            documents_heard=listener is not None and listener.connected,
            queued=len(pool.queue),
            running=len(pool.busy),
            ensemble=self._ensemble,
        )

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Events from now on.

        Yields
        ------
        dict with ``event`` and ``time`` (s since 1970), and
            ``analysis``: id, raw_uid, status, attempt, stage, progress, error, mark
            ``run``: uid, scan_id, automatic, reason
            ``live``: uid, state, n_frames, announced, shown, lag_s, message
            ``tiled``: reachable, message
            ``queue``: paused
        """
        return self._hub.subscribe()

    def _run_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(_log_failure)
        self._tasks.append(task)

    async def _run(self) -> None:
        try:
            self._ensemble = (await asyncio.to_thread(self._submission.versions))["ensemble"]
            self._ensemble_loaded = True
        except WeightsDamaged as error:
            self._ensemble = str(error)
            log.error("ensemble_unusable", reason=self._ensemble)
        await self._tiled.connect()
        if not self._ensemble_loaded:
            return
        self._scheduler.pool.start()
        self._run_in_background(self._scheduler.recover())
        if self._live is not None:
            self._live.start()
        if self.settings.automatic:
            self._run_in_background(self._automatic.run())
        if self.settings.documents_address:
            self._run_in_background(self._documents.listen(self.settings.documents_address))


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background_task_broke", exc_info=task.exception())
