"""Picking the pixels of all ROIs out of frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.mask import saturation_value
from twotime.xpcs.orientation import Orientation, as_written, oriented


class RoiPixels:
    """The pixels of all ROIs, sorted by ROI.

    Parameters
    ----------
    labels : (H, W) array in the analysis frame, 0 off the ROIs, 1 ... R on them
    orientation : from frames as written to the analysis frame

    Attributes
    ----------
    indices : (P,) flat index of each pixel in the analysis frame; within one ROI in the order of the frame
    columns : one slice of `indices` per ROI
    """

    def __init__(self, labels: NDArray[np.int32], orientation: Orientation = "raw") -> None:
        flat = labels.ravel()
        inside = np.flatnonzero(flat)
        self.indices: NDArray[np.intp] = inside[np.argsort(flat[inside], kind="stable")]
        ends = np.cumsum(np.bincount(flat[inside], minlength=1)[1:]).tolist()
        self.columns = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
        written = as_written(labels, orientation).shape
        places = np.arange(labels.size).reshape(written)
        self._written: NDArray[np.intp] = oriented(places, orientation).ravel()[self.indices]

    @property
    def n_pixels(self) -> int:
        """Pixels of all ROIs together."""
        return len(self.indices)

    def gather(self, block: NDArray[Any]) -> NDArray[Any]:
        """Counts (k, P) of frames (k, H, W) as written."""
        return np.take(block.reshape(len(block), -1), self._written, axis=1, mode="clip")


class CountMatrix:
    """Counts (N, P) of all frames, in the smallest integer type that holds them.

    Marks of saturation are set to zero: pixels that ever hold one are masked anyway.

    Parameters
    ----------
    n_frames, n_pixels : N and P
    """

    def __init__(self, n_frames: int, n_pixels: int) -> None:
        self.values: NDArray[Any] = np.zeros((n_frames, n_pixels), np.uint8)

    def fill(self, first: int, counts: NDArray[Any]) -> None:
        """Put counts (k, P) at rows `first`, `first` + 1, ..."""
        mark = saturation_value(counts.dtype)
        if mark is not None:
            counts = np.where(counts == mark, counts.dtype.type(0), counts)
        needed = np.result_type(self.values.dtype, _smallest(counts))
        if needed != self.values.dtype:
            self.values = self.values.astype(needed)
        self.values[first : first + len(counts)] = counts


def _smallest(counts: NDArray[Any]) -> np.dtype[Any]:
    """The smallest type for these counts."""
    if counts.dtype.kind not in "ui" or int(counts.min(initial=0)) < 0:
        return counts.dtype
    return np.min_scalar_type(int(counts.max(initial=0)))
