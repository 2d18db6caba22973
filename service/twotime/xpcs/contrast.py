"""Speckle contrast from the statistics of photon counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def contrast_from_counts(pixels: NDArray[Any]) -> tuple[float, float]:
    """Contrast β* of partially coherent speckle within single frames.

    Parameters
    ----------
    pixels : (N, P) array, counts

    Returns
    -------
    tuple of float
        β*, mean over the frames, and its standard error from the scatter over parts of the ROI; NaN without counts or
        with fewer than two pixels.

    Notes
    -----
    Counts of partially coherent speckle are negative-binomial with variance <I> + β <I>². The moment estimate
    β = (<I (I - 1)> - <I>²) / <I>² with the unbiased <I>² takes the Poisson term off exactly and needs no fit
    (the role of β* in Konstantinova 2021, Eq. 4).
    """
    n_pixels = pixels.shape[1]
    counts = pixels.astype(np.float64)
    mean = counts.mean(axis=1)
    if n_pixels < 2 or not (mean > 0).any():
        return np.nan, np.nan
    lit = mean > 0
    relative = counts[lit] / mean[lit, None]
    # (I / <I> - 1)^2 - I / <I>^2 per pixel has the mean β, up to the unbiasing factor.
    excess = (relative - 1) ** 2 * (n_pixels / (n_pixels - 1)) - relative / mean[lit, None]
    per_pixel = excess.mean(axis=0)
    parts = np.array([part.mean() for part in np.array_split(per_pixel, min(40, n_pixels))])
    return float(per_pixel.mean()), float(parts.std(ddof=1) / np.sqrt(len(parts)))


def contrast_from_lag_one(c2: NDArray[Any]) -> float:
    """Contrast as lag 1 shows it: the mean of the first off-diagonal minus 1 (Konstantinova 2021, Eq. 5)."""
    return float(np.nanmean(np.diagonal(c2, 1))) - 1
