"""The whole route on one screen."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import twotime
from cnn_ed import Ensemble
from twotime.pipeline.gathering import PixelStore
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.pipeline.planning import DEFAULT_BUDGET, Plan, plan
from twotime.pipeline.protocols import FrameSource, Library, Progress, no_progress
from twotime.pipeline.reading import Reading, read
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
    results = []
    progress("correlating, denoising and fitting", 0.0)
    # As many ROIs at a time as torch may use threads: whoever limits one limits both.
    with ThreadPoolExecutor(torch.get_num_threads(), "roi") as pool:
        waiting = [pool.submit(_analysed, reading, r, the_plan, ensemble) for r in range(reading.rois.number)]
        try:
            for future in waiting:
                results.append(future.result())
                progress("correlating, denoising and fitting", len(results) / reading.rois.number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    done_at = time.perf_counter()
    variants = {"fits_variant": fits_variant_table(reading.rois, results)} if options.fit.variants else {}
    return Analysis(
        arrays=_arrays(reading, results),
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
        versions={"twotime": twotime.__version__, "ensemble": ensemble.version},
    )


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
    )


def _arrays(reading: Reading, results: list[RoiResult]) -> dict[str, NDArray[Any]]:
    two_time = np.stack([result.c2 for result in results])
    scales = [colour_range(c2) for c2 in two_time]
    arrays: dict[str, NDArray[Any]] = {
        "two_time": two_time,
        "preview": np.stack([grey(c2, *scale) for c2, scale in zip(two_time, scales, strict=True)]),
        "mean_frame": reading.mean_frame,
        "roi_labels": reading.rois.labels,
        "mask": reading.mask,
        "intensity": reading.intensity,
        "frame_number": reading.frame_number,
        "bad_frames": reading.bad,
    }
    denoised = [result.denoised_c2 for result in results]
    if all(one is not None for one in denoised):
        values = np.stack([one.values for one in denoised if one is not None])
        arrays["two_time_denoised"] = values
        arrays["two_time_spread"] = np.stack([one.spread for one in denoised if one is not None])
        arrays["denoised_mask"] = np.stack([one.mask for one in denoised if one is not None])
        arrays["preview_denoised"] = np.stack([grey(c2, *scale) for c2, scale in zip(values, scales, strict=True)])
    return arrays


def _warnings(the_plan: Plan, reading: Reading, results: list[RoiResult]) -> list[str]:
    warnings = [warning for warning in the_plan.warnings if not warning.startswith("Pixel counts")]
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
    return warnings + reading.warnings
