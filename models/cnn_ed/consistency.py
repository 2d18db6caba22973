"""What the models took from a two-time correlation function although the measured curve is sure of it, put back.

The models read a decay as those they were trained on, whatever its noise. With many photons their own error is larger
than that of the measured one-time curve, and what changes with age is speckle that the ROI has too few of. Both are
known: the first from the covariance of the measured curve, the second from the statistics of speckle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from cnn_ed.posterior.curves import bin_matrix

DIAGONAL_SHARE = 0.3
"""Of the covariance between bins, whose estimate from some forty parts of an ROI is too uncertain to be inverted."""
SIZES = (0.0, 0.003, 0.01, 0.03, 0.1)
"""Errors of the models' mean curve that are considered, in units of the contrast."""
LENGTHS = (0.25, 0.7, 2.0)
"""Over which such an error stays alike, in log lag."""
WINDOW_AGES = 30.0
"""Frames of a scale over which the models average: their windows hold fifty."""
SMALLEST_CONTRAST = 1e-4
SMALLEST_VARIANCE = 1e-16
"""Of a bin: the noise of a curve without any has no inverse."""
SIGNIFICANT = 6.0
"""Times more than noise explains, at which a stretch of the scan keeps its own course for certain."""


@dataclass(frozen=True)
class MeasuredCurve:
    """The measured one-time curve and how well it is known.

    Attributes
    ----------
    lag : (L,) frames, rising
    g2 : (L,)
    covariance : (L, L), of g2 between lags
    noise_lag : (S,) frames, within the decay
    noise_variance : (S,), of g2 there, by the noise that denoising does not remove; empty: unknown
    rate : per frame; NaN: unknown
    """

    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    covariance: NDArray[np.float64]
    noise_lag: NDArray[np.int64]
    noise_variance: NDArray[np.float64]
    rate: float


def consistent(
    values: NDArray[np.float32], spread: NDArray[np.float32], scale: NDArray[np.float32], measured: MeasuredCurve
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move a denoised two-time correlation function to where the measured one is certain.

    Parameters
    ----------
    values, spread : (N, N), denoised over the whole triangle; NaN at bad frames
    scale : (N,), frames per block at each lag
    measured : the curve of the same scan

    Returns
    -------
    tuple of (N, N) float32
        Values and spread; the spread includes the error of the correction.

    Notes
    -----
    With V the values, D their mean along a diagonal, the result is D + δ + k (V - D). δ is the posterior mean of a
    Gaussian process in log lag, given the difference between measured and denoised curve with its covariance, over
    several sizes and lengths weighted by their evidence (Rasmussen & Williams 2006, Eqs. 2.23 and 2.30). k, between
    0 and 1, is the share of the variance along the diagonals that noise does not explain (James & Stein 1961):
    one number for the whole scan, and more where a stretch of it stands out.
    """
    n = len(values)
    mean = np.array([_mean(np.diagonal(values, lag)) for lag in range(n)])
    offset, error = _offset(mean, measured)
    kept = _kept(values, mean, scale, measured)
    out, out_spread = np.empty(values.shape, values.dtype), np.empty(spread.shape, spread.dtype)
    seen, said, moved, wide = (one.ravel() for one in (values, spread, out, out_spread))
    for lag in range(n):
        above, below = slice(lag, (n - lag) * n, n + 1), slice(lag * n, None, n + 1)  # Both diagonals of the lag.
        own = kept[lag : 2 * n - lag : 2]
        moved[above] = moved[below] = mean[lag] + offset[lag] + own * (seen[above] - mean[lag])
        wide[above] = wide[below] = np.hypot(said[above], error[lag])
    return out, out_spread


def _mean(values: NDArray[np.floating]) -> float:
    sound = np.isfinite(values)
    return float(values[sound].mean(dtype=float)) if sound.any() else np.nan


def _offset(mean: NDArray[np.float64], measured: MeasuredCurve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the models' mean curve (N,) lacks at each lag, with its standard error."""
    n = len(mean)
    difference = measured.g2 - mean[measured.lag]
    known = np.isfinite(difference) & np.isfinite(np.diagonal(measured.covariance))
    weights = bin_matrix(measured.lag, known, (n - measured.lag).astype(float))
    weights = weights[weights.sum(axis=1) > 0]
    if not len(weights):
        return np.zeros(n), np.zeros(n)
    y = weights @ np.where(known, difference, 0.0)
    noise = weights @ np.where(known[:, None] & known, measured.covariance, 0.0) @ weights.T
    own = np.diag(np.maximum(np.diag(noise), SMALLEST_VARIANCE))
    noise = (1 - DIAGONAL_SHARE) * noise + DIAGONAL_SHARE * own
    contrast = max(float(measured.g2[known][:3].max()) - 1, SMALLEST_CONTRAST)
    seen, asked = np.log(weights @ measured.lag), np.log(np.maximum(np.arange(n), 1))
    evidence, means, variances = [], [], []
    for size in SIZES:
        for length in LENGTHS:
            variance = (size * contrast) ** 2
            among, across = (
                variance * np.exp(-0.5 * ((seen[:, None] - other) / length) ** 2) for other in (seen, asked)
            )
            factor = np.linalg.cholesky(among + noise)
            residual, lever = np.linalg.solve(factor, y), np.linalg.solve(factor, across)
            evidence.append(-0.5 * residual @ residual - np.log(np.diag(factor)).sum())
            means.append(residual @ lever)
            variances.append(variance - (lever**2).sum(axis=0))
    weight = np.exp(np.array(evidence) - max(evidence))
    weight /= weight.sum()
    each = np.array(means)
    offset = weight @ each
    spread = weight @ (np.array(variances) + (each - offset) ** 2)
    return offset, np.sqrt(np.maximum(spread, 0.0))


def _kept(
    values: NDArray[np.float32], mean: NDArray[np.float64], scale: NDArray[np.float32], measured: MeasuredCurve
) -> NDArray[np.float64]:
    """Share (2 N,) of the changes with age that stays, by twice the age."""
    n = len(values)
    all_kept = np.ones(2 * n)
    if not len(measured.noise_lag) or not np.isfinite(measured.rate):
        return all_kept
    seen, explained = np.zeros(2 * n), np.zeros(2 * n)
    for lag, variance in zip(measured.noise_lag, measured.noise_variance, strict=True):
        # The whole scan averages over so many stretches that the models see apart.
        stretches = (n - lag) / (WINDOW_AGES * max(scale[lag], 1.0) + 1 / measured.rate)
        changes = np.diagonal(values, lag) - mean[lag]
        sound = np.isfinite(changes)
        at = 2 * np.flatnonzero(sound) + lag
        seen[at] += np.square(changes[sound], dtype=float)
        explained[at] += variance * max(stretches - 1, 0.0)
    if not explained.sum() > 0:
        return all_kept
    whole = _unexplained(seen.sum(), explained.sum())
    width = min(WINDOW_AGES + 1 / measured.rate, n)
    near, near_explained = (gaussian_filter1d(part, width, mode="nearest") for part in (seen, explained))
    apart = np.divide(near, near_explained, out=np.zeros(2 * n), where=near_explained > 1e-9 * near_explained.max())
    local = np.clip(1 - SIGNIFICANT / np.maximum(apart, 1e-9), 0, 1)
    return np.asarray(np.maximum(whole, local), float)


def _unexplained(seen: float, explained: float) -> float:
    return max(0.0, 1 - explained / seen) if seen > 0 else 1.0
