"""Speckle contrast from the statistics of photon counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled
from twotime.xpcs.products import row_sums


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
    n_frames, n_pixels = pixels.shape
    mean = row_sums(pixels) / n_pixels
    lit = mean > 0
    if n_pixels < 2 or not lit.any():
        return np.nan, np.nan
    # The mean over frames of (I / <I> - 1)² u - I / <I>² with the unbiasing u, as sums of I² and I.
    unbiased = n_pixels / (n_pixels - 1)
    inverse = np.divide(1.0, mean, out=np.zeros(n_frames), where=lit)
    per_pixel = np.zeros(n_pixels)
    _add_up(pixels, unbiased * inverse**2, -2 * unbiased * inverse - inverse**2, per_pixel)
    per_pixel = per_pixel / np.count_nonzero(lit) + unbiased
    parts = np.array([part.mean() for part in np.array_split(per_pixel, min(40, n_pixels))])
    return float(per_pixel.mean()), float(parts.std(ddof=1) / np.sqrt(len(parts)))


def contrast_by_exposure(pixels: NDArray[Any], exposures: Sequence[int]) -> NDArray[np.float64]:
    """Contrast of sums over neighbouring frames, as dynamics blur it (speckle visibility).

    Parameters
    ----------
    pixels : (N, P) array, counts
    exposures : numbers of frames that are added

    Returns
    -------
    (E, 2) array
        Contrast and its standard error for each; NaN where the scan is too short or dark.

    Raises
    ------
    ValueError
        If an exposure is not at least 1.
    """
    rows = []
    for exposure in exposures:
        if exposure < 1:
            raise ValueError(f"exposures hold {exposure}, expected numbers of frames from 1 on.")
        length = len(pixels) // exposure
        if length == 0:
            rows.append((np.nan, np.nan))
            continue
        added = pixels[: length * exposure].reshape(length, exposure, -1).sum(axis=1, dtype=np.float64)
        rows.append(contrast_from_counts(added))
    return np.array(rows).reshape(-1, 2)


def contrast_from_lag_one(c2: NDArray[Any]) -> float:
    """Contrast as lag 1 shows it: the mean of the first off-diagonal minus 1 (Konstantinova 2021, Eq. 5)."""
    return float(np.nanmean(np.diagonal(c2, 1))) - 1


def _add_up(
    pixels: NDArray[Any], squared: NDArray[np.float64], linear: NDArray[np.float64], total: NDArray[np.float64]
) -> None:
    """Add to each pixel its squared and its own counts, weighted by frame."""
    for frame in range(len(pixels)):
        a, b = squared[frame], linear[frame]
        for pixel in range(len(total)):
            value = float(pixels[frame, pixel])
            total[pixel] += (a * value + b) * value


_add_up = compiled(_add_up)
