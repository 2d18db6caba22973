"""One-time correlation functions: averages of the two-time correlation function along its diagonals, with errors."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from twotime.xpcs.compiled import compiled, in_parts
from twotime.xpcs.products import row_sums

FEWEST_BLOCKS = 8
ROWS_AT_ONCE = 8
"""Rows written side by side: more would drive each other out of the cache where they lie a power of two apart."""


class OneTime(NamedTuple):
    """Values and standard errors at lags 1 ... N - 1."""

    g2: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def lag(self) -> NDArray[np.int64]:
        """Lags in frames."""
        return np.arange(1, self.g2.shape[-1] + 1)


@dataclass(frozen=True)
class AgeCuts:
    """One-time correlation functions at constant age.

    Attributes
    ----------
    age : (A,) middle of each cut, (t1 + t2) / 2 in frames
    lag : (L,) frames
    g2, error : (A, L); NaN where a cut holds no pair of sound frames
    pairs : (A, L), pairs of sound frames in each cut
    """

    age: NDArray[np.float64]
    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    error: NDArray[np.float64]
    pairs: NDArray[np.int64]


def one_time(c2: NDArray[Any], *, max_lag: int | None = None) -> OneTime:
    """Mean along the diagonals of a two-time correlation function.

    Parameters
    ----------
    c2 : (..., N, N) array
    max_lag : L, longest lag in frames; None: N - 1

    Returns
    -------
    OneTime
        Two arrays (..., L), values and standard errors at lags 1 ... L; lag 0 is shot noise and left out.

    Raises
    ------
    ValueError
        If `c2` is not square.

    Notes
    -----
    NaN are left out; a diagonal without values gives NaN, and one with fewer than two gives a NaN error. Neighbours
    along a diagonal share speckle, so that scatter / √n is too small: the error is the largest standard error over
    means of 1, 2, 4, ... neighbours, as long as eight means remain (Flyvbjerg & Petersen 1989). A scan of few
    relaxation times still errs by more than that: where the pixels are at hand, fit with `pixel_covariance`.
    """
    c2 = np.asarray(c2)
    if c2.ndim < 2 or c2.shape[-1] != c2.shape[-2]:
        raise ValueError(f"c2 has shape {c2.shape}, expected (..., N, N).")
    n_frames = c2.shape[-1]
    flat = c2.reshape(-1, n_frames, n_frames)
    longest = n_frames - 1 if max_lag is None else min(max_lag, n_frames - 1)
    lag = np.arange(1, longest + 1)
    curves = [_averaged(matrix, lag, np.zeros(1), np.full(1, float(n_frames))) for matrix in flat]
    shape = (*c2.shape[:-2], longest)
    g2, error = (np.array([curve[k][0] for curve in curves]).reshape(shape) for k in (0, 1))
    return OneTime(g2, error)


def one_time_covariance(c2: NDArray[Any], lag: NDArray[np.int64], blocks: int = 10) -> NDArray[np.float64]:
    """Covariance of the one-time correlation function between lags, from its changes with age.

    Parameters
    ----------
    c2 : (N, N) array
    lag : (L,) frames
    blocks : parts into which each diagonal is cut

    Returns
    -------
    (L, L) array
        Delete-one-block jackknife; NaN are left out.
    """
    replicates = np.full((blocks, len(lag)), np.nan)
    for column, own in enumerate(lag):
        diagonal = np.diagonal(c2, int(own)).astype(float)
        finite = np.isfinite(diagonal)
        part = np.arange(len(diagonal)) * blocks // max(len(diagonal), 1)
        sums = np.bincount(part[finite], diagonal[finite], minlength=blocks)
        counts = np.bincount(part[finite], minlength=blocks)
        left = counts.sum() - counts
        replicates[:, column] = np.divide(sums.sum() - sums, left, out=np.full(blocks, np.nan), where=left > 0)
    deviation = replicates - replicates.mean(axis=0)
    covariance: NDArray[np.float64] = (blocks - 1) / blocks * deviation.T @ deviation
    return covariance


def pixel_covariance(
    pixels: NDArray[Any], lag: NDArray[np.int64], *, bad: NDArray[np.bool_] | None = None, groups: int = 40
) -> NDArray[np.float64]:
    """Covariance of the one-time correlation function between lags, from its scatter over the ROI.

    Parameters
    ----------
    pixels : (N, P) array, counts; neighbouring columns are neighbouring pixels
    lag : (L,) frames
    bad : (N,) array, True where a frame is left out
    groups : parts of the ROI that are compared

    Returns
    -------
    (L, L) array

    Notes
    -----
    Pixels of different speckles fluctuate independently, so the scatter of g2 over parts of the ROI holds all of the
    noise: between lags, between neighbouring frames, and of the few relaxation times that a scan may span. Each part's
    g2 is normalised by the frame means of the whole ROI, so that the mean over equal parts is the ROI's g2.
    """
    n_frames, n_pixels = pixels.shape
    groups = min(groups, n_pixels)
    mean = row_sums(pixels) / n_pixels
    sound = mean > 0 if bad is None else (mean > 0) & ~bad
    scale = np.divide(1.0, mean, out=np.zeros(n_frames), where=sound)
    size = next_fast_len(n_frames + int(lag.max(initial=0)), real=True)
    pairs = irfft(np.abs(rfft(sound.astype(float), size)) ** 2, size)[lag]
    curves = np.empty((groups, len(lag)))
    weights = np.empty(groups)
    for number, own in enumerate(np.array_split(np.arange(n_pixels), groups)):
        deviations = np.zeros((len(own), size), np.float32)
        _deviations(pixels, int(own[0]), scale, deviations)
        waves = rfft(deviations, axis=1)
        power = (waves.real**2 + waves.imag**2).sum(axis=0)
        curves[number] = irfft(power, size)[lag] / np.maximum(np.round(pairs), 1) / len(own)
        weights[number] = len(own)
    weights /= weights.sum()
    deviation = curves - weights @ curves
    covariance: NDArray[np.float64] = (deviation * weights[:, None] ** 2).T @ deviation * groups / max(groups - 1, 1)
    return covariance


def _deviations(pixels: NDArray[Any], first: int, scale: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    """Counts relative to the frame's mean, less one, of pixels `first` on, one row each; 0 where the scale is."""
    for some in range(0, len(out), ROWS_AT_ONCE):
        end = min(some + ROWS_AT_ONCE, len(out))
        for t in range(len(pixels)):
            if scale[t] > 0:
                for p in range(some, end):
                    out[p, t] = pixels[t, first + p] * scale[t] - 1


def age_cuts(c2: NDArray[Any], number: int, *, width: float | None = None, max_lag: int | None = None) -> AgeCuts:
    """Cut a two-time correlation function at constant ages.

    Parameters
    ----------
    c2 : (N, N) array
    number : of cuts, evenly spread
    width : of each cut in age, frames; None: N / number, so that cuts touch and no pair counts twice
    max_lag : longest lag, frames; None: N - 1, NaN where a cut does not reach that far

    Returns
    -------
    AgeCuts
        Age is (t1 + t2) / 2, lag is t2 - t1.

    Raises
    ------
    ValueError
        If `number` is not between 1 and N, or `width` not above 0 and at most N.
    """
    n_frames = len(c2)
    if not 1 <= number <= n_frames:
        raise ValueError(f"number is {number}, expected 1 to {n_frames} age cuts.")
    if width is not None and not 0 < width <= n_frames:
        raise ValueError(f"width is {width:g}, expected above 0 and at most {n_frames} frames.")
    lag = np.arange(1, min(max_lag or n_frames - 1, n_frames - 1) + 1)
    age = np.asarray((np.arange(number) + 0.5) * n_frames / number, np.float64)
    half = (n_frames / number if width is None else width) / 2
    g2, error, pairs = _averaged(c2, lag, age - half, age + half)
    return AgeCuts(age, lag, g2, error, pairs)


def _averaged(
    c2: NDArray[Any], lag: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Means along diagonals between ages `low` (included) and `high`, their errors and the number of pairs, (A, L)."""
    shape = (len(low), len(lag))
    g2, error, pairs = np.empty(shape), np.empty(shape), np.empty(shape, np.int64)
    matrix = np.ascontiguousarray(c2)

    def average(first: int, end: int) -> None:
        # Short lags have more pairs than long ones: each part takes as many from either end.
        _average(matrix, lag, (low, high), (g2, error, pairs), first, end)
        _average(matrix, lag, (low, high), (g2, error, pairs), len(lag) - end, len(lag) - first)

    half = len(lag) // 2
    in_parts(half, average)
    _average(matrix, lag, (low, high), (g2, error, pairs), half, len(lag) - half)
    return g2, error, pairs


def _mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and its standard error, allowing for likeness of neighbours; averages neighbours in place."""
    count = len(values)
    if count == 0:
        return np.nan, np.nan
    mean = values.sum() / count
    if count == 1:
        return mean, np.nan
    largest = 0.0
    while True:
        square = 0.0
        own = values[:count].sum() / count
        for k in range(count):
            square += (values[k] - own) ** 2
        largest = max(largest, math.sqrt(square / (count - 1) / count))
        if count < 2 * FEWEST_BLOCKS:
            return mean, largest
        count //= 2
        for k in range(count):
            values[k] = (values[2 * k] + values[2 * k + 1]) / 2


def _average(
    c2: NDArray[Any],
    lag: NDArray[np.int64],
    ages: tuple[NDArray[np.float64], NDArray[np.float64]],
    results: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    first: int,
    end: int,
) -> None:
    """Lags `first` to `end`."""
    low, high = ages
    g2, error, pairs = results
    n_frames = len(c2)
    room = np.empty(n_frames)
    for column in range(first, end):
        own = lag[column]
        for row in range(len(low)):
            start = max(0, math.ceil(low[row] - own / 2))
            stop = min(n_frames - own, math.ceil(high[row] - own / 2))
            count = 0
            for i in range(start, stop):
                value = c2[i, i + own]
                if math.isfinite(value):
                    room[count] = value
                    count += 1
            pairs[row, column] = count
            g2[row, column], error[row, column] = _mean_and_error(room[:count])


_deviations = compiled(_deviations)
_mean_and_error = compiled(_mean_and_error)
_average = compiled(_average)
