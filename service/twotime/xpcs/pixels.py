"""Picking the pixels of all ROIs out of frames."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts
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
    places : (P,) flat index of each pixel in the frame as written
    """

    def __init__(self, labels: NDArray[np.int32], orientation: Orientation = "raw") -> None:
        flat = labels.ravel()
        inside = np.flatnonzero(flat)
        self.indices: NDArray[np.intp] = inside[np.argsort(flat[inside], kind="stable")]
        ends = np.cumsum(np.bincount(flat[inside], minlength=1)[1:]).tolist()
        self.columns = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)] if ends else []
        written = as_written(labels, orientation).shape
        places = np.arange(labels.size).reshape(written)
        self.places: NDArray[np.intp] = oriented(places, orientation).ravel()[self.indices]

    @property
    def n_pixels(self) -> int:
        """Pixels of all ROIs together."""
        return len(self.indices)

    @cached_property
    def in_file_order(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """`places` in rising order, and where each of them stands in `places`."""
        order = np.argsort(self.places, kind="stable")
        return self.places[order], order

    def gather(self, block: NDArray[Any]) -> NDArray[Any]:
        """Counts (k, P) of frames (k, H, W) as written."""
        return np.take(block.reshape(len(block), -1), self.places, axis=1, mode="clip")


class CountMatrix:
    """Counts (N, P) of all frames, in the smallest integer type that holds them.

    Marks of saturation are set to zero: pixels that ever hold one are masked anyway.

    Parameters
    ----------
    n_frames : N
    pixels : of the ROIs
    allocate : makes an array of zeros of a shape and type, in memory or wherever there is room
    """

    def __init__(
        self,
        n_frames: int,
        pixels: RoiPixels,
        allocate: Callable[[tuple[int, int], np.dtype[Any]], NDArray[Any]] = np.zeros,
    ) -> None:
        self._allocate = allocate
        self.values: NDArray[Any] = allocate((n_frames, pixels.n_pixels), np.dtype(np.uint8))
        self.pixels = pixels

    def fill(self, first: int, block: NDArray[Any]) -> None:
        """Put the pixels of frames (k, H, W), as written, at rows `first`, `first` + 1, ..."""
        if block.dtype.kind != "u" or self.values.dtype.kind != "u":
            counts = self.pixels.gather(block)
            self._widen(np.result_type(self.values.dtype, counts.dtype))
            self.values[first : first + len(block)] = counts
            return
        frames, mark = block.reshape(len(block), -1), np.iinfo(block.dtype).max
        while True:
            largest = max(in_parts(len(self.pixels.places), partial(self._copied, first, frames, mark)))
            if not self.widen(largest):
                return

    def widen(self, largest: int) -> bool:
        """Make room for counts up to `largest`; whether there was none."""
        if largest <= np.iinfo(self.values.dtype).max:
            return False
        self._widen(np.min_scalar_type(largest))
        return True

    def _widen(self, dtype: np.dtype[Any]) -> None:
        if dtype != self.values.dtype:
            rows, columns = self.values.shape
            wider = self._allocate((rows, columns), dtype)
            wider[...] = self.values
            self.values = wider

    def _copied(self, first: int, frames: NDArray[Any], mark: int, start: int, end: int) -> int:
        out = self.values[first : first + len(frames)]
        return _fill(frames, self.pixels.places, out, mark, np.iinfo(out.dtype).max, start, end)


def _fill(
    frames: NDArray[Any],
    places: NDArray[np.intp],
    out: NDArray[Any],
    mark: int,
    most: int,
    first: int,
    end: int,
) -> int:
    """Copy pixels `first` to `end` as far as they do not exceed `most`; the largest count of all."""
    largest = 0
    own = places[first:end]
    for frame in range(len(frames)):
        row, target = frames[frame], out[frame, first:end]
        for k in range(len(own)):
            value = row[own[k]]
            if value == mark:
                value = row.dtype.type(0)
            largest = max(largest, value)
            target[k] = min(value, most)
    return largest


_fill = compiled(_fill)
