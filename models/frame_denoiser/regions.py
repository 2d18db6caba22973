"""Counts of a region, raw and denoised."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from frame_denoiser.denoiser import DenoisedFrames


class RegionCounts(NamedTuple):
    """Counts in the exposure of the frame.

    Attributes
    ----------
    raw : sum over the usable pixels of the region
    raw_error : its standard error from counting
    denoised : sum of the rates over the region, gaps included
    denoised_error : its standard error
    """

    raw: float
    raw_error: float
    denoised: float
    denoised_error: float


def region_counts(
    counts: NDArray[np.generic],
    denoised: DenoisedFrames,
    region: NDArray[np.bool_],
    mask: NDArray[np.bool_] | None = None,
) -> RegionCounts:
    """Counts of a region in one frame.

    Parameters
    ----------
    counts : (H, W) array, raw counts
    denoised : the same frame denoised, arrays (H, W)
    region : (H, W), True inside
    mask : (H, W), True where usable; None: all pixels

    Returns
    -------
    RegionCounts

    Raises
    ------
    ValueError
        If shapes differ, or the region holds no usable pixel.

    Notes
    -----
    Errors of neighbouring rates are correlated, and how much is not known. Over usable pixels the error of the sum is
    the smaller one of two limits: all correlated, and the counting error of the raw sum, which the denoised sum cannot
    exceed. Rates in gaps are taken as correlated. A raw sum of zero has the error 1.
    """
    frame = np.asarray(counts, np.float64)
    usable = np.ones(frame.shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    for name, array in (("denoised", denoised.rate), ("region", region), ("mask", usable)):
        if array.shape != frame.shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {frame.shape} as counts.")
    inside = np.asarray(region, np.bool_)
    known, hidden = inside & usable, inside & ~usable
    if not known.any():
        raise ValueError(f"region holds {int(inside.sum())} pixels, none of them usable; expected at least one.")
    raw = float(frame[known].sum())
    raw_error = max(raw, 1.0) ** 0.5
    correlated = float(denoised.error[known].sum(dtype=np.float64))
    error = np.hypot(min(correlated, raw_error), denoised.error[hidden].sum(dtype=np.float64))
    return RegionCounts(raw, raw_error, float(denoised.rate[inside].sum(dtype=np.float64)), float(error))
