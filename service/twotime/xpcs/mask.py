"""Which pixels can be used: found from what all frames together show."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts
from twotime.xpcs.orientation import Orientation, oriented

HOT_MEAN = 8.0
HOT_MAXIMUM = 20.0
DEAD_MEAN = 0.02
ENOUGH_COUNTS = 50.0
ANNULUS_PIXELS = 300
_TILE = 4096


class FrameStatistics:
    """Sums and maxima over frames, gathered block by block; exact, and the same for any division into blocks.

    Attributes
    ----------
    n_frames : frames seen so far
    total : (H, W) uint64, or float64 for counts that are no integers, sum over frames; negative ones are no counts
    maximum : (H, W), largest count of each pixel
    negative : (H, W), pixels that ever held a negative number, by which detectors of a signed type mark gaps
    saturated : (H, W), pixels that ever held the value by which their detector marks gaps and saturation
    """

    def __init__(self) -> None:
        self.n_frames = 0
        self.total: NDArray[Any] = np.zeros((0, 0), np.uint64)
        self.maximum: NDArray[Any] = np.zeros((0, 0))
        self.negative: NDArray[np.bool_] = np.zeros((0, 0), bool)
        self.saturated: NDArray[np.bool_] = np.zeros((0, 0), bool)

    def accumulate(self, block: NDArray[Any]) -> None:
        """Take in (k, H, W) frames."""
        if block.dtype.kind == "u" and (self.n_frames == 0 or self.total.dtype == np.uint64):
            frames, largest_of_type = block.reshape(len(block), -1), np.iinfo(block.dtype).max
            own = self.take_in(len(block), block.shape[1:], block.dtype)
            in_parts(frames.shape[1], lambda first, end: _accumulate(frames, *own, largest_of_type, first, end))
            return
        self._begin(block.shape[1:], block.dtype)
        self.n_frames += len(block)
        if block.dtype.kind != "u":
            self.negative |= (block < 0).any(axis=0)
            block = np.maximum(block, 0)
        largest = block.max(axis=0)
        mark = saturation_value(block.dtype)
        if mark is not None:
            self.saturated |= largest == mark
        self.total = self.total + block.sum(axis=0, dtype=self.total.dtype)
        self.maximum = np.maximum(self.maximum, largest)

    def take_in(
        self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[NDArray[np.uint64], NDArray[Any], NDArray[np.bool_]]:
        """Make room for so many frames of an unsigned type; flat total, maximum and saturated, for who adds them up."""
        self._begin(shape, dtype)
        self.n_frames += number
        self.maximum = self.maximum.astype(np.promote_types(self.maximum.dtype, dtype), copy=False)
        return self.total.ravel(), self.maximum.ravel(), self.saturated.ravel()

    def _begin(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if self.n_frames == 0:
            self.total = np.zeros(shape, np.float64 if dtype.kind == "f" else np.uint64)
            self.maximum = np.zeros(shape, dtype)
            self.negative = np.zeros(shape, bool)
            self.saturated = np.zeros(shape, bool)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean count of each pixel, (H, W)."""
        return self.total / max(self.n_frames, 1)

    def oriented(self, orientation: Orientation) -> "FrameStatistics":
        """The same in the analysis frame."""
        turned = FrameStatistics()
        turned.n_frames = self.n_frames
        for name in ("total", "maximum", "negative", "saturated"):
            setattr(turned, name, np.ascontiguousarray(oriented(getattr(self, name), orientation)))
        return turned


def saturation_value(dtype: np.dtype[Any]) -> int | None:
    """Count by which a photon-counting detector marks gaps and saturation: the largest of its unsigned type.

    Examples
    --------
    >>> saturation_value(np.dtype("uint16")), saturation_value(np.dtype("int32"))
    (65535, None)
    """
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else None


def find_bad_pixels(
    statistics: FrameStatistics,
    radius: NDArray[np.float64],
    *,
    from_data: bool = True,
    hot_above_counts: int | None = None,
    dark_below_mean: float | None = None,
) -> NDArray[np.bool_]:
    """Which pixels can be used.

    Parameters
    ----------
    statistics : of all frames
    radius : (H, W) array, distance from the beam centre, pixels
    from_data : compare each pixel with others at its radius
    hot_above_counts : leave out pixels that exceed this in any frame
    dark_below_mean : leave out pixels whose mean count is below this

    Returns
    -------
    (H, W) bool, True where a pixel can be used

    Notes
    -----
    Saturated and negative pixels are always left out. With `from_data` a pixel is dead where it counts below 2 % of the
    median of its annulus, hot where its mean exceeds 8 times, or its maximum 20 times, that of its annulus. These
    limits are wide, because slow speckle makes sound pixels of one radius differ several times.
    """
    good = ~(statistics.saturated | statistics.negative)
    if hot_above_counts is not None:
        good &= statistics.maximum <= hot_above_counts
    if dark_below_mean is not None:
        good &= statistics.mean >= dark_below_mean
    if from_data:
        good &= _like_their_annulus(statistics, radius, good)
    return good


def _like_their_annulus(
    statistics: FrameStatistics, radius: NDArray[np.float64], good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    alike = good.copy()
    if not good.any():
        return alike
    # Sorting 16-bit numbers takes one pass over them, and is fine enough for annuli of hundreds of pixels.
    steps = (radius[good] * (65535 / max(float(radius.max()), 1.0))).astype(np.uint16)
    places = np.flatnonzero(good)[np.argsort(steps, kind="stable")]
    annuli = max(1, places.size // ANNULUS_PIXELS)
    counts = statistics.total.ravel(), statistics.maximum.ravel()
    in_parts(annuli, partial(_mark_strangers, places, counts, alike.ravel(), annuli))
    return alike


def _mark_strangers(
    places: NDArray[np.intp],
    counts: tuple[NDArray[Any], NDArray[Any]],
    alike: NDArray[np.bool_],
    annuli: int,
    first: int,
    end: int,
) -> None:
    """Compare the pixels of annuli `first` to `end`; those left over by annuli of equal size go with the last."""
    totals, maxima = counts
    length = len(places) // annuli
    some, others = np.empty(length), np.empty(length)
    for annulus in range(first, end):
        start = annulus * length
        for k in range(length):
            some[k], others[k] = totals[places[start + k]], maxima[places[start + k]]
        median, median_maximum = np.median(some), np.median(others)
        brightest = max(HOT_MEAN * median, ENOUGH_COUNTS)
        faintest = DEAD_MEAN * median if median > ENOUGH_COUNTS else -np.inf
        for k in range(start, len(places) if annulus == annuli - 1 else start + length):
            total, maximum = float(totals[places[k]]), float(maxima[places[k]])
            alike[places[k]] = faintest <= total <= brightest and maximum <= HOT_MAXIMUM * (median_maximum + 1)


def _accumulate(
    frames: NDArray[Any],
    total: NDArray[np.uint64],
    maximum: NDArray[Any],
    saturated: NDArray[np.bool_],
    mark: int,
    first: int,
    end: int,
) -> None:
    """Sums and maxima of pixels `first` to `end`, a tile at a time so that it stays in the cache."""
    sums, largest = np.empty(_TILE, np.uint64), np.empty(_TILE, frames.dtype)
    for start in range(first, end, _TILE):
        length = min(_TILE, end - start)
        own_sums, own_largest = sums[:length], largest[:length]
        own_sums[:] = 0
        own_largest[:] = 0
        for frame in range(len(frames)):
            row = frames[frame, start : start + length]
            for k in range(length):
                own_sums[k] += row[k]
                own_largest[k] = max(own_largest[k], row[k])
        for k in range(length):
            total[start + k] += own_sums[k]
            maximum[start + k] = max(maximum[start + k], own_largest[k])
            if own_largest[k] == mark:
                saturated[start + k] = True


_accumulate = compiled(_accumulate)
_mark_strangers = compiled(_mark_strangers)
