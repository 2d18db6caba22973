"""Reading what a series shows, within what a viewer may read."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.series_scans import Selection, finished_analyses, rate_change, read_numbers
from twotime.catalog.runs.conditions import BASELINE, Conditions, baseline_of, conditions_of
from twotime.errors import InputError, NotFound
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.access.viewer import Viewer
from twotime.series import SCAN_NUMBER, TIME, ScanResult, Series, series

_MOST_KEPT = 5000
_MOST_SELECTIONS = 10
_AT_ONCE = 8
_PROBED = 3
"""Scans whose baseline is read to find fields that vary: the first, one in the middle, the last."""

Value = TypeVar("Value")
Numbers = dict[str, tuple[float, str]]


class SeriesReader:
    """Reads series and keeps what never changes: numbers of finished attempts, documents of ended runs.

    Numbers of an analysis are shared by all viewers, each of whom Tiled has shown the analysis. Documents of runs are
    kept for the service alone: callers ask Tiled for those that they may read.
    """

    def __init__(self) -> None:
        self._records: _Kept[dict[str, AnalysisRecord]] = _Kept(_MOST_SELECTIONS)
        self._numbers: _Kept[tuple[pd.DataFrame, dict[str, Any]]] = _Kept()
        self._starts: _Kept[Conditions] = _Kept()
        self._baselines: _Kept[Numbers] = _Kept()

    async def read(self, viewer: Viewer, tiled: TiledConnection, which: Selection, x: str) -> Series:
        """A series of the scans that the viewer may read.

        Raises
        ------
        InputError
            If nothing is chosen, or no scan has x.
        NotFound
            If no finished analysis fits that the viewer may read.
        """
        which.check()
        records = await self._records_of(viewer, which)
        starts = await self._conditions(viewer, records)
        records = _in_time(records, starts, which)
        good = [one for one in records if which.ids or which.with_bad or not _is_bad(one)]
        numbers = await _side_by_side([self._numbers_of(viewer, tiled, one) for one in good])
        scans = [
            _scan(record, found, starts.get(record.raw_uid, Conditions()))
            for record, found in zip(good, numbers, strict=True)
            if found is not None
        ]
        if not scans:
            raise NotFound(
                f"No finished analysis fits{' that is not marked as bad' if records else ''}; look at "
                "GET /api/v1/analyses?status=done."
            )
        scans = await self._with_baselines(viewer, scans, x)
        try:
            found = await asyncio.to_thread(series, scans, x)
        except ValueError as error:
            raise InputError(str(error)) from error
        return replace(found, marked_bad=len(records) - len(good))

    async def _records_of(self, viewer: Viewer, which: Selection) -> list[AnalysisRecord]:
        """Finished analyses; of those that the service knows only changes are read."""
        if not viewer.unrestricted:
            return await viewer.call(finished_analyses, viewer.store, which)
        known = dict(self._records.find(which) or {})  # A copy: another request may be reading the same series.
        found = await viewer.call(finished_analyses, viewer.store, which, known)
        self._records.keep(which, known)
        return found

    async def _numbers_of(
        self, viewer: Viewer, tiled: TiledConnection, record: AnalysisRecord
    ) -> tuple[pd.DataFrame, dict[str, Any]] | None:
        """Published numbers; None where the viewer may read of the analysis only that it exists."""
        if "headline" not in record.facts:
            try:
                await viewer.check_data(record.id)
            except NotFound:
                return None
        key = (record.id, record.attempt, record.updated_time)
        return await self._numbers.get(key, lambda: tiled.call(read_numbers, tiled.store, record))

    async def _conditions(self, viewer: Viewer, records: Sequence[AnalysisRecord]) -> dict[str, Conditions]:
        uids = [*dict.fromkeys(one.raw_uid for one in records)]
        known = {} if not viewer.unrestricted else {uid: one for uid in uids if (one := self._starts.find(uid))}
        missing = [uid for uid in uids if uid not in known]
        found = await viewer.call(conditions_of, viewer.raw, missing) if missing else {}
        if viewer.unrestricted:
            for uid, one in found.items():
                self._starts.keep(uid, one)
        return known | found

    async def _with_baselines(self, viewer: Viewer, scans: list[ScanResult], x: str) -> list[ScanResult]:
        """Scans with their baselines: all where x is in them, else a few that tell which fields vary."""
        in_documents = x in (SCAN_NUMBER, TIME) or any(x in one.conditions for one in scans)
        every = x.startswith(f"{BASELINE}.") or not in_documents
        places = range(len(scans)) if every else {0, len(scans) // 2, len(scans) - 1}
        chosen = [k for k in places if np.isfinite(scans[k].time)]
        baselines = await _side_by_side([self._baseline_of(viewer, scans[k].raw_uid) for k in chosen])
        for k, found in zip(chosen, baselines, strict=True):
            scans[k] = replace(scans[k], conditions={**scans[k].conditions, **found})
        return scans

    async def _baseline_of(self, viewer: Viewer, uid: str) -> Numbers:
        async def ask() -> Numbers:
            return await viewer.call(baseline_of, viewer.raw, uid)

        return await (self._baselines.get(uid, ask) if viewer.unrestricted else ask())


class _Kept(Generic[Value]):
    """The values used last, so many at most."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def find(self, key: Hashable) -> Value | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def keep(self, key: Hashable, value: Value) -> Value:
        self._values[key] = value
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return value

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Value]]) -> Value:
        known = self.find(key)
        return self.keep(key, await ask()) if known is None else known


async def _side_by_side(waiting: Sequence[Awaitable[Value]]) -> list[Value]:
    """Await all, a few at the same time: hundreds of requests at once would keep Tiled from everything else."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Awaitable[Value]) -> Value:
        async with places:
            return await work

    return await asyncio.gather(*(one(work) for work in waiting))


def _is_bad(record: AnalysisRecord) -> bool:
    return record.mark is not None and record.mark.get("value") == "bad"


def _in_time(
    records: Sequence[AnalysisRecord], starts: dict[str, Conditions], which: Selection
) -> list[AnalysisRecord]:
    if not which.of_times:
        return [*records]
    since = -np.inf if which.since is None else which.since
    until = np.inf if which.until is None else which.until
    times = {uid: one.time for uid, one in starts.items()}
    return [one for one in records if since <= times.get(one.raw_uid, np.nan) <= until][: which.limit]


def _scan(record: AnalysisRecord, numbers: tuple[pd.DataFrame, dict[str, Any]], conditions: Conditions) -> ScanResult:
    fits, q_fit = numbers
    said = record.mark or {}
    return ScanResult(
        analysis_id=record.id,
        raw_uid=record.raw_uid,
        scan_id=record.scan_id,
        sample=record.sample,
        time=conditions.time,
        fits=fits,
        q_fit=q_fit,
        rate_change=rate_change(record),
        conditions=conditions.numbers,
        verdict=" ".join(str(one["sentence"]) for one in record.facts.get("verdict") or ()),
        mark=str(said.get("value") or ""),
        note=str(said.get("note") or ""),
        recipe=record.digest[:10],
        software=", ".join(f"{name} {version}" for name, version in sorted(record.versions.items())),
    )
