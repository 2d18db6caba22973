"""Denoising every n-th frame, so that slow dynamics reach the trained range of rates."""

import math

import numpy as np
from numpy.typing import NDArray

AIM = 2.0
"""Slow rates are brought to this multiple of the slowest trained rate: near its edge the models read rates too high."""


def choose_stride(n_frames: int, window: int, rate_per_frame: float | None, trained: tuple[float, float]) -> int:
    """Every how many frames to denoise; 1 unless the rate is near or below the slow end of the trained range.

    Parameters
    ----------
    n_frames : of the two-time correlation function
    window : frames that must remain
    rate_per_frame : a first guess; None or not finite: 1
    trained : slowest and fastest trained rate per frame

    Examples
    --------
    >>> choose_stride(1000, 50, 0.005, (0.01, 0.15))
    4
    >>> choose_stride(100, 50, 0.001, (0.01, 0.15))
    2
    """
    if rate_per_frame is None or not math.isfinite(rate_per_frame):
        return 1
    wanted = math.ceil(AIM * trained[0] / max(rate_per_frame, 1e-9))
    return max(1, min(wanted, n_frames // window))


def fill_between_lags(
    values: NDArray[np.float32], spread: NDArray[np.float32], mask: NDArray[np.bool_], every: int, window: int
) -> None:
    """Interpolate, in place, the lags between the multiples of the stride, linearly at constant age.

    Lags below the stride keep their measured values: nothing denoised stands below them.
    """
    n_frames = len(values)
    for lag in range(every + 1, min(every * (window - 1), n_frames)):
        if lag % every == 0:
            continue
        below = lag - lag % every
        rows = np.arange(n_frames - lag)
        columns = rows + lag
        weight = (lag - below) / every
        for matrix in (values, spread):
            low = _at_age(matrix, mask, below, rows + lag / 2)
            high = _at_age(matrix, mask, below + every, rows + lag / 2)
            filled = (1 - weight) * low + weight * high
            good = np.isfinite(filled)
            matrix[rows[good], columns[good]] = filled[good]
            matrix[columns[good], rows[good]] = filled[good]
        mask[rows[good], columns[good]] = True
        mask[columns[good], rows[good]] = True


def _at_age(
    matrix: NDArray[np.float32], mask: NDArray[np.bool_], lag: int, age: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Values on the diagonal at `lag`, interpolated to ages (t1 + t2) / 2; NaN where nothing denoised stands."""
    diagonal = np.where(np.diagonal(mask, lag), np.diagonal(matrix, lag), np.nan)
    if diagonal.size == 0:
        return np.full(len(age), np.nan)
    position = np.clip(age - lag / 2, 0, diagonal.size - 1)
    low = np.floor(position).astype(int)
    high = np.ceil(position).astype(int)
    result: NDArray[np.float64] = diagonal[low] + (position - low) * (diagonal[high] - diagonal[low])
    return result
