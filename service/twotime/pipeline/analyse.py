"""The whole route on one screen."""

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import twotime
from cnn_ed import Ensemble
from twotime.pipeline.gathering import PixelStore
from twotime.pipeline.numerics import NUMERICS
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.pipeline.planning import DEFAULT_BUDGET, Plan, plan
from twotime.pipeline.protocols import FrameSource, Library, Progress, no_progress
from twotime.pipeline.reading import Reading, doubtful_frames, read
from twotime.pipeline.tables import (
    fits_age_table,
    fits_table,
    fits_variant_table,
    g2_table,
    multi_tau_table,
    q_fit_table,
)
from twotime.recipe import Recipe
from twotime.results import Analysis, colour_range, grey
from twotime.xpcs.compact import noise_of


def analyse(
    source: FrameSource,
    recipe: Recipe,
    ensemble: Ensemble,
    progress: Progress = no_progress,
    *,
    library: Library | None = None,
    budget_bytes: int = DEFAULT_BUDGET,
    store: PixelStore | None = None,
) -> Analysis:
    """Turn the frames of a run into dynamics.

    Parameters
    ----------
    source : frames and what the run says of them
    recipe : what differs from the run's metadata and the defaults
    ensemble : the denoiser
    progress : told after each block of frames and each ROI; whatever it raises stops the analysis
    library, budget_bytes : see `plan`
    store : see `read`

    Raises
    ------
    RecipeError
        If the recipe does not fit the run.
    UnusableRun
        If the frames hold nothing that can be correlated.
    """
    the_plan = plan(source.facts, recipe, library, budget_bytes=budget_bytes)
    start = time.perf_counter()
    reading = read(source, the_plan, progress, store)
    read_at = time.perf_counter()
    options = the_plan.resolved.recipe
    results: list[RoiResult] = []
    stacks = _Stacks(reading.rois.number)
    progress("correlating, denoising and fitting", 0.0)
    # As many ROIs at a time as torch may use threads: whoever limits one limits both.
    with ThreadPoolExecutor(torch.get_num_threads(), "roi") as pool:
        waiting = deque(pool.submit(_analysed, reading, r, the_plan, ensemble) for r in range(reading.rois.number))
        try:
            while waiting:
                results.append(stacks.add(waiting.popleft().result()))
                progress("correlating, denoising and fitting", len(results) / reading.rois.number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    done_at = time.perf_counter()
    variants = {"fits_variant": fits_variant_table(reading.rois, results)} if options.fit.variants else {}
    return Analysis(
        arrays=_arrays(reading, stacks),
        tables={
            "g2": g2_table(reading.rois, results, the_plan.frame_time_s),
            "g2_multitau": multi_tau_table(reading.rois, results, the_plan.frame_time_s),
            "fits": fits_table(reading, results, the_plan.frame_time_s),
            "fits_age": fits_age_table(reading.rois, results, the_plan.frame_time_s),
            "q_fit": q_fit_table(reading.rois, results),
            **variants,
        },
        resolved=the_plan.document(),
        warnings=_warnings(the_plan, reading, results),
        timings_s={"reading": read_at - start, "correlating, denoising and fitting": done_at - read_at},
        versions=versions_of(ensemble),
    )


def versions_of(ensemble: Ensemble) -> dict[str, str]:
    """Versions of the numerics, the ensemble and the estimator, which decide the numbers, and of the software."""
    return {
        "twotime": twotime.__version__,
        "numerics": NUMERICS,
        "ensemble": ensemble.version,
        "estimate": ensemble.estimator.version,
    }


def _analysed(reading: Reading, roi: int, the_plan: Plan, ensemble: Ensemble) -> RoiResult:
    options = the_plan.resolved.recipe
    return analyse_roi(
        reading.pixels(roi),
        reading.bad,
        the_plan.frame_time_s,
        options.denoise,
        options.fit,
        ensemble,
        flat=None if reading.flat is None else reading.flat[roi],
        flux=reading.flux,
        doubtful=doubtful_frames(reading, options.frames),
    )


class _Stacks:
    """What ROIs yield side by side, filled while others are still computed, so that nothing large is held twice."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._added: dict[str, int] = {}
        self._arrays: dict[str, NDArray[Any]] = {}

    def add(self, result: RoiResult) -> RoiResult:
        """Take in the next ROI; returns it with its large arrays where they now stand."""
        scale = colour_range(result.c2)
        self._put("preview", grey(result.c2, *scale, noise_of(result.c2)))
        result = replace(result, c2=self._put("two_time", result.c2))
        denoised = result.denoised_c2
        if denoised is None:
            return result
        self._put("preview_denoised", grey(denoised.values, *scale))
        values = self._put("two_time_denoised", denoised.values)
        spread = self._put("two_time_spread", denoised.spread)
        mask = self._put("denoised_mask", denoised.mask)
        self._put("denoised_scale", denoised.scale)
        return replace(result, denoised_c2=replace(denoised, values=values, spread=spread, mask=mask))

    def whole(self) -> dict[str, NDArray[Any]]:
        """The arrays to which every ROI has added."""
        return {name: array for name, array in self._arrays.items() if self._added[name] == self._number}

    def _put(self, name: str, own: NDArray[Any]) -> NDArray[Any]:
        if name not in self._arrays:
            self._arrays[name] = np.empty((self._number, *own.shape), own.dtype)
        place: NDArray[Any] = self._arrays[name][self._added.get(name, 0)]
        place[...] = own
        self._added[name] = self._added.get(name, 0) + 1
        return place


def _arrays(reading: Reading, stacks: _Stacks) -> dict[str, NDArray[Any]]:
    return {
        **stacks.whole(),
        "mean_frame": reading.mean_frame,
        "roi_labels": reading.rois.labels,
        "mask": reading.mask,
        "intensity": reading.intensity,
        "frame_number": reading.frame_number,
        "bad_frames": reading.bad,
    }


def _warnings(the_plan: Plan, reading: Reading, results: list[RoiResult]) -> list[str]:
    warnings = list(the_plan.warnings)
    masked = int(np.count_nonzero((the_plan.rois.labels > 0) & ~reading.mask))
    if masked:
        total = int(np.count_nonzero(the_plan.rois.labels))
        noisy = f", {reading.noisy} of them because they flicker or drift by themselves" if reading.noisy else ""
        warnings.append(f"{masked} of {total} ROI pixels were masked{noisy}.")
    strides = sorted({one.denoised_c2.stride for one in results if one.denoised_c2 is not None} - {1})
    if strides:
        listed = ", ".join(str(stride) for stride in strides)
        warnings.append(
            f"Slow ROIs were denoised on every n-th frame (n = {listed}) to bring their rates into the trained range."
        )
    return warnings + reading.warnings + excursion_warnings(reading, results)


def in_ranges(numbers: Iterable[int]) -> str:
    """Rising whole numbers in words.

    >>> in_ranges([3, 4, 5, 9])
    '3 to 5, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def excursion_warnings(reading: Reading, results: list[RoiResult]) -> list[str]:
    """For each set of frames that ROIs left out as an excursion, one sentence."""
    rois: dict[tuple[int, ...], list[int]] = {}
    for number, result in enumerate(results, start=1):
        if result.excursions.any():
            rois.setdefault(tuple(reading.frame_number[result.excursions].tolist()), []).append(number)
    return [
        f"Frames {in_ranges(frames)} were left out of ROI {in_ranges(own)}: they resemble neither the frames before "
        "nor those after, which resemble each other, so beam or detector had moved; frames.keep takes them in."
        for frames, own in rois.items()
    ]
