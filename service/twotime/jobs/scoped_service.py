"""The part of the service that depends on who asks: requests, listings, results."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.catalog.results import read
from twotime.catalog.results.analysis_record import AnalysisRecord, MarkValue
from twotime.catalog.results.live_scans import LiveScan, live_scan, live_scans, read_live_array
from twotime.catalog.results.series_scans import Selection
from twotime.catalog.runs.search import RunSummary, list_runs, search_runs
from twotime.errors import InputError
from twotime.export.files import Dialect
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.access.viewer import Viewer
from twotime.jobs.exporter import Exporter
from twotime.jobs.request_cache import RequestCache
from twotime.jobs.requests.automatic import AutomaticMode
from twotime.jobs.requests.submission import Submission
from twotime.jobs.scheduling.job_queue import Rank
from twotime.jobs.scheduling.scheduler import Scheduler
from twotime.jobs.series import SeriesReader
from twotime.jobs.status import RunListing, Submitted
from twotime.recipe import AnyRecipe, parse_recipe
from twotime.results import FrameImage
from twotime.series import MOST_CURVES, SCAN_NUMBER, CurveKind, Law, Series, curves_of

MAX_AGE_S = 0.5
"""Screens poll once a second or two; all that ask within half a second share one request to Tiled."""
_TABLES_MAX_AGE_S = 300.0
_MOST_ANALYSES = 1000
_FEW_LARGE = 4


@dataclass(frozen=True)
class Parts:
    """What all scopes of one service share.

    Attributes
    ----------
    on_change : called with the record of an analysis that is marked
    series : reads many scans at once
    tables : published tables; those of a finished attempt never change, so they are kept for minutes
    """

    tiled: TiledConnection
    submission: Submission
    scheduler: Scheduler
    automatic: AutomaticMode
    on_change: Callable[[AnalysisRecord], None] = lambda _: None
    exporter: Exporter = field(default_factory=Exporter)
    series: SeriesReader = field(default_factory=SeriesReader)
    tables: RequestCache = field(default_factory=lambda: RequestCache(_TABLES_MAX_AGE_S, max_entries=50))


class ScopedService:
    """The service as one viewer may use it. All methods are coroutines.

    What the viewer may not read is reported as not found, exactly as if it did not exist. Every method raises
    `TiledUnavailable` while Tiled does not answer, with the reason.

    Parameters
    ----------
    viewer : the service itself, or a caller with a Tiled key; all reads go through it
    parts : of the service
    cache : answers to equal questions within `MAX_AGE_S`. Two viewers must not share one.
    """

    def __init__(self, viewer: Viewer, parts: Parts, cache: RequestCache | None = None) -> None:
        self._viewer = viewer
        self._parts = parts
        self._cache = cache or RequestCache(MAX_AGE_S)
        self._series = RequestCache(MAX_AGE_S, max_entries=_FEW_LARGE)

    async def submit(
        self,
        reference: str,
        recipe: AnyRecipe | dict[str, Any] | None = None,
        *,
        force: bool = False,
        rank: Rank = Rank.ASKED,
    ) -> AnalysisRecord:
        """Request the analysis of a run. The same request finds the same analysis and is not computed twice.

        Parameters
        ----------
        reference : uid, beginning of a uid, scan_id, or -1 for the newest run
        recipe : None: the recipe of the site
        force : compute again, even if the analysis has ended
        rank : in the queue

        Raises
        ------
        InputError
            If run or recipe cannot be used; nothing is written then.
        QueueFull
            If too many analyses of the same share wait and this one is not among them.
        """
        if not self._viewer.unrestricted:
            # The plan is made twice: with the caller's key, to check that run and masks are readable, then with the
            # service's, so that the analysis id does not depend on who asks.
            reference = (await self.plan(reference, recipe))["raw_uid"]
        parts = self._parts
        how: dict[str, Any] = {"force": force, "priority": rank.priority, "is_full": parts.scheduler.is_full}
        record = await parts.tiled.call(parts.submission.submit, reference, recipe, **how)
        parts.scheduler.enqueue(record, rank)
        return record

    async def submit_many(
        self, recipe: AnyRecipe | dict[str, Any] | None = None, *, force: bool = False, limit: int = 100, **which: Any
    ) -> list[Submitted]:
        """Request the analysis of every run that fits, oldest first; unusable runs are listed with the reason.

        Parameters
        ----------
        recipe, force : see `submit`
        limit : number of runs at most, the newest
        which : see `twotime.catalog.runs.search.search_runs`

        Raises
        ------
        InputError
            If the recipe is not valid, or no criterion selects runs.
        """
        if isinstance(recipe, dict):
            recipe = parse_recipe(recipe)
        found = await self._viewer.call(search_runs, self._viewer.raw, limit=limit, **which)
        submitted = []
        for uid, scan_id in reversed(found):
            try:
                record = await self.submit(uid, recipe, force=force, rank=Rank.MANY)
            except InputError as error:
                submitted.append(Submitted(uid, scan_id, None, str(error)))
            else:
                submitted.append(Submitted(uid, scan_id, record.id, ""))
        return submitted

    async def plan(self, reference: str, recipe: AnyRecipe | dict[str, Any] | None = None) -> dict[str, Any]:
        """What `submit` would do: recipe, sources, ROIs with q and pixel counts, the analysis id and its status."""
        return await self._viewer.call(self._parts.submission.plan, reference, recipe, self._viewer)

    async def planned_labels(
        self, reference: str, recipe: AnyRecipe | dict[str, Any] | None = None
    ) -> NDArray[np.int32]:
        """ROIs of `plan`: (H, W) labels in the analysis frame, 0 outside all ROIs."""
        return await self._viewer.call(self._parts.submission.labels, reference, recipe, self._viewer)

    async def frame(self, reference: str, **which: Any) -> NDArray[np.float32]:
        """One frame of a run, or the mean of its first frames; see `twotime.catalog.runs.previews.mean_of_frames`."""
        return await self._viewer.call(self._parts.submission.frame, reference, self._viewer, **which)

    async def runs(self, *, limit: int = 20) -> Sequence[RunListing]:
        """The newest raw runs, each with the verdict of the automatic mode and its reason."""
        return await self._cache.get(("runs", limit), lambda: self._runs(limit))

    async def analysis(self, analysis_id: str) -> AnalysisRecord:
        """One analysis; raises `AnalysisNotFound`."""
        ask = partial(self._viewer.call, lambda: self._viewer.store.get(analysis_id))
        return await self._cache.get(("analysis", analysis_id), ask)

    async def analyses(
        self,
        *,
        status: str | None = None,
        raw_uid: str | None = None,
        scan_id: int | None = None,
        sample: str | None = None,
        mark: str | None = None,
        kind: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[AnalysisRecord], int]:
        """Analyses, newest first, and how many fit in all; see `AnalysisStore.search`."""
        which: dict[str, Any] = {
            "status": status,
            "raw_uid": raw_uid,
            "scan_id": scan_id,
            "sample": sample,
            "mark": mark,
            "kind": kind,
        }
        which |= {"limit": limit, "offset": offset}
        ask = partial(self._viewer.call, lambda: self._viewer.store.search(**which))
        return await self._cache.get(("analyses", *which.values()), ask)

    async def cancel(self, analysis_id: str) -> AnalysisRecord:
        """Cancel an analysis: at once if it waits, at the next block if it runs, without effect once it has ended."""
        await self.analysis(analysis_id)
        return await self._parts.scheduler.cancel(analysis_id)

    async def mark(self, analysis_id: str, value: MarkValue | None, note: str, by: str) -> AnalysisRecord:
        """Say of a scan whether it is good, and why; see `AnalysisStore.mark`."""
        await self.analysis(analysis_id)
        record = await self._parts.tiled.call(self._parts.tiled.store.mark, analysis_id, value, note, by)
        self._cache.clear()
        self._parts.on_change(record)
        return record

    async def check_data(self, analysis_id: str) -> None:
        """Raise `AnalysisNotFound` unless the viewer may read the data of an analysis."""
        await self._viewer.check_data(analysis_id)

    async def read_array(
        self,
        analysis_id: str,
        name: str,
        roi: int | None = None,
        window: tuple[slice, ...] = (),
        *,
        frame: int | None = None,
    ) -> NDArray[Any]:
        """A published array, see `twotime.catalog.results.read.read_array`; raises `NotReady` before status is done."""
        await self.check_data(analysis_id)
        tiled = self._parts.tiled
        return await tiled.call(read.read_array, tiled.store, analysis_id, name, roi, window, frame=frame)

    async def read_table(self, analysis_id: str, name: str) -> pd.DataFrame:
        """A published table; raises `NotReady` before status is done."""
        await self.check_data(analysis_id)
        record = await self.analysis(analysis_id)
        tiled = self._parts.tiled
        ask = partial(tiled.call, read.read_table, tiled.store, analysis_id, name)
        # Shared by all viewers: the check above has been passed, and the numbers do not depend on who reads them.
        return await self._parts.tables.get((analysis_id, record.attempt, record.updated_time, name), ask)

    async def export(
        self, analysis_id: str, path: Path, dialect: Dialect | None = None, image: FrameImage | None = None
    ) -> None:
        """Write everything published of an analysis into a file; see `Exporter.write`."""
        await self.check_data(analysis_id)
        await self._parts.exporter.write(self._parts.tiled.settings, analysis_id, path, dialect, image)

    async def series(self, which: Selection, x: str = SCAN_NUMBER) -> Series:
        """Many scans beside each other, as far as the viewer may read them; see `SeriesReader.read`."""
        ask = partial(self._parts.series.read, self._viewer, self._parts.tiled, which, x)
        return await self._series.get((which, x), ask)

    async def curves(self, which: Selection, x: str, group: int, kind: CurveKind = "raw") -> pd.DataFrame:
        """One-time correlation functions of the ROIs of a group, of at most `MOST_CURVES` scans evenly along x.

        Returns
        -------
        One row per scan and lag: analysis_id, scan_id, x, roi, q, lag_s, g2, g2_error, g2_fit.

        Raises
        ------
        InputError
            If the series has no such group.
        """
        found = await self.series(which, x)
        if not 1 <= group <= len(found.groups):
            raise InputError(f"group is {group}, but the series has the groups 1 to {len(found.groups)}.")
        own = found.rows[found.rows["group"] == group]
        some = own.iloc[np.unique(np.linspace(0, len(own) - 1, min(len(own), MOST_CURVES)).astype(int))]
        tables = [await self.read_table(one, "g2") for one in some["analysis_id"]]
        return await asyncio.to_thread(curves_of, some, tables, kind)

    async def export_series(self, found: Series, path: Path, y: str, law: Law | None, x_unit: str | None) -> None:
        """Write the report of a series that this viewer has read; see `Exporter.write_series`."""
        await self._parts.exporter.write_series(found, path, y, law, x_unit)

    async def live_scans(self) -> list[LiveScan]:
        """Scans that are followed or were followed lately, newest first."""
        ask = partial(self._viewer.call, lambda: live_scans(self._viewer.store.results))
        return await self._cache.get("live scans", ask)

    async def live_scan(self, uid: str) -> LiveScan:
        """A scan that is or was followed; raises `NotFound`."""
        ask = partial(self._viewer.call, lambda: live_scan(self._viewer.store.results, uid))
        return await self._cache.get(("live scan", uid), ask)

    async def read_live_array(self, uid: str, name: str, roi: int | None = None) -> NDArray[np.float32]:
        """An array of a live scan; raises `NotFound` before it exists."""
        return await self._viewer.call(lambda: read_live_array(self._viewer.store.results, uid, name, roi))

    async def _runs(self, limit: int) -> list[RunListing]:
        viewer = self._viewer
        found = await viewer.call(lambda: list_runs(viewer.raw, limit=limit))
        uids = [summary.uid for summary in found]
        known, _ = await viewer.call(lambda: viewer.store.search(raw_uid=uids, limit=_MOST_ANALYSES))
        return [self._listing(summary, [one.id for one in known if one.raw_uid == summary.uid]) for summary in found]

    def _listing(self, summary: RunSummary, analyses: list[str]) -> RunListing:
        automatic, reason = self._parts.automatic.verdict_in_words(summary)
        return RunListing(
            uid=summary.uid,
            scan_id=summary.scan_id,
            sample=summary.sample,
            plan_name=summary.plan_name,
            time=summary.time,
            exit_status=summary.exit_status,
            detectors=summary.detectors,
            automatic=automatic,
            reason=reason,
            analyses=analyses,
        )
