"""The service: finds runs, queues analyses, watches over the processes that compute them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from twotime.catalog.results import read
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.live_scans import LiveScan, live_scan, live_scans, read_live_array
from twotime.catalog.runs.search import RunSummary, list_runs, search_runs
from twotime.errors import InputError, NotReady, TiledRefused, TiledUnavailable, WeightsDamaged
from twotime.export.files import Dialect
from twotime.jobs.access.callers import View
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.event_hub import EventHub
from twotime.jobs.exporter import Exporter
from twotime.jobs.request_cache import RequestCache
from twotime.jobs.requests.automatic import AutomaticMode
from twotime.jobs.requests.document_triggers import DocumentTriggers
from twotime.jobs.requests.eligibility import Verdict, judge
from twotime.jobs.requests.site_rules import load_site_rules
from twotime.jobs.requests.submission import Submission
from twotime.jobs.scheduling.job_queue import Job, Rank
from twotime.jobs.scheduling.leases import LeaseMonitor
from twotime.jobs.scheduling.owner import new_owner
from twotime.jobs.scheduling.worker_pool import WorkerPool
from twotime.jobs.status import Health, QueueView, RunListing, Submitted
from twotime.live.supervisor import LiveSupervisor
from twotime.metrics import Metrics
from twotime.recipe import Recipe, load_recipe, parse_recipe
from twotime.settings import Settings

if TYPE_CHECKING:
    from twotime.live.document_listener import DocumentListener

log = structlog.get_logger()

SWEEP_EVERY_S = 5.0
SHARED_S = 0.5
TABLES_KEPT_S = 300.0
"""Tables of an attempt that is done stay as they are."""
_MOST_OPEN = 1000
_PAUSE_S = 5.0


class Service:
    """Everything behind the API: start it, ask it, stop it. All methods are coroutines of one event loop.

    Every method that needs Tiled raises `TiledUnavailable` while Tiled does not answer, with the reason; the service
    itself keeps running and picks up where it was when Tiled comes back.

    Parameters
    ----------
    settings : of the site; a recipe or rules file that is none is refused here
    metrics : the numbers for Prometheus
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._hub = EventHub()
        self._cache = RequestCache(SHARED_S)
        self._tables = RequestCache(TABLES_KEPT_S, max_entries=50)
        self._tiled = TiledConnection(settings, self._on_tiled_change)
        self._submission = Submission(self._tiled, load_recipe(settings.recipe_file))
        self._owner = new_owner()
        self._pool = WorkerPool(
            self._tiled, self._owner, self._on_change, self._on_end, self._supersede_if_outdated, self._on_progress
        )
        rules = load_site_rules(settings.rules_file)
        self._live = (
            LiveSupervisor(lambda: self._tiled.settings, self._on_live_state)
            if settings.automatic and settings.live
            else None
        )
        self._automatic = AutomaticMode(
            self._tiled, self._submission, self._enqueue, self._on_judged, rules, self._live
        )
        self._documents = DocumentTriggers(self._tiled, self._automatic, self._live, self._on_live_state)
        self._listener: DocumentListener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leases = LeaseMonitor(self._owner)
        self._exporter = Exporter()
        self._ensemble = "not loaded yet"
        self._ensemble_good = False
        self._cancelling: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def settings(self) -> Settings:
        """Those given, completed with address and key of the embedded Tiled server once it runs."""
        return self._tiled.settings

    @property
    def worker_pids(self) -> list[int]:
        """Processes of the workers that live."""
        return [worker.pid for worker in self._pool.workers if worker.pid is not None]

    async def start(self) -> None:
        """Start Tiled if it is ours, the workers, the watcher and the recovery; returns before Tiled answers."""
        self._loop = asyncio.get_running_loop()
        self._background(self._run())

    async def stop(self) -> None:
        """Hand unfinished analyses back to the queue in Tiled and end every process that was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._documents.stop()
        await self._automatic.stop()
        if self._live is not None:
            await self._live.stop()
        await self._pool.stop()
        await self._tiled.close()

    async def submit(
        self,
        reference: str,
        recipe: Recipe | dict[str, Any] | None = None,
        *,
        force: bool = False,
        seen: View | None = None,
    ) -> AnalysisRecord:
        """Ask for the analysis of a run; the same request is found again, not computed again, unless forced.

        Parameters
        ----------
        reference : uid, beginning of a uid, scan_id, or -1 for the newest run
        recipe : what to do with it; none: the site's default recipe
        seen : by whoever asks, where that is less than the service sees; also in the methods below

        Raises
        ------
        InputError
            If the run or the recipe cannot be used; nothing has been written then.
        QueueFull
            If too many wait already and this one does not yet.
        """
        if seen is not None:
            reference = (await self.plan(reference, recipe, seen))["raw_uid"]
        full = self._pool.queue.n_asked >= self.settings.most_queued
        record = await self._tiled.call(self._submission.submit, reference, recipe, force=force, only_known=full)
        self._enqueue(record)
        return record

    async def plan(
        self, reference: str, recipe: Recipe | dict[str, Any] | None = None, seen: View | None = None
    ) -> dict[str, Any]:
        """What `submit` would do: recipe, sources, ROIs with q and pixel counts, the analysis id and its status."""
        return await (seen or self._tiled).call(self._submission.plan, reference, recipe, seen)

    async def planned_labels(
        self, reference: str, recipe: Recipe | dict[str, Any] | None = None, seen: View | None = None
    ) -> NDArray[np.int32]:
        """Where the ROIs of `plan` lie: (H, W) in the analysis frame, 0 outside all ROIs."""
        return await (seen or self._tiled).call(self._submission.labels, reference, recipe, seen)

    async def frame(self, reference: str, seen: View | None = None, **which: Any) -> NDArray[np.float32]:
        """One frame of a run or the mean of its first; see `twotime.catalog.runs.previews.mean_of_frames`."""
        return await (seen or self._tiled).call(self._submission.frame, reference, seen, **which)

    async def analysis(self, analysis_id: str) -> AnalysisRecord:
        """One analysis; raises `AnalysisNotFound`."""
        return await self._cache.get(("one", analysis_id), lambda: self._tiled.call(self._tiled.store.get, analysis_id))

    async def analyses(
        self,
        *,
        status: str | None = None,
        raw_uid: str | None = None,
        scan_id: int | None = None,
        sample: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[AnalysisRecord], int]:
        """Analyses, newest first, and how many there are in all."""
        asked = {"status": status, "raw_uid": raw_uid, "scan_id": scan_id, "sample": sample}
        asked |= {"limit": limit, "offset": offset}
        return await self._cache.get(
            ("many", *asked.values()), lambda: self._tiled.call(self._tiled.store.search, **asked)
        )

    async def cancel(self, analysis_id: str) -> AnalysisRecord:
        """Ask an analysis to stop; one that waits is cancelled at once, one that has ended stays as it is."""
        self._cancelling.add(analysis_id)
        try:
            record = await self._tiled.call(self._tiled.store.request_cancel, analysis_id, self._owner)
        finally:
            self._cancelling.discard(analysis_id)
        if self._pool.stop_one(analysis_id) and record.status == "cancelled":
            self._on_end(record)
        else:
            self._on_change(record)
        return record

    async def submit_many(
        self,
        recipe: Recipe | dict[str, Any] | None = None,
        *,
        force: bool = False,
        limit: int = 100,
        seen: View | None = None,
        **which: Any,
    ) -> list[Submitted]:
        """Ask for the analysis of every run that fits, oldest first; runs that cannot be used are told with the reason.

        Parameters
        ----------
        recipe, force, seen : as in `submit`
        limit : at most so many, the newest
        which : see `twotime.catalog.runs.search.search_runs`

        Raises
        ------
        InputError
            If the recipe is none, or nothing says which runs.
        """
        if isinstance(recipe, dict):
            recipe = parse_recipe(recipe)
        found = await (seen or self._tiled).call(search_runs, (seen or self._tiled).raw, limit=limit, **which)
        submitted = []
        for uid, scan_id in reversed(found):
            try:
                record = await self.submit(uid, recipe, force=force, seen=seen)
            except InputError as error:
                submitted.append(Submitted(uid, scan_id, None, str(error)))
            else:
                submitted.append(Submitted(uid, scan_id, record.id, ""))
        return submitted

    async def run_finished(self, uid: str) -> None:
        """Have a run that has ended judged by the automatic mode; one that was judged before is left as it is.

        Raises
        ------
        RunNotFound
            If it is not in the catalog of raw runs.
        NotReady
            If the automatic mode is switched off.
        """
        if not self.settings.automatic:
            raise NotReady(
                "The automatic mode is switched off; set TWOTIME_AUTOMATIC to true, or post the run yourself."
            )
        await self._automatic.on_run_finished(uid)

    def hear(self, name: str, document: dict[str, Any]) -> None:
        """Take a Bluesky document, as ``RE.subscribe(service.hear)`` in this Python; from any thread, never raises."""
        if self._loop is None or not self.settings.automatic:
            return
        with suppress(RuntimeError):  # The loop has ended, and the service with it.
            self._loop.call_soon_threadsafe(self._documents.runs.take, name, document)

    def queue(self) -> QueueView:
        """What this service computes and what waits for it, in their order."""
        return QueueView(self._pool.queue.paused, list(self._pool.busy), self._pool.queue.order)

    def pause(self, paused: bool) -> QueueView:
        """Begin no further analysis, or go on; those that are being computed end in their time."""
        self._pool.queue.pause(paused)
        self._hub.publish("queue", paused=paused)
        return self.queue()

    def advance(self, analysis_id: str) -> QueueView:
        """Let an analysis that waits be the next one; raises `NotReady` if it does not wait here."""
        if not self._pool.queue.advance(analysis_id):
            raise NotReady(
                f"Analysis {analysis_id} does not wait in this service; GET /api/v1/queue lists those that do."
            )
        return self.queue()

    async def runs(self, *, limit: int = 20, seen: View | None = None) -> list[RunListing]:
        """The newest raw runs, with what the automatic mode made of each and why."""
        if seen is not None:
            return await self._runs(limit, seen)
        return await self._cache.get(("runs", limit), lambda: self._runs(limit, self._tiled))

    async def _runs(self, limit: int, seen: "View | TiledConnection") -> list[RunListing]:
        found = await seen.call(list_runs, seen.raw, limit=limit)
        uids = [summary.uid for summary in found]
        known, _ = await seen.call(seen.store.search, raw_uid=uids, limit=_MOST_OPEN)
        return [self._listing(summary, [one.id for one in known if one.raw_uid == summary.uid]) for summary in found]

    async def check_data(self, analysis_id: str) -> None:
        """Make sure that whoever asks may have the data of an analysis: whoever has the whole service may."""

    async def read_array(
        self, analysis_id: str, name: str, roi: int | None = None, window: tuple[slice, ...] = ()
    ) -> NDArray[Any]:
        """A published array; `roi` counts from 1 and takes out one ROI, `window` parts of its further axes.

        Raises `NotReady` before status is done.
        """
        return await self._tiled.call(read.read_array, self._tiled.store, analysis_id, name, roi, window)

    async def read_table(self, analysis_id: str, name: str) -> pd.DataFrame:
        """A published table; raises `NotReady` before status is done."""
        record = await self.analysis(analysis_id)
        ask = partial(self._tiled.call, read.read_table, self._tiled.store, analysis_id, name)
        return await self._tables.get((analysis_id, record.attempt, record.updated_time, name), ask)

    async def export(self, analysis_id: str, path: Path, dialect: Dialect | None = None) -> None:
        """Write everything that was published of an analysis into a file; see `Exporter.write`."""
        await self._exporter.write(self.settings, analysis_id, path, dialect)

    async def live_scans(self) -> list[LiveScan]:
        """Scans that are followed or were lately, newest first."""
        return await self._cache.get("lives", lambda: self._tiled.call(lambda: live_scans(self._tiled.store.results)))

    async def live_scan(self, uid: str) -> LiveScan:
        """A scan that is or was followed; raises `NotFound`."""
        ask = partial(self._tiled.call, lambda: live_scan(self._tiled.store.results, uid))
        return await self._cache.get(("live", uid), ask)

    async def read_live_array(self, uid: str, name: str, roi: int | None = None) -> NDArray[np.float32]:
        """An array of such a scan; raises `NotFound` before it has one."""
        return await self._tiled.call(lambda: read_live_array(self._tiled.store.results, uid, name, roi))

    def health(self) -> Health:
        """How the service is, from what it last saw; asks nobody."""
        workers, cluster, listener = self._pool.workers, self._pool.cluster, self._listener
        return Health(
            ready=self._tiled.reachable and self._ensemble_good and (cluster is None or cluster.n_places > 0),
            tiled=self._tiled.state,
            watcher=self._automatic.state,
            workers=(sum(worker.alive for worker in workers), self.settings.workers),
            dask="" if cluster is None else cluster.state,
            documents="" if listener is None else f"{listener.state}; {self._documents.runs.summary}",
            documents_heard=listener is not None and listener.connected,
            queued=len(self._pool.queue),
            running=len(self._pool.busy),
            ensemble=self._ensemble,
        )

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens from now on.

        Yields
        ------
        dict with ``event`` and ``time`` (s since 1970), and
            ``analysis``: id, raw_uid, status, attempt, stage, progress, error
            ``run``: uid, scan_id, automatic, reason
            ``live``: uid, state, n_frames, announced, shown, lag_s, message
            ``tiled``: reachable, message
        """
        return self._hub.subscribe()

    def _background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(_complain)
        self._tasks.append(task)

    async def _run(self) -> None:
        try:
            self._ensemble = (await asyncio.to_thread(lambda: self._submission.versions))["ensemble"]
            self._ensemble_good = True
        except WeightsDamaged as error:
            self._ensemble = str(error)
            log.error("ensemble_unusable", reason=self._ensemble)
        await self._tiled.connect()
        if not self._ensemble_good:
            return
        self._pool.start()
        self._background(self._sweep())
        if self._live is not None:
            self._live.start()
        if self.settings.automatic:
            self._background(self._automatic.run())
        if self.settings.documents_address:
            self._background(self._listen())

    async def _listen(self) -> None:
        """Hear documents over 0MQ; begins anew after every failure."""
        from twotime.live.document_listener import DocumentListener

        while True:
            self._listener = DocumentListener(self.settings.documents_address, self._documents.runs)
            try:
                await self._listener.run()
            except Exception as error:
                self._listener.state = f"Listening to documents broke with {type(error).__name__}; it is started again."
                log.exception("listening_broke")
            await asyncio.sleep(_PAUSE_S)

    async def _sweep(self) -> None:
        """Again and again: take up what waits in Tiled and what a dead process left."""
        while True:
            try:
                for status in ("queued", "running"):
                    await self._take_up(status)
            except (TiledUnavailable, TiledRefused):
                self._leases.restart()
            except Exception:
                log.exception("sweep_broke")
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _take_up(self, status: str) -> None:
        found, _ = await self._tiled.call(self._tiled.store.search, status=status, limit=_MOST_OPEN)
        for record in reversed(found):
            if self._pool.is_known(record.id) or record.id in self._cancelling:
                continue
            claim = await self._tiled.call(self._tiled.store.newest_claim, record.id)
            if not self._pool.is_known(record.id) and self._leases.is_claimable(record, claim):
                job = Job(record.id, claim.attempt, service_died=status == "running" and claim.owner != self._owner)
                self._pool.queue.put(job, Rank.BACKLOG if record.automatic else Rank.ASKED)
        self._count()

    def _enqueue(self, record: AnalysisRecord, rank: Rank = Rank.ASKED) -> None:
        if record.status == "queued" and not self._pool.is_known(record.id):
            self._pool.queue.put(Job(record.id, record.attempt - 1), rank)
        self._on_change(record)

    async def _supersede_if_outdated(self, record: AnalysisRecord) -> bool:
        """Whether the software changed since an analysis was asked for; then another one takes its place."""
        if record.versions == self._submission.versions:
            return False
        try:
            new = await self._tiled.call(
                self._submission.submit,
                record.raw_uid,
                record.request,
                automatic=record.automatic,
                parents=(record.id,),
            )
        except InputError as error:
            self._on_end(await self._tiled.call(self._tiled.store.failed, record, str(error)))
            return True
        sentence = f"The software changed before this was computed; analysis {new.id} takes its place."
        self._on_end(await self._tiled.call(self._tiled.store.cancelled, record, sentence))
        self._enqueue(new, Rank.NEW if new.automatic else Rank.ASKED)
        return True

    def _listing(self, summary: RunSummary, analyses: list[str]) -> RunListing:
        verdict = self._automatic.verdicts.get(summary.uid) or judge(summary.start, summary.stop, summary.detectors)
        automatic = ("taken" if verdict.taken else "skipped") if self.settings.automatic else "off"
        return RunListing(
            uid=summary.uid,
            scan_id=summary.scan_id,
            sample=summary.sample,
            plan_name=summary.plan_name,
            time=summary.time,
            exit_status=summary.exit_status,
            detectors=summary.detectors,
            automatic=automatic,
            reason=verdict.reason if self.settings.automatic else "the automatic mode is switched off",
            analyses=analyses,
        )

    def _on_change(self, record: AnalysisRecord) -> None:
        self._cache.clear()
        self._count()
        self._on_progress(record)

    def _on_progress(self, record: AnalysisRecord) -> None:
        """Tell of progress, which is no reason to ask Tiled anew for all that is shared."""
        names = ("id", "raw_uid", "status", "attempt", "stage", "progress", "error")
        self._hub.publish("analysis", **{name: getattr(record, name) for name in names})

    def _on_end(self, record: AnalysisRecord) -> None:
        self.metrics.analysis_ended(record.status, record.timings_s)
        self._on_change(record)

    def _count(self) -> None:
        self.metrics.queue_length.set(len(self._pool.queue))
        self.metrics.running.set(len(self._pool.busy))

    def _on_judged(self, uid: str, scan_id: int | None, verdict: Verdict) -> None:
        automatic = "taken" if verdict.taken else "skipped"
        self._hub.publish("run", uid=uid, scan_id=scan_id, automatic=automatic, reason=verdict.reason)

    def _on_live_state(self, said: dict[str, Any]) -> None:
        self._hub.publish("live", **said)

    def _on_tiled_change(self, reachable: bool, message: str) -> None:
        self.metrics.tiled_up.set(1 if reachable else 0)
        self._hub.publish("tiled", reachable=reachable, message=message)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("background_task_broke", exc_info=task.exception())
