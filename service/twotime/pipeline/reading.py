"""From frames to the pixel matrices of the ROIs, with the mask and the bad frames found on the way."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.pipeline.planning import Plan
from twotime.pipeline.protocols import FrameSource, Progress
from twotime.xpcs.badframes import find_bad_frames
from twotime.xpcs.geometry import q_map, radius_map
from twotime.xpcs.mask import FrameStatistics, find_bad_pixels
from twotime.xpcs.pixels import RoiPixels
from twotime.xpcs.types import Rois


@dataclass(frozen=True)
class Reading:
    """Everything that the frames give before they are correlated.

    Attributes
    ----------
    rois : with the masked pixels left out; ROIs that lost all pixels are gone
    pixels : one (N, P) matrix of counts per ROI
    mask : (H, W), True where a pixel was used
    mean_frame : (H, W), counts
    intensity : (N, R), mean count per pixel
    bad : (N,), True where a frame is left out
    frame_number : (N,), number in the run
    warnings : sentences for the reader
    """

    rois: Rois
    pixels: list[NDArray[Any]]
    mask: NDArray[np.bool_]
    mean_frame: NDArray[np.float32]
    intensity: NDArray[np.float32]
    bad: NDArray[np.bool_]
    frame_number: NDArray[np.int64]
    warnings: list[str]


def read(source: FrameSource, plan: Plan, progress: Progress) -> Reading:
    """Read all frames once, block by block.

    Raises
    ------
    UnusableRun
        If all frames are zero, or no pixel of any ROI survives the mask.
    """
    matrix, statistics, frame_number = _gather(source, plan, progress)
    if not statistics.maximum.any():
        raise UnusableRun(
            f"All {plan.n_frames} frames of run {plan.facts.uid[:8]} are zero; check the shutter and the detector."
        )
    mask = _mask(plan, statistics)
    rois, columns, warnings = _masked_rois(plan, mask)
    pixels = [np.ascontiguousarray(matrix[:, own]) for own in columns]
    intensity = np.stack([own.mean(axis=1, dtype=np.float64) for own in pixels], axis=1)
    bad, reasons = _bad_frames(plan, intensity, rois, frame_number)
    return Reading(
        rois=rois,
        pixels=pixels,
        mask=mask,
        mean_frame=statistics.mean.astype(np.float32),
        intensity=intensity.astype(np.float32),
        bad=bad,
        frame_number=frame_number,
        warnings=warnings + reasons,
    )


def _gather(
    source: FrameSource, plan: Plan, progress: Progress
) -> tuple[NDArray[Any], FrameStatistics, NDArray[np.int64]]:
    frames = plan.resolved.recipe.frames
    assert frames.stop is not None
    frame_number = np.arange(frames.start, frames.stop, frames.stride)
    gather = RoiPixels(plan.rois.labels)
    statistics = FrameStatistics()
    matrix = np.zeros((len(frame_number), gather.n_pixels), source.dtype)
    filled = 0
    progress("reading", 0.0)
    for _, block in source.blocks(frames.start, frames.stop, frames.stride):
        statistics.accumulate(block)
        matrix[filled : filled + len(block)] = gather.gather(block)
        filled += len(block)
        progress("reading", filled / len(frame_number))
    if filled != len(frame_number):
        raise UnusableRun(
            f"Run {plan.facts.uid[:8]} announces {len(frame_number)} frames to read but yields {filled}; "
            f"give frames.stop = {frames.start + filled * frames.stride} to analyse what is there."
        )
    return matrix, statistics, frame_number


def _mask(plan: Plan, statistics: FrameStatistics) -> NDArray[np.bool_]:
    options = plan.resolved.recipe.masks
    mask = find_bad_pixels(
        statistics,
        radius_map(plan.resolved.geometry, statistics.mean.shape),
        from_data=options.from_data,
        hot_above_counts=options.hot_above_counts,
        dark_below_mean=options.dark_below_mean,
    )
    for box in options.boxes:
        mask[slice(*box.rows), slice(*box.columns)] = False
    return mask


def _masked_rois(plan: Plan, mask: NDArray[np.bool_]) -> tuple[Rois, list[NDArray[np.intp]], list[str]]:
    """ROIs without masked pixels, the matrix columns of each, and a word on those that vanished."""
    gather = RoiPixels(plan.rois.labels)
    good = mask.ravel()[gather.indices]
    q = q_map(plan.resolved.geometry, (mask.shape[0], mask.shape[1])).ravel()
    labels = np.zeros(mask.size, np.int32)
    kept, columns, means, warnings = [], [], [], []
    for r, own in enumerate(gather.columns):
        survivors = np.arange(own.start, own.stop)[good[own]]
        if len(survivors) == 0:
            warnings.append(f"ROI at q = {plan.rois.q[r]:.4g} 1/Å lost all its pixels to the mask and was left out.")
            continue
        kept.append(r)
        columns.append(survivors)
        labels[gather.indices[survivors]] = len(kept)
        means.append(q[gather.indices[survivors]].mean())
    if not kept:
        raise UnusableRun(
            f"No pixel of any ROI of run {plan.facts.uid[:8]} survives the mask; "
            "loosen masks (hot_above_counts, dark_below_mean, from_data) in the recipe or move the ROIs."
        )
    rois = Rois(labels.reshape(mask.shape), np.array(means), plan.rois.q_inner[kept], plan.rois.q_outer[kept])
    return rois, columns, warnings


def _bad_frames(
    plan: Plan, intensity: NDArray[np.float64], rois: Rois, frame_number: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], list[str]]:
    frames = plan.resolved.recipe.frames
    total = intensity @ rois.n_pixels.astype(float)
    bad = total == 0
    warnings = [f"Frame {frame_number[i]} was left out: it holds no counts." for i in np.flatnonzero(bad)]
    if frames.find_bad:
        found, reasons = find_bad_frames(total)
        warnings = [
            f"Frame {frame_number[i]} was left out: {reason}."
            for i, reason in zip(np.flatnonzero(found), reasons, strict=True)
        ]
        bad |= found
    bad |= np.isin(frame_number, frames.exclude)
    if np.count_nonzero(~bad) < 2:
        raise UnusableRun(
            f"Fewer than two frames of run {plan.facts.uid[:8]} are sound; set frames.find_bad to false to use all."
        )
    return bad, warnings
