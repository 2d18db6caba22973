"""The one-time correlation function at quasi-logarithmic lags, straight from the counts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts

BUFFER = 8
"""Lags per level; each level adds two frames of the one before to one."""
PIXELS_AT_ONCE = 128


@dataclass(frozen=True)
class MultiTau:
    """One-time correlation function.

    Attributes
    ----------
    lag : (L,) frames
    g2, error : (L,); NaN where no pair of sound frames lies that far apart
    """

    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    error: NDArray[np.float64]


def multi_tau(
    pixels: NDArray[Any],
    *,
    bad: NDArray[np.bool_] | None = None,
    flat: NDArray[np.floating] | None = None,
    groups: int = 40,
) -> MultiTau:
    """Correlate counts at lags 1 to 8, then at ever coarser steps of ever longer sums of frames.

    Parameters
    ----------
    pixels : (N, P) array, counts
    bad : (N,) array, True where a frame is left out
    flat : (P,) array, positive: static image by which each pixel is divided; None: nothing
    groups : parts of the ROI whose scatter gives the error

    Returns
    -------
    MultiTau
        Lags up to three quarters of the scan.

    Notes
    -----
    Schätzel 1990, symmetric normalisation: g2(k) = <I(t) I(t + k)> / (<I(t)> <I(t + k)>), means over the pixels and
    over the pairs of sound frames at hand, so that a drifting intensity does not tilt the curve. Where a level adds
    frames, a sum with a bad frame in it is left out. The error is the scatter over parts of the ROI, whose speckle is
    independent.
    """
    n_frames, n_pixels = pixels.shape
    groups = min(groups, n_pixels)
    edges = np.linspace(0, n_pixels, groups + 1).astype(int)[:-1]
    share = np.diff([*edges, n_pixels]) / n_pixels
    values = np.asarray(pixels, np.float32) if flat is None else np.asarray(pixels / flat, np.float32)
    sound = np.ones(n_frames, bool) if bad is None else ~bad
    lags, g2, errors = [], [], []
    step = 1
    while len(values) > 1:
        first = 1 if step == 1 else BUFFER // 2 + 1
        own = [k for k in range(first, BUFFER + 1) if k < len(values) and k * step <= 0.75 * n_frames]
        sums = np.zeros((3, len(own), n_pixels))
        pairs = np.zeros(len(own), np.int64)
        in_parts(n_pixels, partial(_add_pairs, values, sound, np.array(own, np.int64), sums, pairs))
        for k, lag in enumerate(own):
            lags.append(lag * step)
            value, error = _normalised(sums[:, k], int(pairs[k]), edges, share)
            g2.append(value)
            errors.append(error)
        half = len(values) // 2
        values = values[0 : 2 * half : 2] + values[1 : 2 * half : 2]
        sound = sound[0 : 2 * half : 2] & sound[1 : 2 * half : 2]
        step *= 2
    return MultiTau(np.array(lags, np.int64), np.array(g2), np.array(errors))


def _normalised(
    sums: NDArray[np.float64], pairs: int, edges: NDArray[np.int64], share: NDArray[np.float64]
) -> tuple[float, float]:
    """g2 at one lag and its error from parts of the ROI; `sums` are of products, past and future of each pixel."""
    if pairs == 0:
        return np.nan, np.nan
    products, past, future = sums / pairs
    norm = float(past.mean()), float(future.mean())
    if min(norm) <= 0:
        return np.nan, np.nan
    # Deviations from the mean: the brightness of a part is no error of its correlation.
    per_pixel = products / norm[0] / norm[1] - past / norm[0] - future / norm[1] + 2
    parts = np.add.reduceat(per_pixel, edges) / (share * len(per_pixel))
    g2, number = float(share @ parts), len(parts)
    error = float(np.sqrt(np.sum((share * (parts - g2)) ** 2) * number / max(number - 1, 1)))
    return g2, error if number > 1 else np.nan


def _add_pairs(
    values: NDArray[np.float32],
    sound: NDArray[np.bool_],
    lags: NDArray[np.int64],
    sums: NDArray[np.float64],
    pairs: NDArray[np.int64],
    first: int,
    end: int,
) -> None:
    """Sums over pairs of sound frames for pixels `first` to `end`, so few at a time that they stay in the cache."""
    n_frames = len(values)
    total = np.empty(PIXELS_AT_ONCE)
    for start in range(first, end, PIXELS_AT_ONCE):
        own = slice(start, min(start + PIXELS_AT_ONCE, end))
        width = own.stop - start
        total[:] = 0.0
        for t in range(n_frames):
            if sound[t]:
                now = values[t, own]
                for p in range(width):
                    total[p] += now[p]
        for k in range(len(lags)):
            lag = lags[k]
            products, past, future = sums[0, k, own], sums[1, k, own], sums[2, k, own]
            # Almost all frames are in a pair: what past and future lack of all is less work than what they hold.
            for p in range(width):
                past[p] = future[p] = total[p]
            count = 0
            for t in range(n_frames):
                if not sound[t]:
                    continue
                now = values[t, own]
                if t + lag < n_frames and sound[t + lag]:
                    count += 1
                    later = values[t + lag, own]
                    for p in range(width):
                        products[p] += now[p] * later[p]
                else:
                    for p in range(width):
                        past[p] -= now[p]
                if t < lag or not sound[t - lag]:
                    for p in range(width):
                        future[p] -= now[p]
            pairs[k] = count


_add_pairs = compiled(_add_pairs)
