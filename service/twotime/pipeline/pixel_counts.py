"""From a frame as the detector writes it to photons in the analysis frame, with the pixels that cannot be used."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from frame_denoiser.thinning import usable_pixels
from twotime.errors import DamagedFrames, RecipeError
from twotime.pipeline.frame_planning import FramePlan
from twotime.pipeline.protocols import Block
from twotime.xpcs.mask import saturation_value
from twotime.xpcs.orientation import oriented

UNPACKED_FRAMES = 8
"""So many packed frames are unpacked at a time."""


class PixelCounts:
    """Turns frames of a plan into photons, and remembers what they tell of each pixel.

    Parameters
    ----------
    plan : of the frames
    """

    def __init__(self, plan: FramePlan) -> None:
        self._plan = plan
        self._gain = plan.resolved.recipe.gain
        self._bad = np.zeros(plan.facts.shape[1:], bool)
        self._maximum = np.zeros(plan.facts.shape[1:])

    def counts(self, frame: NDArray[Any], number: int) -> NDArray[np.uint32]:
        """Photons (H, W) in the analysis frame of a frame as written; 0 where its value marks a pixel as unusable.

        Parameters
        ----------
        frame : as the detector writes it
        number : in the run, for sentences

        Raises
        ------
        RecipeError
            If the frame holds numbers that are no counts, and the recipe has no gain.
        """
        mark = saturation_value(frame.dtype)
        bad = frame == mark if mark is not None else ~(np.isfinite(frame) & (frame >= 0))
        self._bad |= bad
        counts = np.where(bad, 0, frame)
        if self._gain is not None:
            counts = np.rint(counts / self._gain)
        elif counts.dtype.kind == "f":
            _require_counts(counts, number)
        np.maximum(self._maximum, counts, out=self._maximum)
        return oriented(counts, self._plan.resolved.orientation).astype(np.uint32)

    def mask(
        self, total: NDArray[np.float64], n_frames: int, pixel_mask: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """Pixels (H, W) of the analysis frame that can be used, as far as the frames so far tell.

        Parameters
        ----------
        total : (H, W), photons of all frames together
        n_frames : how many these are
        pixel_mask : see `FrameSource.pixel_mask`
        """
        options = self._plan.resolved.recipe.masks
        good = ~self._bad
        if options.hot_above_counts is not None:
            good &= self._maximum <= options.hot_above_counts
        if options.pixel_mask and pixel_mask is not None:
            good &= pixel_mask
        mask: NDArray[np.bool_] = self._plan.mask & oriented(good, self._plan.resolved.orientation)
        if options.dark_below_mean is not None:
            mask &= total / n_frames >= options.dark_below_mean
        if options.isolated:
            # Gaps hold no counts: their neighbours must not seem hot beside them, nor they dead.
            mask &= usable_pixels(_filled(total, mask), n_frames) | ~mask
        return mask


def unpacked(block: Block, first: int, stride: int) -> Iterator[NDArray[Any]]:
    """Frames (k, H, W) of a block, a few at a time; the first has the number `first` in the run.

    Raises
    ------
    DamagedFrames
        At the first frame that cannot be unpacked.
    """
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


def _filled(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Counts in which each masked pixel has those of the nearest that is not."""
    if mask.all() or not mask.any():
        return total
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = total[tuple(nearest)]
    return filled
