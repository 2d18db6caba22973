"""The service as somebody sees it to whom Tiled shows a part of the runs and analyses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.live_scans import LiveScan, live_scan, live_scans, read_live_array
from twotime.export.files import Dialect
from twotime.jobs.access.callers import View
from twotime.jobs.service import Service
from twotime.jobs.status import RunListing, Submitted
from twotime.recipe import Recipe


class CallerService:
    """What of a `Service` is open to a caller with a key of Tiled; what is missing here is not.

    Everything that Tiled does not show to the caller is not found, as if it did not exist.

    Parameters
    ----------
    service : does the work
    view : of the caller
    """

    def __init__(self, service: Service, view: View) -> None:
        self._service = service
        self._view = view

    async def submit(
        self, reference: str, recipe: Recipe | dict[str, Any] | None = None, *, force: bool = False
    ) -> AnalysisRecord:
        """Ask for the analysis of a run that the caller sees; also the label array that he names must be one."""
        return await self._service.submit(reference, recipe, force=force, seen=self._view)

    async def submit_many(
        self, recipe: Recipe | dict[str, Any] | None = None, *, force: bool = False, **which: Any
    ) -> list[Submitted]:
        """Ask for the analysis of every run that fits and that the caller sees."""
        return await self._service.submit_many(recipe, force=force, seen=self._view, **which)

    async def plan(self, reference: str, recipe: Recipe | dict[str, Any] | None = None) -> dict[str, Any]:
        """What `submit` would do."""
        return await self._service.plan(reference, recipe, self._view)

    async def planned_labels(self, reference: str, recipe: Recipe | dict[str, Any] | None = None) -> NDArray[np.int32]:
        """Where the ROIs of `plan` lie."""
        return await self._service.planned_labels(reference, recipe, self._view)

    async def frame(self, reference: str, **which: Any) -> NDArray[np.float32]:
        """Frames of a run, as Tiled gives them to the caller."""
        return await self._service.frame(reference, self._view, **which)

    async def runs(self, *, limit: int = 20) -> Sequence[RunListing]:
        """The newest runs that the caller sees."""
        return await self._service.runs(limit=limit, seen=self._view)

    async def analysis(self, analysis_id: str) -> AnalysisRecord:
        """One analysis."""
        return await self._view.call(self._view.store.get, analysis_id)

    async def analyses(self, **which: Any) -> tuple[list[AnalysisRecord], int]:
        """Analyses that the caller sees, newest first, and how many there are of these."""
        return await self._view.call(self._view.store.search, **which)

    async def cancel(self, analysis_id: str) -> AnalysisRecord:
        """Ask an analysis that the caller sees to stop."""
        await self.analysis(analysis_id)
        return await self._service.cancel(analysis_id)

    async def check_data(self, analysis_id: str) -> None:
        """Make sure that Tiled gives the caller the data of an analysis; raises `AnalysisNotFound`."""
        await self._view.check_data(analysis_id)

    async def read_array(self, analysis_id: str, name: str, roi: int | None = None) -> NDArray[Any]:
        """A published array."""
        await self.check_data(analysis_id)
        return await self._service.read_array(analysis_id, name, roi)

    async def read_table(self, analysis_id: str, name: str) -> pd.DataFrame:
        """A published table."""
        await self.check_data(analysis_id)
        return await self._service.read_table(analysis_id, name)

    async def export(self, analysis_id: str, path: Path, dialect: Dialect | None = None) -> None:
        """Write all of it into a file."""
        await self.check_data(analysis_id)
        await self._service.export(analysis_id, path, dialect)

    async def live_scans(self) -> list[LiveScan]:
        """Scans that are followed or were lately, of those that the caller sees."""
        return await self._view.call(live_scans, self._view.store.results)

    async def live_scan(self, uid: str) -> LiveScan:
        """One of them."""
        return await self._view.call(live_scan, self._view.store.results, uid)

    async def read_live_array(self, uid: str, name: str, roi: int | None = None) -> NDArray[np.float32]:
        """An array of one of them."""
        return await self._view.call(read_live_array, self._view.store.results, uid, name, roi)
