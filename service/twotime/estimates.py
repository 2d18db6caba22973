"""The estimate for a notebook: dynamics of one region of interest from an array, without Tiled or files."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.posterior import Estimates, Estimator
from cnn_ed.posterior.scans import FEWEST_FRAMES, bare_curve, curves_of

SYMMETRY = 1e-3
"""Of the spread of its values, by how much a two-time correlation function may differ from its mirror image."""


def estimate(pixels: NDArray[Any], frame_time_s: float = 1.0) -> Estimates:
    """Estimate the dynamics of one region of interest.

    Parameters
    ----------
    pixels : (N, P) array, counts; one row per frame, all pixels of about the same q. Frames without counts are left out
    frame_time_s : from one frame to the next, s

    Returns
    -------
    Estimates
        One row as of `twotime.xpcs.fit_decay`, with 68 and 95 % intervals; rates in 1/s.

    Raises
    ------
    ValueError
        If the array has other axes, fewer than 50 frames or 2 pixels, values that are negative or not finite, or the
        frame time is not positive.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(0.2, (100, 300))
    >>> bool(estimate(counts, frame_time_s=0.01).trusted[0])  # Noise has no rate.
    False
    """
    pixels = np.asarray(pixels)
    _check_frame_time(frame_time_s)
    if pixels.ndim != 2 or len(pixels) < FEWEST_FRAMES or pixels.shape[1] < 2:
        raise ValueError(f"pixels has shape {pixels.shape}, expected (N, P), N at least {FEWEST_FRAMES}, P at least 2.")
    if not np.isfinite(pixels).all() or (pixels < 0).any():
        raise ValueError("pixels holds negative or non-finite values, expected counts; leave those pixels out.")
    lit = int(np.count_nonzero(pixels.sum(axis=1) > 0))
    if 2 * lit < len(pixels):
        raise ValueError(f"pixels has counts in {lit} of {len(pixels)} frames, expected half or more; add frames.")
    return Estimator.load().of_binned(curves_of(pixels)).in_unit(frame_time_s)


def estimate_two_time(c2: NDArray[Any], frame_time_s: float = 1.0) -> Estimates:
    """Estimate the dynamics from a two-time correlation function where nothing else is left.

    Parameters
    ----------
    c2 : (N, N) array with baseline 1; NaN in the rows and columns of bad frames
    frame_time_s : from one frame to the next, s

    Returns
    -------
    Estimates
        As of `estimate`. Without pixels the errors of the curve are less well known, and so is the estimate.

    Raises
    ------
    ValueError
        If the array is not square and symmetric, has fewer than 50 frames, or is mostly not finite.
    """
    c2 = np.asarray(c2)
    _check_frame_time(frame_time_s)
    if c2.ndim != 2 or c2.shape[0] != c2.shape[1] or len(c2) < FEWEST_FRAMES:
        raise ValueError(f"c2 has shape {c2.shape}, expected (N, N) with N at least {FEWEST_FRAMES}.")
    above = np.diagonal(c2, 1)
    sound = np.isfinite(above)
    if 2 * np.count_nonzero(sound) < len(above):
        raise ValueError(
            f"c2 is finite at lag 1 for {np.count_nonzero(sound)} of {len(above)} ages, expected half or more."
        )
    if not _symmetric(c2):
        raise ValueError("c2 differs from its mirror image, expected a symmetric array, such as (c2 + c2.T) / 2.")
    return Estimator.load().of_binned(bare_curve(c2), "two_time").in_unit(frame_time_s)


def _check_frame_time(frame_time_s: float) -> None:
    if not (np.isfinite(frame_time_s) and frame_time_s > 0):
        raise ValueError(f"frame_time_s is {frame_time_s}, expected a positive number of seconds.")


def _symmetric(c2: NDArray[Any]) -> bool:
    """Judged by some hundred rows, so that a function of 20,000 frames is not copied."""
    step = max(1, len(c2) // 128)
    rows, columns = c2[::step].astype(float), c2[:, ::step].T.astype(float)
    spread = float(np.nanstd(rows)) or 1.0
    return bool(np.allclose(rows, columns, rtol=0, atol=SYMMETRY * spread, equal_nan=True))
