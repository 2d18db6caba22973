"""From frames to the pixel matrices of the ROIs, with the mask and the bad frames found on the way."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import UnusableRun
from twotime.pipeline.gathering import Gathered, PixelStore, gather
from twotime.pipeline.planning import Plan
from twotime.pipeline.protocols import FrameSource, Progress
from twotime.recipe import FrameOptions
from twotime.xpcs.badframes import find_bad_frames
from twotime.xpcs.flatfield import static_image
from twotime.xpcs.geometry import q_from_radius, radius_map
from twotime.xpcs.mask import FrameStatistics, find_bad_pixels
from twotime.xpcs.noise import find_noisy_pixels
from twotime.xpcs.orientation import oriented
from twotime.xpcs.types import Rois


@dataclass(frozen=True)
class Reading:
    """Everything that the frames give before they are correlated.

    Attributes
    ----------
    rois : with the masked pixels left out; ROIs that lost too many pixels are gone
    counts : (M, all pixels) of the frames as they were read
    columns : those of each ROI in `counts`
    bin : how many frames are added to one
    flat : one (P,) static image per ROI by which counts are divided; None where the recipe does not ask for it
    flux : (N,) incident flux; None where the recipe does not ask for it
    mask : (H, W), True where a pixel was used
    noisy : number of ROI pixels that were masked because they fluctuate by themselves
    mean_frame : (H, W), counts per frame as read
    intensity : (N, R), mean count per pixel
    bad : (N,), True where a frame is left out
    frame_number : (N,), number in the run, of the first where several were added
    warnings : sentences for the reader
    """

    rois: Rois
    counts: NDArray[Any]
    columns: list[NDArray[np.intp]]
    bin: int
    flat: list[NDArray[np.float64]] | None
    flux: NDArray[np.float64] | None
    mask: NDArray[np.bool_]
    noisy: int
    mean_frame: NDArray[np.float32]
    intensity: NDArray[np.float32]
    bad: NDArray[np.bool_]
    frame_number: NDArray[np.int64]
    warnings: list[str]

    def pixels(self, roi: int) -> NDArray[Any]:
        """Counts (N, P) of a ROI, from 0, in memory of their own: all ROIs at a time may not fit."""
        return _binned(np.ascontiguousarray(self.counts[:, self.columns[roi]]), self.bin)


def read(source: FrameSource, plan: Plan, progress: Progress, store: PixelStore | None = None) -> Reading:
    """Read all frames once, block by block; once more by another way where frames repeat themselves.

    Parameters
    ----------
    store : where the pixels of an earlier analysis may lie, and those of this one are kept

    Raises
    ------
    UnusableRun
        If all frames are zero, or no pixel of any ROI survives the mask.
    DamagedFrames
        If frames are damaged or repeated and the recipe says to stop.
    """
    kept = None if store is None else store.find(plan)
    if kept is not None:
        progress("reading", 1.0)
        return settled(kept, plan, source.pixel_mask())
    gathered = gather(source, plan, progress)
    other = source.fallback() if gathered.repeated else None
    if other is not None:
        again = gather(other, plan, progress)
        if again.repeated < gathered.repeated:
            sentence = "Frames came repeated through Tiled; they were read from the detector's own files instead."
            again.warnings.insert(0, sentence)
            gathered, source = again, other
    if store is not None and not gathered.warnings:
        store.keep(plan, gathered)
    return settled(gathered, plan, source.pixel_mask())


def settled(
    gathered: Gathered,
    plan: Plan,
    pixel_mask: NDArray[np.bool_] | None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> Reading:
    """What frames give once they are there: the mask, the ROIs that it leaves, the bad frames.

    Parameters
    ----------
    pixel_mask : what the detector itself masks, see `FrameSource`
    mask : (H, W), True where a pixel can be used, where that was found before; None: find it

    Raises
    ------
    UnusableRun
        If all frames are zero, or no pixel of any ROI survives the mask.
    """
    statistics = gathered.statistics
    if not statistics.maximum.any():
        raise UnusableRun(
            f"All {plan.n_frames} frames of run {plan.facts.uid[:8]} are zero; check the shutter and the detector."
        )
    masks = plan.resolved.recipe.masks
    search = mask is None and masks.from_data and masks.noisy
    mask = _mask(plan, statistics, pixel_mask) if mask is None else mask.copy()
    image = _static_image(plan, statistics, mask)
    if image is not None:
        mask &= image > 0
    rois, columns, warnings = _masked_rois(plan, gathered, mask)
    intensity = np.stack([gathered.counts[:, own].mean(axis=1, dtype=np.float64) for own in columns], axis=1)
    bad, reasons = _bad_frames(plan, intensity, rois, gathered)
    noisy = _noisy(plan, gathered, columns, bad) if search else np.zeros(0, np.intp)
    if noisy.size:
        mask.ravel()[noisy] = False
        return replace(settled(gathered, plan, pixel_mask, mask=mask), noisy=noisy.size)
    flux = gathered.frame_sum if plan.resolved.recipe.normalisation == "flux" else None
    return Reading(
        rois=rois,
        counts=gathered.counts,
        columns=columns,
        bin=plan.bin,
        flat=None if image is None else [image.ravel()[gathered.pixels.indices[own]] for own in columns],
        flux=None if flux is None else np.maximum(_binned(flux, plan.bin), np.finfo(float).tiny),
        mask=mask,
        noisy=0,
        mean_frame=statistics.mean.astype(np.float32),
        intensity=_binned(intensity, plan.bin).astype(np.float32),
        bad=_binned(bad, plan.bin) > 0,
        frame_number=gathered.frame_number[:: plan.bin][: len(gathered.frame_number) // plan.bin],
        warnings=gathered.warnings + warnings + reasons,
    )


def _binned(values: NDArray[Any], number: int) -> NDArray[Any]:
    """Sums over so many neighbouring frames, which are the first axis; frames that are left over are dropped."""
    if number == 1:
        return values
    length = len(values) // number
    parts = values[: length * number].reshape(length, number, *values.shape[1:])
    if values.dtype.kind == "u":
        total = parts.sum(axis=1, dtype=np.uint64)
        narrow: NDArray[Any] = total.astype(np.min_scalar_type(int(total.max(initial=0))))
        return narrow
    summed: NDArray[Any] = parts.sum(axis=1)
    return summed


def _mask(plan: Plan, statistics: FrameStatistics, pixel_mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    options = plan.resolved.recipe.masks
    mask = find_bad_pixels(
        statistics,
        radius_map(plan.resolved.geometry, (plan.mask.shape[0], plan.mask.shape[1])),
        from_data=options.from_data,
        hot_above_counts=options.hot_above_counts,
        dark_below_mean=options.dark_below_mean,
    )
    mask &= plan.mask
    if options.pixel_mask and pixel_mask is not None:
        mask &= oriented(pixel_mask, plan.resolved.orientation)
    return mask


def doubtful_frames(reading: Reading, frames: FrameOptions) -> NDArray[np.bool_]:
    """Frames (N,) that may be left out for what they show: none where the recipe keeps them or does not look."""
    return ~np.isin(reading.frame_number, frames.keep) & frames.find_bad


def _noisy(plan: Plan, gathered: Gathered, columns: list[NDArray[np.intp]], bad: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat index in the analysis frame of each ROI pixel that fluctuates by itself."""
    indices = gathered.pixels.indices
    radius = radius_map(plan.resolved.geometry, (plan.mask.shape[0], plan.mask.shape[1])).ravel()[indices]
    return indices[find_noisy_pixels(gathered.counts, columns, radius, bad)]


def _static_image(plan: Plan, statistics: FrameStatistics, mask: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    kind = plan.resolved.recipe.normalisation
    if kind not in ("azimuthal", "smoothed") or not mask.any():
        return None
    radius = radius_map(plan.resolved.geometry, (mask.shape[0], mask.shape[1]))
    return static_image(statistics.mean, mask, radius, "azimuthal" if kind == "azimuthal" else "smoothed")


def _masked_rois(
    plan: Plan, gathered: Gathered, mask: NDArray[np.bool_]
) -> tuple[Rois, list[NDArray[np.intp]], list[str]]:
    """ROIs without masked pixels, the matrix columns of each, and a word on those that vanished."""
    pixels = gathered.pixels
    fewest = plan.resolved.recipe.min_pixels
    good = mask.ravel()[pixels.indices]
    radius = radius_map(plan.resolved.geometry, (mask.shape[0], mask.shape[1])).ravel()
    q = q_from_radius(plan.resolved.geometry, radius[pixels.indices])
    labels = np.zeros(mask.size, np.int32)
    kept, columns, means, warnings = [], [], [], []
    for r, own in enumerate(pixels.columns):
        survivors = np.arange(own.start, own.stop)[good[own]]
        if len(survivors) < fewest:
            warnings.append(
                f"ROI at q = {plan.rois.q[r]:.4g} 1/Å lost its pixels to the mask and was left out: "
                f"{len(survivors)} remain, fewer than {fewest}."
            )
            continue
        kept.append(r)
        columns.append(survivors)
        labels[pixels.indices[survivors]] = len(kept)
        means.append(q[survivors].mean() if plan.rois.q_from_pixels[r] else plan.rois.q[r])
    if not kept:
        nobody = f"keeps min_pixels = {fewest} pixels" if good.any() else "keeps any pixel"
        raise UnusableRun(
            f"No ROI of run {plan.facts.uid[:8]} {nobody} after the mask; loosen masks (hot_above_counts, "
            "dark_below_mean, from_data) in the recipe or move the ROIs."
        )
    rois = plan.rois
    return (
        Rois(
            labels.reshape(mask.shape),
            np.array(means),
            rois.q_inner[kept],
            rois.q_outer[kept],
            rois.phi[kept],
            rois.q_from_pixels[kept],
        ),
        columns,
        warnings,
    )


def _bad_frames(
    plan: Plan, intensity: NDArray[np.float64], rois: Rois, gathered: Gathered
) -> tuple[NDArray[np.bool_], list[str]]:
    frames, frame_number = plan.resolved.recipe.frames, gathered.frame_number
    total = intensity @ rois.n_pixels.astype(float)
    bad = gathered.damaged.copy()
    own = np.flatnonzero(~bad)
    warnings = [f"Frame {frame_number[i]} was left out: it holds no counts." for i in own[total[own] == 0]]
    bad[own[total[own] == 0]] = True
    if frames.find_bad:
        found, reasons = find_bad_frames(total[own])
        kept = np.isin(frame_number[own], frames.keep) & (total[own] > 0)
        warnings = [
            f"Frame {frame_number[own[i]]} was {'kept, as asked' if kept[i] else 'left out'}: {reason}."
            for i, reason in zip(np.flatnonzero(found), reasons, strict=True)
        ]
        bad[own] |= found & ~kept
    bad |= np.isin(frame_number, frames.exclude)
    if np.count_nonzero(~bad) < 2:
        raise UnusableRun(
            f"Fewer than two frames of run {plan.facts.uid[:8]} are sound; set frames.find_bad to false to use all."
        )
    return bad, warnings
