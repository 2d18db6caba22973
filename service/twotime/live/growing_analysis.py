"""Incremental analysis of a scan that still runs; only pairs with new frames are correlated."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed import Ensemble
from cnn_ed.ensemble import KnownWindows
from twotime.pipeline.analyse import excursion_warnings
from twotime.pipeline.gathering import Gathered, Gathering
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.pipeline.planning import Plan
from twotime.pipeline.protocols import Block
from twotime.pipeline.reading import Reading, doubtful_frames, settled
from twotime.xpcs.excursions import find_excursions
from twotime.xpcs.growing import TwoTimeAccumulator

FEWEST_FRAMES = 10
LONGEST_LOOK_S = 20.0
KNOWN_BYTES = 2**29
_WINDOW_BYTES = 51_000


@dataclass(frozen=True)
class Grown:
    """Results from the frames so far.

    Attributes
    ----------
    plan : for just these frames; frames may be binned more coarsely than in the analysis to come
    reading : their pixels, mask and bad frames
    results : one per ROI, without fits at constant age and without variants
    took_s : duration of the computation, s
    warnings : sentences for the reader
    """

    plan: Plan
    reading: Reading
    results: list[RoiResult]
    took_s: float
    warnings: list[str]


class GrowingAnalysis:
    """Takes frames of a scan as they come and analyses them on demand.

    One thread may call `take` while another calls `grown`. With all frames of a scan, `grown` gives the same numbers as
    `twotime.pipeline.analyse`.

    Parameters
    ----------
    plan : for as many frames as may come
    ensemble : the denoiser
    pixel_mask : see `FrameSource.pixel_mask`
    longest_look_s : if `grown` takes longer, the next call adds twice as many frames to one

    Attributes
    ----------
    n_frames : taken so far
    """

    def __init__(
        self,
        plan: Plan,
        ensemble: Ensemble,
        pixel_mask: NDArray[np.bool_] | None = None,
        *,
        longest_look_s: float = LONGEST_LOOK_S,
    ) -> None:
        self.n_frames = 0
        self._plan = _without_ages(plan)
        self._ensemble = ensemble
        self._pixel_mask = pixel_mask
        self._longest_look_s = longest_look_s
        self._gathering = Gathering(plan)
        self._mask: NDArray[np.bool_] | None = None
        self._masked_at = 0
        self._bin = plan.bin
        self._pairs: list[_Pairs] = []

    @property
    def room(self) -> int:
        """Number of frames that still fit."""
        return self._plan.n_frames - self.n_frames

    def take(self, first: int, block: Block) -> None:
        """Add the next frames, (k, H, W); the first of them has number `first` in the run."""
        self.n_frames = self._gathering.take(first, block)

    def finished(self, plan: Plan) -> Gathered:
        """The pixels of all frames, for the analysis of the finished run that `plan` describes.

        Raises
        ------
        ValueError
            If the plan has other ROIs or asks for frames that were not taken.
        """
        if plan.n_frames > self.n_frames:
            raise ValueError(f"the plan asks for {plan.n_frames} frames, but {self.n_frames} were taken.")
        if not np.array_equal(plan.rois.labels, self._plan.rois.labels):
            raise ValueError("the plan has other ROIs than the one that frames were taken for.")
        return self._gathering.gathered(plan)

    def grown(self) -> Grown | None:
        """Analyse the frames so far; None while there are fewer than `FEWEST_FRAMES`.

        Raises
        ------
        UnusableRun
            If all of them are zero, or the mask leaves no ROI.
        """
        began = time.perf_counter()
        n = self.n_frames
        if n // self._bin < FEWEST_FRAMES:
            return None
        plan = _of_frames(self._plan, n, self._bin)
        whole = n == self._plan.n_frames
        if n >= 2 * self._masked_at or whole:
            self._mask, self._masked_at = None, n
        reading = settled(self._gathering.gathered(plan), plan, self._pixel_mask, mask=self._mask)
        self._mask = reading.mask
        results = self._results(plan, reading)
        took = time.perf_counter() - began
        warnings = [*reading.warnings, *excursion_warnings(reading, results)]
        if self._bin > self._plan.bin:
            warnings.insert(0, f"Live numbers add every {self._bin} frames to one; the final ones will not.")
        if took > self._longest_look_s:
            self._bin *= 2
        return Grown(plan, reading, results, took, warnings)

    def _results(self, plan: Plan, reading: Reading) -> list[RoiResult]:
        if len(self._pairs) != reading.rois.number:
            self._pairs = [_Pairs() for _ in range(reading.rois.number)]
        with ThreadPoolExecutor(torch.get_num_threads(), "roi") as pool:
            return list(pool.map(lambda r: self._result(plan, reading, r), range(reading.rois.number)))

    def _result(self, plan: Plan, reading: Reading, roi: int) -> RoiResult:
        options = plan.resolved.recipe
        pixels = reading.pixels(roi)
        plain = reading.flat is None and reading.flux is None
        pairs = self._pairs[roi]
        doubtful = doubtful_frames(reading, options.frames)
        c2 = pairs.two_time(pixels, reading.columns[roi], self._bin, reading.bad) if plain else None
        excursions = None if c2 is None else find_excursions(c2) & doubtful
        room = KNOWN_BYTES // (_WINDOW_BYTES * reading.rois.number)
        return analyse_roi(
            pixels,
            reading.bad,
            plan.frame_time_s,
            options.denoise,
            options.fit,
            self._ensemble,
            flat=None if reading.flat is None else reading.flat[roi],
            flux=reading.flux,
            c2=c2,
            known=pairs.known(reading.bad | excursions) if excursions is not None and len(pixels) // 5 < room else None,
            doubtful=doubtful,
            excursions=excursions,
        )


class _Pairs:
    """Correlated pairs of one ROI, kept from call to call while its pixels stay the same."""

    def __init__(self) -> None:
        self._columns: NDArray[np.intp] | None = None
        self._bin = 0
        self._bad: NDArray[np.bool_] = np.zeros(0, bool)
        self._growing: TwoTimeAccumulator | None = None
        self._windows: KnownWindows = {}

    def two_time(
        self, pixels: NDArray[Any], columns: NDArray[np.intp], bin_frames: int, bad: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Two-time function of all frames; only pairs with new frames are computed."""
        same = self._columns is not None and np.array_equal(columns, self._columns) and bin_frames == self._bin
        if self._growing is None or not same or self._growing.n_frames > len(pixels):
            self._growing = TwoTimeAccumulator(pixels.shape[1])
            self._windows = {}
        self._columns, self._bin = columns, bin_frames
        self._growing.add(pixels[self._growing.n_frames :])
        return self._growing.two_time(bad=bad)

    def known(self, left_out: NDArray[np.bool_]) -> KnownWindows:
        """Windows that were denoised before, with these frames (N,) left out."""
        if not np.array_equal(left_out[: len(self._bad)], self._bad):
            self._windows = {}  # Denoised windows bridge bad frames: they are invalid once a frame is judged anew.
        self._bad = left_out.copy()
        return self._windows


def _without_ages(plan: Plan) -> Plan:
    recipe = plan.resolved.recipe
    fit = recipe.fit.model_copy(update={"ages": 0, "variants": ()})
    return replace(plan, resolved=plan.resolved.model_copy(update={"recipe": recipe.model_copy(update={"fit": fit})}))


def _of_frames(plan: Plan, n_frames: int, bin_frames: int) -> Plan:
    """The plan for the first frames only."""
    recipe = plan.resolved.recipe
    first = recipe.frames
    frames = first.model_copy(update={"stop": first.start + n_frames * first.stride, "bin": bin_frames})
    resolved = plan.resolved.model_copy(update={"recipe": recipe.model_copy(update={"frames": frames})})
    return replace(plan, resolved=resolved)
