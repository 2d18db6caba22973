"""Denoised frames as PNG: counts, rate, error and residual, reduced to the size of the screen."""

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from numpy.typing import NDArray

from twotime.api.content.png import coloured, encoded
from twotime.results import shrink

LARGEST_RESIDUAL = 4.0
"""Standard deviations at the ends of the colours of residuals."""
DECADES = 4.0
"""Most decades of a logarithmic colour scale: the lowest rates are known to no better than that."""


def colour_scale(values: NDArray[Any], kind: str, *, logarithmic: bool) -> tuple[float, float]:
    """Ends of the colour scale of a frame.

    Parameters
    ----------
    values : (H, W) array; of raw counts the rate, so that both have the same colours
    kind : raw, rate, error or residual
    """
    if kind == "residual":
        return -LARGEST_RESIDUAL, LARGEST_RESIDUAL
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size == 0:
        return (0.1, 1.0) if logarithmic else (0.0, 1.0)
    low, high = (float(end) for end in np.percentile(positive, [1, 99.9]))
    if not logarithmic:
        return 0.0, high
    low = max(low, high / 10**DECADES)
    return (low, high) if high > 1.01 * low else (low / 2, 2 * high)


def frame_picture(values: NDArray[Any], kind: str, ends: tuple[float, float], size: int, *, logarithmic: bool) -> bytes:
    """A picture without axes, row 0 on top, NaN grey; on a logarithmic scale zeros have the lowest colour.

    Parameters
    ----------
    values : (H, W) array
    ends : values of the lowest and the highest colour
    size : longest edge of the picture, pixels
    """
    small, _ = shrink(values, size)
    low, high = ends
    if kind == "residual" or not logarithmic:
        norm = Normalize(low, high)
    else:
        norm = LogNorm(low, high)
        small = np.where(np.isfinite(small), np.maximum(small, low), np.nan)
    picture = coloured(small, kind, norm)
    longest = max(small.shape)
    if longest < size:
        factor = size // longest
        picture = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)
    return encoded(picture)
