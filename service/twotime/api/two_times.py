"""Two-time correlation functions for the screen: read once, kept while they fit, with a common colour scale."""

import asyncio
from collections import OrderedDict
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from twotime.api.pictures import scale
from twotime.catalog.analyses import AnalysisRecord
from twotime.errors import NotFound
from twotime.jobs import Service

NODE = {"raw": "two_time", "denoised": "two_time_denoised", "spread": "two_time_spread"}


class TwoTimes:
    """Reads two-time correlation functions through the service and keeps the last ones.

    Parameters
    ----------
    service : reads from Tiled
    budget_bytes : how much to keep
    """

    def __init__(self, service: Service, budget_bytes: int = 256_000_000) -> None:
        self._service = service
        self._budget = budget_bytes
        self._kept: OrderedDict[tuple[str, int, str, int], NDArray[np.float32]] = OrderedDict()
        self._reading = asyncio.Lock()

    async def values(self, record: AnalysisRecord, kind: str, roi: int) -> NDArray[np.float32]:
        """The (N, N) values of one ROI: raw, denoised, spread, or the difference raw - denoised.

        Raises
        ------
        InputError
            If there is no such ROI.
        NotFound
            If the analysis was not denoised.
        """
        if kind == "difference":
            return await self._read(record, "raw", roi) - await self._read(record, "denoised", roi)
        return await self._read(record, kind, roi)

    async def scale(self, record: AnalysisRecord, kind: str, roi: int, *, own: bool = False) -> tuple[float, float]:
        """Ends of the colour scale; raw shares that of denoised, where there is one, unless `own` is set."""
        values = await self.values(record, kind, roi)
        if kind == "raw" and not own:
            with suppress(NotFound):
                values = await self.values(record, "denoised", roi)
        return await asyncio.to_thread(scale, values, kind)

    async def _read(self, record: AnalysisRecord, kind: str, roi: int) -> NDArray[np.float32]:
        key = (record.id, record.attempt, kind, roi)
        async with self._reading:
            if key not in self._kept:
                read = await self._service.read_array(record.id, NODE[kind], roi)
                self._kept[key] = np.asarray(read, np.float32)
            self._kept.move_to_end(key)
            found = self._kept[key]
            while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
        return found
