"""Frames that must not enter any average: beam loss, spikes, empty frames."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

WINDOW = 51
SMALLEST_DEVIATION = 0.1
"""A frame within 10 % of its neighbours' median is never bad, however quiet these are."""


def find_bad_frames(intensity: NDArray[np.floating], n_sigma: float = 8.0) -> tuple[NDArray[np.bool_], list[str]]:
    """Find frames whose summed intensity does not fit their neighbours'.

    Parameters
    ----------
    intensity : (N,) array, counts summed over all ROIs
    n_sigma : distance from the rolling median, in robust standard deviations, beyond which a frame is bad

    Returns
    -------
    tuple of (N,) bool and list of str
        True where a frame is bad; for each bad frame the reason in words.

    Notes
    -----
    The rolling median runs over 51 frames; the standard deviation is 1.4826 times the median absolute deviation
    from it. Shutter opening, beam loss and refill, cosmic rays and detector spikes stand far outside; the natural
    fluctuation of the summed intensity does not.

    Examples
    --------
    >>> find_bad_frames(np.array([9.0, 10.0, 11.0, 10.0, 0.0, 10.0, 9.0]))[0].nonzero()[0]
    array([4])
    """
    values = np.asarray(intensity, float)
    middle = median_filter(values, size=min(WINDOW, len(values) // 2 * 2 + 1), mode="nearest")
    deviation = values - middle
    scatter = 1.4826 * float(np.median(np.abs(deviation)))
    allowed = np.maximum(n_sigma * scatter, SMALLEST_DEVIATION * np.abs(middle))
    bad = (np.abs(deviation) > allowed) | (values <= 0)
    reasons = [_reason(values[frame], middle[frame]) for frame in np.flatnonzero(bad)]
    return bad, reasons


def _reason(value: float, middle: float) -> str:
    if value <= 0:
        return "it holds no counts"
    kind = "spike" if value > middle else "beam loss"
    return f"{kind}, summed intensity {value:.4g} where its neighbours have {middle:.4g}"
