"""Local sums of rates are those of the counts, as far as the counts know better than the network."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float32]

WIDTH = 8.0
"""Standard deviation, pixels, of the neighbourhood over which counts are compared."""

TRUSTED = 0.01
"""Relative error of the sum of rates over a neighbourhood that the network may make; so much the counts correct."""

LARGEST = 0.03
"""Largest change of a rate."""


def balanced(counts: Array, rate: Array, known: NDArray[np.bool_]) -> Array:
    """Rates (H, W) whose sums over neighbourhoods are nearer to those of the counts.

    Parameters
    ----------
    counts, rate : (H, W), counts per pixel
    known : (H, W), usable pixels without spurious hits

    Notes
    -----
    With N counts where M are expected, rates are multiplied by 1 + w (N / M - 1). The weight w = t² / (t² + 1 / M) is
    that of a deviation of the network of standard error t against the counting error 1 / √M.
    """
    area = 4 * np.pi * WIDTH**2
    found, expected = (
        area * gaussian_filter(np.where(known, image, np.float32(0)), WIDTH, truncate=3, mode="constant")
        for image in (counts, rate)
    )
    weight = expected / (expected + 1 / TRUSTED**2)
    change = weight * (found - expected) / np.maximum(expected, 1e-6)
    return np.asarray(rate * (1 + np.clip(change, -LARGEST, LARGEST)), np.float32)
