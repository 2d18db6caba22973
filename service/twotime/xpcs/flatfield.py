"""Static images by which counts can be divided before they are correlated."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

SMOOTHING_WINDOW = 11
SMOOTHING_ORDER = 5
"""Window in pixels and order of the polynomials, as pyCHX smooths its mean image."""


def static_image(
    mean_frame: NDArray[Any],
    mask: NDArray[np.bool_],
    radius: NDArray[np.float64],
    kind: Literal["azimuthal", "smoothed"],
) -> NDArray[np.float64]:
    """What the sample would show without speckle.

    Parameters
    ----------
    mean_frame : (H, W), counts
    mask : (H, W), True where a pixel can be used
    radius : (H, W), distance from the beam centre, pixels
    kind : "azimuthal": mean over pixels of one radius, interpolated to each pixel's own; "smoothed": the mean frame
        after a two-dimensional Savitzky-Golay filter, masked pixels filled with the azimuthal mean

    Returns
    -------
    (H, W) array
        Positive where it can be used; the smoothed one may fall to zero or below where there are few counts.
    """
    azimuthal = _azimuthal(np.asarray(mean_frame, float), mask, radius)
    if kind == "azimuthal":
        return azimuthal
    filled = np.where(mask, mean_frame, azimuthal)
    return np.asarray(convolve(filled, _savitzky_golay(SMOOTHING_WINDOW, SMOOTHING_ORDER), mode="mirror"), np.float64)


def _azimuthal(
    mean_frame: NDArray[np.float64], mask: NDArray[np.bool_], radius: NDArray[np.float64]
) -> NDArray[np.float64]:
    ring = np.rint(radius[mask]).astype(np.int64)
    count = np.bincount(ring)
    used = np.flatnonzero(count)
    middle = np.bincount(ring, radius[mask])[used] / count[used]
    value = np.bincount(ring, mean_frame[mask])[used] / count[used]
    return np.asarray(np.interp(radius, middle, value), np.float64)


def _savitzky_golay(window: int, order: int) -> NDArray[np.float64]:
    """Weights of the middle of a polynomial fitted to a square (Savitzky & Golay 1964, in two dimensions)."""
    half = window // 2
    y, x = (axis.ravel() for axis in np.mgrid[-half : half + 1, -half : half + 1].astype(float))
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    design = np.stack([y**i * x**j for i, j in powers], axis=1)
    return np.asarray(np.linalg.pinv(design)[0].reshape(window, window), np.float64)
