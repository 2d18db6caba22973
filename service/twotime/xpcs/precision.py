"""How precisely a scan can know its rate: Fisher information of a one-time curve from photon and speckle statistics."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MOST_FRAMES = 1000
"""Frames for which sums over pairs are made; in longer scans the covariance falls as the number of frames."""
SLOWEST = 0.02
"""Rate per frame below which neighbouring frames are added before: they see the same speckle."""
FEWEST_FRAMES = 50
MANY_COUNTS = 1e9
"""Photons per pixel and frame at which counting adds nothing."""
LONGEST_LAG = 0.75
N_LAGS = 18
ALPHA_SPREAD = 0.45
"""Standard deviation of α in the prior of the estimate."""
BASELINE_SPREAD = (0.005, 0.2)
"""The same of C∞: a constant, and a share of β."""


@dataclass(frozen=True)
class Exposure:
    """What decides how well the rate of a region of interest can be known.

    Attributes
    ----------
    n_frames, n_pixels : N, P
    counts : mean photons per pixel and frame
    rate : Γ per frame
    beta, baseline, alpha : of g2 = baseline + beta exp(-2 (Γ τ)^alpha)
    """

    n_frames: float
    n_pixels: float
    counts: float
    rate: float
    beta: float
    baseline: float = 1.0
    alpha: float = 1.0


def relative_error(exposure: Exposure) -> float:
    """Standard error of log Γ that the best estimate from the one-time curve can have.

    Parameters
    ----------
    exposure : of one ROI

    Returns
    -------
    float
        Square root of the first element of the inverse of J' S⁻¹ J + A, with J the derivatives of g2 by (log Γ, β, C∞,
        α), S its covariance by `g2_covariance`, and A the precision of the prior: C∞ near 1 to 0.005 + 0.2 β, α near
        its value to 0.45, and the contrast within single frames as it is counted.

    Examples
    --------
    >>> one = Exposure(200, 1000, 0.2, 0.05, 0.2)
    >>> relative_error(replace(one, n_frames=800)) / relative_error(one) < 0.55
    True
    """
    one = _binned(exposure)
    lag = _lags(min(one.n_frames, MOST_FRAMES))
    derivatives = _derivatives(one, lag)
    covariance = g2_covariance(one, lag)
    information = derivatives.T @ np.linalg.solve(covariance, derivatives)
    information[2, 2] += 1 / (BASELINE_SPREAD[0] + BASELINE_SPREAD[1] * one.beta) ** 2
    information[3, 3] += 1 / ALPHA_SPREAD**2
    within = np.array([0.0, 1.0, 1.0, 0.0])
    information += np.outer(within, within) / _contrast_variance(one)
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))


def g2_covariance(exposure: Exposure, lag: NDArray[np.int64]) -> NDArray[np.float64]:
    """Covariance of the one-time curve between lags.

    Parameters
    ----------
    exposure : of one ROI
    lag : (L,) frames, each from 1 to below the number of frames

    Returns
    -------
    (L, L) array

    Notes
    -----
    With u the relative deviation of the intensity from its mean, c(m) = b f(m)² its covariance for the field
    correlation f(m) = exp(-(Γ |m|)^α), b = β / C∞, and k the photons per pixel and frame, products of two pairs of
    frames (1, 2), (3, 4) have the covariance

        c₁₃ c₂₄ + c₁₄ c₂₃ + κ₁₂₃₄                                                speckle
        + (1/k) Σ over frames in common of (c + κ₃ of the three that remain)     speckle and counting
        + (1/k²) (1 + c₁₂) where both frames are in common                       counting
        - c₃₄ (τ₁₂₃ + τ₁₂₄) - c₁₂ (τ₃₄₁ + τ₃₄₂) + c₁₂ c₃₄ (sum of the four c' between them)   means of the frames

    with the cumulants of 1/b independent modes κ₃ = 2 b² f f f and κ₄ = 2 b³ (the three cyclic products of f), and with
    τ and c' those of counts: κ₃ + c / k where the third frame is one of the two, c + 1/k of a frame with itself. The
    last line comes from dividing by the measured mean of each frame, to first order. Summed over all pairs, divided by
    the pairs and the pixels. Pixels are taken as independent.
    """
    number = int(min(exposure.n_frames, MOST_FRAMES))
    lag = np.asarray(lag, np.int64)
    first, second = np.triu_indices(len(lag))
    a, b = lag[first][:, None], lag[second][:, None]
    m = np.arange(-number + 1, number)[None, :]
    pairs = np.minimum(number - a, number - b - m) - np.maximum(0, -m)
    kernel = np.where(pairs > 0, pairs * _kernel(exposure, a, b, m), 0.0).sum(axis=1)
    values = kernel / ((number - a[:, 0]) * (number - b[:, 0])) / exposure.n_pixels
    covariance = np.empty((len(lag), len(lag)))
    covariance[first, second] = covariance[second, first] = values * number / exposure.n_frames
    return covariance * exposure.baseline**2


def speckle_variance(exposure: Exposure, lag: NDArray[np.int64]) -> NDArray[np.float64]:
    """Variance (L,) of the one-time curve that remains however many photons are counted.

    Parameters
    ----------
    exposure : of one ROI; its counts are not used
    lag : (L,) frames, each from 1 to below the number of frames and of `MOST_FRAMES`
    """
    return np.diagonal(g2_covariance(replace(exposure, counts=MANY_COUNTS), lag)).copy()


def blurred(contrast_factor_rate: float) -> float:
    """Share of the contrast that is left in an exposure of x = Γ t: (exp(-2 x) - 1 + 2 x) / (2 x²).

    >>> round(blurred(1e-6), 4), round(blurred(1.0), 3)
    (1.0, 0.568)
    """
    x = contrast_factor_rate
    return 1.0 - 2 * x / 3 if x < 1e-3 else float((np.exp(-2 * x) - 1 + 2 * x) / (2 * x * x))


def _kernel(one: Exposure, a: NDArray[np.int64], b: NDArray[np.int64], m: NDArray[np.int64]) -> NDArray[np.float64]:
    """Covariance of the products of frames (0, a) and (m, m + b), per pixel."""
    contrast, counts = one.beta / one.baseline, one.counts
    table = np.exp(-((one.rate * np.arange(3 * int(min(one.n_frames, MOST_FRAMES)))) ** one.alpha))
    f12, f34, f13, f24, f14, f23 = (table[np.abs(d)] for d in (a, b, m, m + b - a, m + b, m - a))
    c12, c34, c13, c24, c14, c23 = (contrast * f * f for f in (f12, f34, f13, f24, f14, f23))
    third_123, third_124, third_134, third_234 = (
        2 * contrast**2 * product for product in (f12 * f23 * f13, f12 * f24 * f14, f13 * f34 * f14, f23 * f34 * f24)
    )
    same_13, same_24, same_14, same_23 = m == 0, m + b == a, m + b == 0, m == a
    speckle = c13 * c24 + c14 * c23
    speckle += 2 * contrast**3 * (f12 * f23 * f34 * f14 + f13 * f23 * f24 * f14 + f12 * f24 * f34 * f13)
    mixed = (
        same_13 * (c24 + third_124)
        + same_24 * (c13 + third_123)
        + same_14 * (c23 + third_123)
        + same_23 * (c14 + third_124)
    )
    both = (same_13 & (a == b)) * (1 + c12)
    products = speckle + mixed / counts + both / counts**2
    shared = (same_13.astype(float) + same_24 + same_14 + same_23) / counts
    means = c12 * c34 * (c13 + c24 + c14 + c23 + shared)
    means -= c34 * (third_123 + third_124 + c12 * shared) + c12 * (third_134 + third_234 + c34 * shared)
    return np.asarray(products + means, float)


def _binned(one: Exposure) -> Exposure:
    """Neighbouring frames added as long as their speckle is the same."""
    size = int(min(SLOWEST / one.rate, one.n_frames / FEWEST_FRAMES))
    if size < 2:
        return one
    return replace(one, n_frames=one.n_frames / size, counts=one.counts * size, rate=one.rate * size)


def _lags(n_frames: float) -> NDArray[np.int64]:
    longest = max(int(LONGEST_LAG * n_frames), 5)
    return np.unique(np.rint(np.geomspace(1, longest, N_LAGS)).astype(np.int64))


def _derivatives(one: Exposure, lag: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L, 4), of g2 by log Γ, β, C∞ and α."""
    scaled = (one.rate * lag) ** one.alpha
    decay = np.exp(-2 * scaled)
    slope = -2 * one.beta * decay * scaled
    return np.stack([slope * one.alpha, decay, np.ones(len(lag)), slope * np.log(one.rate * lag)], axis=1)


def _contrast_variance(one: Exposure) -> float:
    """Of the contrast within single frames: counting in every frame, speckle as often as it changes."""
    contrast = one.beta / one.baseline
    counting = (2 / one.counts**2 + 4 * contrast / one.counts) / (one.n_frames * one.n_pixels)
    changes = max(one.n_frames * min(one.rate, 1.0), 1.0)
    return counting + (2 * contrast**2 + 6 * contrast**3) / (changes * one.n_pixels)
