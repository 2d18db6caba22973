"""Stretches of frames in which beam or detector moved and came back: damage that the intensity does not show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

LONGEST_LAG = 64
"""Frames before and after that each frame is compared with."""
LENGTHS = (1, 2, 4, 8, 16)
"""Frames whose losses are averaged: long stretches are seen through more noise."""
LOST = 0.5
"""Share of its correlation with both sides that a stretch must have lost, and that the two sides must have kept."""
SIGNIFICANT = 6.0
"""Robust standard deviations by which it must have lost it."""
FEWEST_LAGS = 4
"""Within the decay: faster dynamics do not say whether anything came back."""


def find_excursions(c2: NDArray[Any]) -> NDArray[np.bool_]:
    """Find frames that correlate neither with those before nor with those after, although these correlate.

    Parameters
    ----------
    c2 : (N, N) array; NaN in the rows and columns of bad frames

    Returns
    -------
    (N,) bool
        True where a frame belongs to an excursion.

    Notes
    -----
    Dynamics decorrelate frames for good: after an avalanche the frames before it and those after it differ. If both
    sides of a stretch are alike and only the stretch differs from them, the sample was not what moved. The correlation
    of a frame with one side is the mean over lags of C2 - C∞ relative to that of the whole scan, weighted by it. Only
    stretches shorter than half of the decay, with frames on both sides, can be told.

    Examples
    --------
    >>> still = np.full((60, 60), 1.2)
    >>> still[30:33] = still[:, 30:33] = 1.0
    >>> np.flatnonzero(find_excursions(still))
    array([30, 31, 32])
    """
    n = len(c2)
    found = np.zeros(n, bool)
    lags = np.arange(1, min(LONGEST_LAG, n // 4) + 1)
    if len(lags) < FEWEST_LAGS:
        return found
    # Medians: an excursion hardly moves them.
    medians = np.array([_median(np.diagonal(c2, lag)) for lag in lags])
    weight = _above_baseline(c2, medians)
    # As far as half of the correlation is left: beyond it, neither side says much.
    reach = int(np.count_nonzero(np.cumprod(weight > 0.5 * weight[0]))) if weight[0] > 0 else 0
    if reach < FEWEST_LAGS:
        return found
    medians, weight = medians[:reach], weight[:reach]
    before, after = _kept(c2, medians, weight)
    for length in (own for own in LENGTHS if 2 * own <= reach):
        # What fits one of its sides is a change of the sample.
        better = np.maximum(_moving_mean(before, length), _moving_mean(after, length))
        for stretch in _lost(better, length):
            if len(stretch) > reach:  # No trimming makes it short enough.
                continue
            own = _trimmed(stretch, before, after)
            if 2 * len(own) <= reach and _sides_agree(c2, own, medians, weight):
                found[own] = True
    return found


def _median(values: NDArray[Any]) -> float:
    sound = values[np.isfinite(values)]
    return float(np.median(sound)) if len(sound) else np.nan


def _above_baseline(c2: NDArray[Any], medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation (L,) of the whole scan above its baseline."""
    far = _median(np.diagonal(c2, 3 * len(c2) // 4))
    # Where far lags are still correlated the baseline is not seen, and 1 is the best guess.
    decayed = np.isfinite(far) and far < 0.5 * (1 + medians[0])
    return np.nan_to_num(medians - (far if decayed else 1.0))


def _kept(
    c2: NDArray[Any], medians: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlation (N,) of each frame with those before and after it, 1 where it is that of the whole scan."""
    n = len(c2)
    total, square = np.zeros((2, n)), np.zeros((2, n))
    for lag, (median, own) in enumerate(zip(medians, weight, strict=True), start=1):
        diagonal = np.diagonal(c2, lag)
        sound = np.isfinite(diagonal)
        excess = np.where(sound, diagonal - median + own, 0.0)
        for side, rows in ((0, slice(lag, n)), (1, slice(0, n - lag))):
            total[side, rows] += own * excess
            square[side, rows] += own * own * sound
    kept = np.divide(total, square, out=np.full((2, n), np.nan), where=square > 0)
    return kept[0], kept[1]


def _moving_mean(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Means (N - length + 1,) of so many neighbours."""
    return np.convolve(values, np.full(length, 1 / length), "valid")


def _lost(better: NDArray[np.float64], length: int) -> list[NDArray[np.intp]]:
    """Stretches of frames whose means over `length` frames have lost their correlation."""
    known = better[np.isfinite(better)]
    if len(known) < FEWEST_LAGS:
        return []
    middle = float(np.median(known))
    scatter = 1.4826 * float(np.median(np.abs(known - middle)))
    runs, number = label(better < middle - max(LOST, SIGNIFICANT * scatter))
    starts = [np.flatnonzero(runs == run) for run in range(1, number + 1)]
    return [np.arange(own[0], own[-1] + length) for own in starts]


def _trimmed(stretch: NDArray[np.intp], before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.intp]:
    """The part of a stretch, and of as many frames on either side, that has lost most beyond `LOST`."""
    wide = np.arange(max(0, stretch[0] - len(stretch)), min(len(before), stretch[-1] + len(stretch) + 1))
    gain = np.nan_to_num(1 - LOST - np.fmax(before[wide], after[wide]), nan=-1.0)
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    best = max((sums[b] - sums[a], a, b) for a in range(len(wide)) for b in range(a + 1, len(wide) + 1))
    return np.asarray(wide[best[1] : best[2]], np.intp)


def _sides_agree(
    c2: NDArray[Any], stretch: NDArray[np.intp], medians: NDArray[np.float64], weight: NDArray[np.float64]
) -> bool:
    """Whether the frames before and after a stretch correlate as the whole scan does."""
    reach, first, last = len(weight), int(stretch[0]), int(stretch[-1])
    total = square = 0.0
    for i in range(max(0, last + 1 - reach), first):
        row = c2[i, last + 1 : i + reach + 1]
        lag = np.arange(last + 1 - i, last + 1 - i + len(row)) - 1
        sound = np.isfinite(row)
        excess = row - medians[lag] + weight[lag]
        total += float((weight[lag] * excess)[sound].sum())
        square += float((weight[lag] ** 2)[sound].sum())
    return square > 0 and total / square > 1 - LOST
