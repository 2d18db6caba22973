"""Denoising every n-th frame, so that slow dynamics reach the trained range of rates."""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.compiled import compiled, in_parts

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
    # Multiples of the stride are read and all others written, so that parts do not disturb each other.
    in_parts(len(values), partial(_fill, values, spread, mask, every, window))


def _fill(
    values: NDArray[np.float32],
    spread: NDArray[np.float32],
    mask: NDArray[np.bool_],
    every: int,
    window: int,
    first: int,
    end: int,
) -> None:
    """Fill the lags of frames `first` to `end` with later ones.

    Ages (t1 + t2) / 2 are halves of frames: at the next shorter and longer multiple of the stride, and at the same age,
    stands one value or the mean of two; where these have ended, the last one there is.
    """
    n_frames = len(mask)
    for row in range(first, end):
        for lag in range(every + 1, min(every * (window - 1), n_frames - row)):
            over = lag % every
            short = lag - over
            long = short + every
            if over == 0 or long >= n_frames:
                continue
            under = every - over
            a, b = min(row + over // 2, n_frames - short - 1), min(row + (over + 1) // 2, n_frames - short - 1)
            c, d = max(row - under // 2, 0), max(row - (under + 1) // 2, 0)
            c, d = min(c, n_frames - long - 1), min(d, n_frames - long - 1)
            if not (mask[a, a + short] and mask[b, b + short] and mask[c, c + long] and mask[d, d + long]):
                continue
            column, weight = row + lag, over / every
            low = (values[a, a + short] + values[b, b + short]) / 2
            high = (values[c, c + long] + values[d, d + long]) / 2
            values[row, column] = values[column, row] = low + weight * (high - low)
            low = (spread[a, a + short] + spread[b, b + short]) / 2
            high = (spread[c, c + long] + spread[d, d + long]) / 2
            spread[row, column] = spread[column, row] = low + weight * (high - low)
            mask[row, column] = mask[column, row] = True


_fill = compiled(_fill)
