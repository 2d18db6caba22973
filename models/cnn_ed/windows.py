"""Windows along the diagonal of a two-time correlation function; knows nothing of the network."""

import hashlib

import numba
import numpy as np
from numpy.typing import NDArray

WINDOW = 50
STEP = 5


def window_starts(n_frames: int, window: int = WINDOW, step: int = STEP) -> NDArray[np.intp]:
    """First frames of windows that cover all frames; the last window ends with the last frame.

    Examples
    --------
    >>> window_starts(62)
    array([ 0,  5, 10, 12])

    Raises
    ------
    ValueError
        If there are fewer frames than a window holds.
    """
    if n_frames < window:
        raise ValueError(f"c2 has {n_frames} frames, expected at least the {window} of one window.")
    starts = np.arange(0, n_frames - window + 1, step)
    if starts[-1] != n_frames - window:
        starts = np.append(starts, n_frames - window)
    return starts


def extract(c2: NDArray[np.float32], starts: NDArray[np.intp], window: int = WINDOW) -> NDArray[np.float32]:
    """Windows (M, W, W) that begin at `starts` on the diagonal."""
    return np.stack([c2[start : start + window, start : start + window] for start in starts])


def stitch(outputs: NDArray[np.float32], starts: NDArray[np.intp], n_frames: int, window: int) -> NDArray[np.float32]:
    """Put overlapping windows together, forward and backward; NaN outside all windows.

    Where a window falls on values that stand there already, the mean of both remains, so the latest window weighs
    most; a second pass from the last window to the first evens that out (Konstantinova 2021, Methods).

    Parameters
    ----------
    outputs : (K, U, M) upper triangles of K models, pixels first
    starts : (M,) array
    n_frames : N of the two-time correlation function
    window : W

    Returns
    -------
    (K, N, W) array
        Only the band that windows touch: element [k, i, lag] belongs to frames i and i + lag.
    """
    forward = _one_pass(outputs, starts, n_frames, window)
    forward += _one_pass(outputs[:, :, ::-1], starts[::-1], n_frames, window)
    forward /= np.float32(2)
    return forward


def band_of(c2: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The diagonals 0 ... width - 1 of an (N, N) array as (N, width), NaN where they have ended."""
    band = np.full((len(c2), width), np.nan, np.float32)
    for lag in range(min(width, len(c2))):
        band[: len(c2) - lag, lag] = np.diagonal(c2, lag)
    return band


def put_band(band: NDArray[np.float32], c2: NDArray[np.float32]) -> None:
    """Write a band into both halves of an (N, N) array, in place, where it is not NaN."""
    for lag in range(min(band.shape[1], len(c2))):
        rows = np.flatnonzero(np.isfinite(band[: len(c2) - lag, lag]))
        c2[rows, rows + lag] = c2[rows + lag, rows] = band[rows, lag]


def with_lag_zero_redrawn(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows whose lag-0 diagonal is drawn from their own lag-1 values; the same draw for the same window.

    The diagonal holds the shot noise of each frame with itself and would dominate the input.
    """
    redrawn = windows.copy()
    index = np.arange(windows.shape[-1])
    for window in redrawn:
        lag_one = np.diagonal(window, 1)
        seed = int.from_bytes(hashlib.sha256(np.ascontiguousarray(lag_one).tobytes()).digest()[:8], "little")
        window[index, index] = np.random.default_rng(seed).choice(lag_one, len(index))
    return redrawn


def without_gaps(windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Windows whose NaN (bad frames) are replaced by the mean of their lag, and which windows are usable at all.

    A window with fewer than half of its values is not usable; it is returned as ones.
    """
    share = np.isfinite(windows).mean(axis=(1, 2))
    if (share == 1).all():
        return windows, np.ones(len(windows), bool)
    usable = share >= 0.5
    filled = np.where(usable[:, None, None], windows, np.float32(1))
    for number in np.flatnonzero(usable & (share < 1)):
        _fill(filled[number])
    return filled, usable


def _one_pass(
    outputs: NDArray[np.float32], starts: NDArray[np.intp], n_frames: int, window: int
) -> NDArray[np.float32]:
    band = np.full((len(outputs), n_frames, window), np.nan, np.float32)
    rows, columns = np.triu_indices(window)
    _average_into(band, outputs, starts, rows, columns - rows)
    return band


@numba.njit(cache=True, nogil=True)
def _average_into(
    band: NDArray[np.float32],
    outputs: NDArray[np.float32],
    starts: NDArray[np.intp],
    rows: NDArray[np.intp],
    lags: NDArray[np.intp],
) -> None:
    half = np.float32(0.5)
    for model in range(outputs.shape[0]):
        for number in range(len(starts)):
            for pixel in range(len(rows)):
                new = outputs[model, pixel, number]
                i, lag = starts[number] + rows[pixel], lags[pixel]
                old = band[model, i, lag]
                band[model, i, lag] = new if np.isnan(old) else half * (old + new)


def _fill(window: NDArray[np.float32]) -> None:
    overall = float(np.nanmean(window))
    rows, columns = np.nonzero(np.isnan(window))
    lags = np.abs(rows - columns)
    means = np.full(len(window), overall, np.float32)
    for lag in np.unique(lags):
        diagonal = np.diagonal(window, lag)
        if np.isfinite(diagonal).any():
            means[lag] = np.nanmean(diagonal)
    window[rows, columns] = means[lags]
