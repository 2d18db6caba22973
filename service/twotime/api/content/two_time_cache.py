"""Cache of two-time correlation functions for the screen, with a common colour scale for raw and denoised."""

import asyncio
from collections import OrderedDict
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from twotime.api.content.frame_time import n_frames
from twotime.api.content.png import SAMPLED, scale
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.errors import NotFound
from twotime.jobs import ScopedService

Window = tuple[slice, slice]
WHOLE: Window = (slice(None), slice(None))
NODE = {"raw": "two_time", "denoised": "two_time_denoised", "spread": "two_time_spread"}
_MOST_SCALES = 1000


class TwoTimeCache:
    """Reads two-time correlation functions through the service and keeps the last ones.

    Parameters
    ----------
    service : reads from Tiled, with full access; routes check first whether the caller may read the analysis
    budget_bytes : size of the cache
    """

    def __init__(self, service: ScopedService, budget_bytes: int = 256_000_000) -> None:
        self._service = service
        self._budget = budget_bytes
        self._kept: OrderedDict[tuple[str, int, str, int], NDArray[np.float32]] = OrderedDict()
        self._scales: OrderedDict[tuple[str, int, str, int, bool], tuple[float, float]] = OrderedDict()
        self._reading = asyncio.Lock()

    async def values(self, record: AnalysisRecord, kind: str, roi: int, window: Window = WHOLE) -> NDArray[np.float32]:
        """The values of one ROI: raw, denoised, spread, or the difference raw - denoised.

        Parameters
        ----------
        window : rows and columns; unless the whole is cached, only these are read from Tiled

        Raises
        ------
        InputError
            If there is no such ROI.
        NotFound
            If the analysis was not denoised.
        """
        if kind == "difference":
            raw, denoised = [await self._read(record, one, roi, window) for one in ("raw", "denoised")]
            return raw - denoised
        return await self._read(record, kind, roi, window)

    async def scale(self, record: AnalysisRecord, kind: str, roi: int, *, own: bool = False) -> tuple[float, float]:
        """Ends of the colour scale; raw uses that of denoised, if there is one, unless `own`."""
        key = (record.id, record.attempt, kind, roi, own)
        if key not in self._scales:
            self._scales[key] = await self._scale(record, kind, roi, own)
            if len(self._scales) > _MOST_SCALES:
                self._scales.popitem(last=False)
        return self._scales[key]

    async def _scale(self, record: AnalysisRecord, kind: str, roi: int, own: bool) -> tuple[float, float]:
        every = slice(None, None, max(1, n_frames(record) // SAMPLED))
        if kind == "raw" and not own:
            with suppress(NotFound):
                return await asyncio.to_thread(scale, await self.values(record, "denoised", roi, (every, every)), kind)
        return await asyncio.to_thread(scale, await self.values(record, kind, roi, (every, every)), kind)

    async def _read(self, record: AnalysisRecord, kind: str, roi: int, window: Window) -> NDArray[np.float32]:
        key = (record.id, record.attempt, kind, roi)
        every = slice(0, n_frames(record))
        if key not in self._kept and window not in (WHOLE, (every, every)):
            return np.asarray(await self._service.read_array(record.id, NODE[kind], roi, window), np.float32)
        async with self._reading:
            if key not in self._kept:
                read = await self._service.read_array(record.id, NODE[kind], roi)
                self._kept[key] = np.asarray(read, np.float32)
            self._kept.move_to_end(key)
            found = self._kept[key]
            while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)
        return found[window]
