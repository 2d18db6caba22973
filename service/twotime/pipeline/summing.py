"""From the frames of a run to sums of consecutive frames, with the pixels that cannot be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frame_denoiser.thinning import usable_pixels
from twotime.errors import DamagedFrames, RecipeError, UnusableRun
from twotime.pipeline.frame_planning import FramePlan
from twotime.pipeline.protocols import Block, FrameSource, Progress
from twotime.xpcs.mask import saturation_value
from twotime.xpcs.orientation import oriented

UNPACKED_FRAMES = 8
"""So many packed frames are unpacked at a time."""


@dataclass(frozen=True)
class SummedFrames:
    """Sums of consecutive frames.

    Attributes
    ----------
    counts : (F, H, W) in the analysis frame; 0 where masked
    number : (F,) number in the run of the first frame of each sum
    summed : (F,) how many frames were added, fewer than asked for where some were damaged or excluded
    rows : (F,) which sum of the plan each one is
    mask : (H, W), True where a pixel can be used
    warnings : sentences for the reader
    """

    counts: NDArray[np.uint32]
    number: NDArray[np.int64]
    summed: NDArray[np.int64]
    rows: NDArray[np.int64]
    mask: NDArray[np.bool_]
    warnings: list[str]

    @property
    def mean(self) -> NDArray[np.float32]:
        """(H, W), counts per frame of the run."""
        total = self.counts.sum(axis=0, dtype=np.float64)
        return np.asarray(total / self.summed.sum(), np.float32)


def sum_frames(source: FrameSource, plan: FramePlan, progress: Progress) -> SummedFrames:
    """Read the frames of a plan once and add them up.

    Raises
    ------
    UnusableRun
        If no frame can be read, no pixel can be used, or all frames are zero.
    RecipeError
        If the frames hold numbers that are no counts, and the recipe has no gain.
    DamagedFrames
        If frames are damaged and the recipe says to stop.
    """
    frames, uid = plan.resolved.recipe.frames, plan.facts.uid[:8]
    adding = _Adding(plan)
    end = frames.start + plan.n_taken * frames.stride
    position = frames.start
    progress("reading", 0.0)
    while position < end:
        try:
            for first, block in source.blocks(position, min(end, frames.stop or end), frames.stride):
                adding.take(first, block)
                progress("reading", adding.n_read / plan.n_taken)
            break
        except DamagedFrames as damage:
            if frames.on_damage == "stop":
                raise
            position = max(adding.leave_out(damage), position + frames.stride)
    there = np.flatnonzero(adding.summed)
    if not there.size:
        raise UnusableRun(f"No frame of run {uid} can be used. {' '.join(adding.warnings[:1])}")
    mask = _mask(plan, adding, source.pixel_mask())
    if not mask.any():
        raise UnusableRun(f"No pixel of run {uid} can be used after the mask; loosen masks in the recipe.")
    counts = adding.counts if there.size == plan.n_frames else adding.counts[there]
    counts[:, ~mask] = 0
    if not counts.any():
        raise UnusableRun(f"All frames of run {uid} are zero; check the shutter and the detector.")
    number = frames.start + there * frames.sum * frames.stride
    return SummedFrames(counts, number, adding.summed[there], there, mask, _sentences(plan, adding))


class _Adding:
    """Takes the frames of a plan as they come."""

    def __init__(self, plan: FramePlan) -> None:
        self._plan = plan
        self._frames = plan.resolved.recipe.frames
        self._gain = plan.resolved.recipe.gain
        self.counts = np.zeros((plan.n_frames, *plan.mask.shape), np.uint32)
        self.summed = np.zeros(plan.n_frames, np.int64)
        self.bad = np.zeros(plan.facts.shape[1:], bool)
        self.maximum = np.zeros(plan.facts.shape[1:])
        self.n_read = 0
        self.warnings: list[str] = []

    def take(self, first: int, block: Block) -> None:
        """Add frames (k, H, W), the first of which has the number `first` in the run."""
        row = (first - self._frames.start) // self._frames.stride
        for part in _unpacked(block, first, self._frames.stride):
            for frame in part:
                number = self._frames.start + row * self._frames.stride
                if number not in self._frames.exclude:
                    self._add(row // self._frames.sum, frame, number)
                row += 1
        self.n_read = row

    def leave_out(self, damage: DamagedFrames) -> int:
        """Take note of frames that cannot be read; returns the number of the frame to go on with."""
        one = damage.stop - damage.first == 1
        which = f"Frame {damage.first}" if one else f"Frames {damage.first} to {damage.stop - 1}"
        self.warnings.append(f"{which} could not be read: {damage}")
        steps = max(1, -(-(damage.stop - self._frames.start) // self._frames.stride))
        return self._frames.start + steps * self._frames.stride

    def _add(self, row: int, frame: NDArray[Any], number: int) -> None:
        mark = saturation_value(frame.dtype)
        bad = frame == mark if mark is not None else ~(np.isfinite(frame) & (frame >= 0))
        self.bad |= bad
        counts = np.where(bad, 0, frame)
        if self._gain is not None:
            counts = np.rint(counts / self._gain)
        elif counts.dtype.kind == "f":
            _require_counts(counts, number)
        np.maximum(self.maximum, counts, out=self.maximum)
        self.counts[row] += oriented(counts, self._plan.resolved.orientation).astype(np.uint32)
        self.summed[row] += 1


def _unpacked(block: Block, first: int, stride: int) -> Iterator[NDArray[Any]]:
    if isinstance(block, np.ndarray):
        yield block
        return
    for start in range(0, len(block), UNPACKED_FRAMES):
        own = slice(start, min(start + UNPACKED_FRAMES, len(block)))
        try:
            yield block.unpacked(own)
        except OSError:
            yield from _one_by_one(block, own, first, stride)


def _one_by_one(block: Any, own: slice, first: int, stride: int) -> Iterator[NDArray[Any]]:
    """Frames before the first damaged one, which raises `DamagedFrames`."""
    for k in range(own.start, own.stop):
        try:
            yield block.unpacked(slice(k, k + 1))
        except OSError as error:
            number = first + k * stride
            raise DamagedFrames(f"the detector file {block.name} is damaged.", number, number + 1) from error


def _require_counts(frame: NDArray[Any], number: int) -> None:
    odd = np.flatnonzero(frame != np.rint(frame))
    if odd.size:
        raise RecipeError(
            f"Frame {number} holds {frame.ravel()[odd[0]]:g}, which is no number of photons; "
            "give gain, the value that one photon adds, in the recipe."
        )


def _mask(plan: FramePlan, adding: _Adding, pixel_mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    options = plan.resolved.recipe.masks
    good = ~adding.bad
    if options.hot_above_counts is not None:
        good &= adding.maximum <= options.hot_above_counts
    if options.pixel_mask and pixel_mask is not None:
        good &= pixel_mask
    mask: NDArray[np.bool_] = plan.mask & oriented(good, plan.resolved.orientation)
    total, n_frames = adding.counts.sum(axis=0, dtype=np.float64), max(int(adding.summed.sum()), 1)
    if options.dark_below_mean is not None:
        mask &= total / n_frames >= options.dark_below_mean
    if options.isolated:
        # Gaps hold no counts: their neighbours must not seem hot beside them, nor they dead.
        mask &= usable_pixels(_filled(total, mask), n_frames) | ~mask
    return mask


def _filled(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Counts in which each masked pixel has those of the nearest that is not."""
    if mask.all() or not mask.any():
        return total
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = total[tuple(nearest)]
    return filled


def _sentences(plan: FramePlan, adding: _Adding) -> list[str]:
    frames = plan.resolved.recipe.frames
    short = int(np.count_nonzero((adding.summed > 0) & (adding.summed < frames.sum)))
    gone = int(np.count_nonzero(adding.summed == 0))
    found = adding.warnings[:20]
    if short:
        found.append(f"{short} sums hold fewer than {frames.sum} frames; their counts are not scaled up.")
    if gone:
        found.append(f"{gone} of {plan.n_frames} sums hold no frame and were left out.")
    return found
