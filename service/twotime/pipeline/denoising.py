"""The whole route of denoised frames on one screen."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import twotime
from frame_denoiser import FrameDenoiser
from twotime.errors import UnusableRun
from twotime.pipeline.frame_planning import FramePlan, plan_frames
from twotime.pipeline.frame_tables import FrameNumbers, FrameTables
from twotime.pipeline.numerics import FRAME_NUMERICS
from twotime.pipeline.planning import DEFAULT_BUDGET
from twotime.pipeline.protocols import FrameSource, Library, Progress, ScanVariable, no_progress
from twotime.pipeline.summing import SummedFrames, sum_frames
from twotime.recipe import FrameRecipe
from twotime.results import Analysis
from twotime.verdict.frames import frame_verdict

FindVariable = Callable[[str | None], ScanVariable | None]
"""The scan variable of a name, or of None the one that suits best; None where there is none."""


def no_variable(name: str | None) -> ScanVariable | None:  # noqa: ARG001
    """Of frames that come without a run."""
    return None


def denoise_frames(
    source: FrameSource,
    recipe: FrameRecipe,
    denoiser: FrameDenoiser,
    progress: Progress = no_progress,
    *,
    library: Library | None = None,
    budget_bytes: int = DEFAULT_BUDGET,
    scan_variable: FindVariable = no_variable,
) -> Analysis:
    """Turn the frames of a run into rates with errors, peaks and counts of regions.

    Parameters
    ----------
    source : frames and what the run says of them
    recipe : what differs from the defaults
    denoiser : of frames
    progress : told after each block of frames and each denoised frame; whatever it raises stops the analysis
    library, budget_bytes : see `plan_frames`
    scan_variable : finds what the frames are shown against

    Raises
    ------
    RecipeError
        If the recipe does not fit the run.
    UnusableRun
        If the frames hold nothing that can be denoised.
    """
    the_plan = plan_frames(source.facts, recipe, library, budget_bytes=budget_bytes)
    start = time.perf_counter()
    summed = sum_frames(source, the_plan, progress)
    read_at = time.perf_counter()
    variable = scan_variable(recipe.scan_variable)
    labels = np.where(summed.mask, the_plan.labels, 0)
    tables = FrameTables(labels, summed.mask, the_plan.resolved.recipe.peaks)
    arrays = _denoised(summed, denoiser, tables, _scan_values(variable, summed, the_plan), progress)
    done_at = time.perf_counter()
    described: dict[str, Any] = {
        "published_frames": len(summed.counts),
        "published_shape": list(summed.mask.shape),
        "scan_variable": None if variable is None else {"name": variable.name, "unit": variable.unit},
    }
    found = tables.tables()
    statements = frame_verdict(found, variable.name if variable else "", variable.unit if variable else "")
    return Analysis(
        arrays={
            **arrays,
            "mean_frame": summed.mean,
            "mask": summed.mask,
            "frame_number": summed.number,
            **({"roi_labels": labels} if labels.any() else {}),
        },
        tables=found,
        resolved={**the_plan.document(), **described, "verdict": statements.document()},
        warnings=[*the_plan.warnings, *summed.warnings, *_warnings(the_plan, summed, labels, tables)],
        timings_s={"reading": read_at - start, "denoising": done_at - read_at},
        versions=frame_versions_of(denoiser),
    )


def frame_versions_of(denoiser: FrameDenoiser) -> dict[str, str]:
    """Versions of the numerics and the denoiser, which decide the numbers, and of the software."""
    return {"twotime": twotime.__version__, "numerics": FRAME_NUMERICS, "frame_denoiser": denoiser.version}


def _denoised(
    summed: SummedFrames,
    denoiser: FrameDenoiser,
    tables: FrameTables,
    scan_values: NDArray[np.float64],
    progress: Progress,
) -> dict[str, NDArray[Any]]:
    """Denoise frame by frame, so that only one frame's worth of memory is needed besides the results."""
    shape = summed.counts.shape
    rate, error, residual = (np.empty(shape, np.float32) for _ in range(3))
    for k, counts in enumerate(summed.counts):
        progress("denoising", k / shape[0])
        n_summed = int(summed.summed[k])
        try:
            one = denoiser.denoise(counts, summed.mask, frames_summed=n_summed)
        except ValueError as problem:
            raise UnusableRun(f"Frame {summed.number[k]} cannot be denoised: {problem}") from None
        rate[k], error[k], residual[k] = one.rate, one.error, one.residual
        tables.add(FrameNumbers(k, int(summed.number[k]), n_summed, float(scan_values[k])), one)
    progress("denoising", 1.0)
    return {"frames_raw": summed.counts, "rate": rate, "rate_error": error, "residual": residual}


def _scan_values(variable: ScanVariable | None, summed: SummedFrames, plan: FramePlan) -> NDArray[np.float64]:
    """Mean of the scan variable over the frames of each sum; NaN where it is not known."""
    if variable is None:
        return np.full(len(summed.number), np.nan)
    frames = plan.resolved.recipe.frames
    taken = variable.values[frames.start : frames.stop : frames.stride][: plan.n_taken]
    means: NDArray[np.float64] = taken.reshape(plan.n_frames, frames.sum).mean(axis=1)[summed.rows]
    return means


def _warnings(plan: FramePlan, summed: SummedFrames, labels: NDArray[np.int32], tables: FrameTables) -> list[str]:
    found = []
    masked = int(np.count_nonzero(plan.mask & ~summed.mask))
    if masked:
        found.append(f"{masked} of {plan.mask.size} pixels were masked for their values, and their rates filled in.")
    gone = [number for number in range(1, plan.n_regions + 1) if not (labels == number).any()]
    if gone:
        found.append(f"Regions {', '.join(map(str, gone))} lost all pixels to the mask and were left out.")
    if tables.shortened:
        most = plan.resolved.recipe.peaks.most
        found.append(f"{tables.shortened} frames hold more than {most} peaks; the most significant {most} are listed.")
    return found
