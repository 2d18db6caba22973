"""Frames of a scan that still runs, added up and denoised one after the other as they come."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from frame_denoiser import DenoisedFrames, FrameDenoiser
from twotime.errors import UnusableRun
from twotime.pipeline.frame_planning import FramePlan
from twotime.pipeline.frame_tables import FrameNumbers, FrameTables
from twotime.pipeline.pixel_counts import PixelCounts, unpacked
from twotime.pipeline.protocols import Block

MOST_ROWS = 300


@dataclass(frozen=True)
class NewestFrame:
    """The newest sum of frames, denoised.

    Attributes
    ----------
    plan : of the frames
    place : where the sum stands in the scan
    denoised : arrays (H, W)
    mask : (H, W), True where a pixel can be used as far as the frames so far tell
    tables : ``frames`` and ``regions`` of the sums denoised so far, ``peaks`` of this one
    took_s : duration of the computation, s
    """

    plan: FramePlan
    place: FrameNumbers
    denoised: DenoisedFrames
    mask: NDArray[np.bool_]
    tables: dict[str, pd.DataFrame]
    took_s: float


class GrowingFrames:
    """Takes frames of a scan as they come and denoises the newest sum of them on demand.

    One thread may call `take` while another calls `newest`. Memory does not grow with the scan: sums that come while
    another one is denoised are not kept; the analysis of the finished run denoises all of them.

    Parameters
    ----------
    plan : for as many frames as may come
    denoiser : of frames
    pixel_mask : see `FrameSource.pixel_mask`
    most_rows : of each table, the latest, that are kept

    Attributes
    ----------
    n_frames : taken so far
    """

    def __init__(
        self,
        plan: FramePlan,
        denoiser: FrameDenoiser,
        pixel_mask: NDArray[np.bool_] | None = None,
        *,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self.n_frames = 0
        self._plan = plan
        self._denoiser = denoiser
        self._pixel_mask = pixel_mask
        self._pixels = PixelCounts(plan)
        self._total = np.zeros(plan.mask.shape)
        self._n_added = 0
        self._adding = _Sum.empty(0, plan)
        self._whole: _Sum | None = None
        self._shown = (-1, 0)
        self._most_rows = most_rows
        self._rows: dict[str, pd.DataFrame] = {}
        self._lock = threading.Lock()

    def take(self, first: int, block: Block) -> None:
        """Add the next frames, (k, H, W); the first of them has the number `first` in the run."""
        frames = self._plan.resolved.recipe.frames
        for part in unpacked(block, first, frames.stride):
            for frame in part:
                with self._lock:
                    self._add(frame)
                    self.n_frames += 1

    def newest(self) -> NewestFrame | None:
        """Denoise the newest whole sum, or the first one as far as it goes; None where there is nothing new.

        Raises
        ------
        UnusableRun
            If the frames so far leave no pixel that can be used, or cannot be denoised.
        """
        began = time.perf_counter()
        with self._lock:
            chosen = self._whole or self._adding
            if not chosen.summed or (chosen.row, chosen.summed) == self._shown:
                return None
            self._shown = (chosen.row, chosen.summed)
            counts = chosen.counts.copy()
            summed = chosen.summed
            mask = self._pixels.mask(self._total, self._n_added, self._pixel_mask)
        uid = self._plan.facts.uid[:8]
        if not mask.any():
            raise UnusableRun(f"No pixel of run {uid} can be used so far; loosen masks in the recipe.")
        counts[~mask] = 0
        frames = self._plan.resolved.recipe.frames
        number = frames.start + chosen.row * frames.sum * frames.stride
        try:
            denoised = self._denoiser.denoise(counts, mask, frames_summed=summed)
        except ValueError as problem:
            raise UnusableRun(f"Frame {number} of run {uid} cannot be denoised: {problem}") from None
        place = FrameNumbers(chosen.row, number, summed, float("nan"))
        tables = self._tables(place, denoised, mask, whole=chosen is self._whole or summed == frames.sum)
        return NewestFrame(self._plan, place, denoised, mask, tables, time.perf_counter() - began)

    def _add(self, frame: NDArray[Any]) -> None:
        frames = self._plan.resolved.recipe.frames
        number = frames.start + self.n_frames * frames.stride
        row = self.n_frames // frames.sum
        if row >= self._plan.n_frames:
            return
        if row != self._adding.row:
            self._adding = _Sum.empty(row, self._plan)
        if number not in frames.exclude:
            counts = self._pixels.counts(frame, number)
            self._adding.counts += counts
            self._adding.summed += 1
            self._total += counts
            self._n_added += 1
        if self.n_frames + 1 == (row + 1) * frames.sum and self._adding.summed:
            self._whole = self._adding

    def _tables(
        self, place: FrameNumbers, denoised: DenoisedFrames, mask: NDArray[np.bool_], *, whole: bool
    ) -> dict[str, pd.DataFrame]:
        """Tables with the rows of one more frame; those of a sum that still grows are not kept."""
        filled = FrameTables(np.where(mask, self._plan.labels, 0), mask, self._plan.resolved.recipe.peaks)
        filled.add(place, denoised)
        own = filled.tables()
        joined: dict[str, pd.DataFrame] = {
            name: pd.concat([self._rows[name], own[name]], ignore_index=True) if name in self._rows else own[name]
            for name in own
            if name != "peaks"
        }
        if whole:
            self._rows = {name: table.tail(self._most_rows) for name, table in joined.items()}
        return {**joined, "peaks": own["peaks"]}


@dataclass
class _Sum:
    """A sum of consecutive frames: which one it is, its photons (H, W), how many frames were added."""

    row: int
    counts: NDArray[np.uint32]
    summed: int

    @classmethod
    def empty(cls, row: int, plan: FramePlan) -> "_Sum":
        return cls(row, np.zeros(plan.mask.shape, np.uint32), 0)
