"""The one-time correlation function at quasi-logarithmic lags, straight from the counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUFFER = 8
"""Lags per level; each level adds two frames of the one before to one."""


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
        for own in range(1 if step == 1 else BUFFER // 2 + 1, BUFFER + 1):
            if own >= len(values) or own * step > 0.75 * n_frames:
                break
            pairs = sound[:-own] & sound[own:]
            lags.append(own * step)
            value, error = _correlated(values, own, pairs, edges, share)
            g2.append(value)
            errors.append(error)
        half = len(values) // 2
        values = values[: 2 * half].reshape(half, 2, n_pixels).sum(axis=1)
        sound = sound[: 2 * half : 2] & sound[1 : 2 * half : 2]
        step *= 2
    return MultiTau(np.array(lags, np.int64), np.array(g2), np.array(errors))


def _correlated(
    values: NDArray[np.float32],
    lag: int,
    pairs: NDArray[np.bool_],
    edges: NDArray[np.int64],
    share: NDArray[np.float64],
) -> tuple[float, float]:
    """g2 at one lag and its error from parts of the ROI, each normalised by the means of the whole ROI."""
    if not pairs.any():
        return np.nan, np.nan
    past, future = values[:-lag], values[lag:]
    if not pairs.all():
        past, future = past[pairs], future[pairs]
    of_past, of_future = past.mean(axis=0, dtype=np.float64), future.mean(axis=0, dtype=np.float64)
    norm = float(of_past.mean()), float(of_future.mean())
    if min(norm) <= 0:
        return np.nan, np.nan
    products = np.einsum("tp,tp->p", past, future, dtype=np.float32).astype(np.float64) / len(past)
    # Deviations from the mean: the brightness of a part is no error of its correlation.
    per_pixel = products / norm[0] / norm[1] - of_past / norm[0] - of_future / norm[1] + 2
    parts = np.add.reduceat(per_pixel, edges) / (share * len(per_pixel))
    g2 = float(share @ parts)
    number = len(parts)
    error = float(np.sqrt(np.sum((share * (parts - g2)) ** 2) * number / max(number - 1, 1)))
    return g2, error if number > 1 else np.nan
