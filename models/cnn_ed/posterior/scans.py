"""Simulated scans of known dynamics, from photon counts to the curves that the estimate is trained and judged on."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.posterior.curves import BinnedCurves, bin_curves
from twotime.xpcs import age_cuts, fit_decay, one_time, two_time
from twotime.xpcs.contrast import contrast_from_counts
from twotime.xpcs.onetime import pixel_covariance

MOST_MODES = 8
"""Modes of one pixel; lower contrasts are reached by a constant part, which keeps their correlation exact."""
FEWEST_FRAMES = 50
"""Of the shortest scans."""
LONGEST_LAG = 0.75
"""Share of the frames up to which lags are used, as in the analysis."""


@dataclass(frozen=True)
class Dynamics:
    """One region of interest.

    Attributes
    ----------
    frames, pixels : N, P
    counts : mean photons per pixel and frame
    rate : Γ per frame
    beta, baseline, alpha : of C∞ + β exp(-2 (Γ τ)^α); baseline 1 or more, alpha at most 2
    """

    frames: int
    pixels: int
    counts: float
    rate: float
    beta: float
    baseline: float
    alpha: float

    @property
    def truth(self) -> NDArray[np.float64]:
        """(4,) rate per frame, beta, baseline, alpha."""
        return np.array([self.rate, self.beta, self.baseline, self.alpha])


def draw(rng: np.random.Generator, most_values: float = 1.2e6) -> Dynamics:
    """Dynamics from the prior of the estimate.

    Frames 50 to 1600, pixels 200 to 6000 (together at most `most_values`), photons 0.02 to 20, β 0.015 to 0.6, all with
    even logarithms; Γ the same from 0.03 / N to 1.2 per frame; α even from 0.3 to 2; C∞ 1 in half of the scans, above
    it by 0.02 β to 0.8 β in the others.
    """

    def log_even(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    frames = round(log_even(50, 1600))
    beta = log_even(0.015, 0.6)
    static = 0.0 if rng.random() < 0.5 else beta * log_even(0.02, 0.8)
    return Dynamics(
        frames=frames,
        pixels=round(log_even(200, min(6000.0, most_values / frames))),
        counts=log_even(0.02, 20),
        rate=log_even(0.03 / frames, 1.2),
        beta=beta,
        baseline=1 + static,
        alpha=float(rng.uniform(0.3, 2.0)),
    )


def intensity(dynamics: Dynamics, rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative intensity (N, P), mean 1, whose correlation is C∞ + β exp(-2 (Γ τ)^α) exactly.

    Sums of squares of Gaussian fields with the covariance exp(-(Γ |t1 - t2|)^α); static differences between pixels
    raise the baseline.
    """
    lag = np.arange(dynamics.frames)
    row = np.exp(-((dynamics.rate * lag) ** dynamics.alpha))
    covariance = row[np.abs(lag[:, None] - lag)]
    covariance[lag, lag] += 1e-6
    return from_fields(np.linalg.cholesky(covariance).astype(np.float32), dynamics, rng)


def from_fields(factor: NDArray[np.float32], dynamics: Dynamics, rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative intensity (N, P) of fields with the covariance `factor` `factor`ᵀ."""
    contrast = dynamics.beta / dynamics.baseline
    modes = min(MOST_MODES, math.floor(1 / contrast + 1e-9))
    total = np.zeros((dynamics.frames, dynamics.pixels), np.float32)
    for _ in range(2 * modes):
        field = factor @ rng.standard_normal((dynamics.frames, dynamics.pixels), np.float32)
        total += field * field
    total /= np.float32(2 * modes)
    relative = 1 + np.float32(math.sqrt(contrast * modes)) * (total - 1)
    if dynamics.baseline > 1:
        shape = 1 / (dynamics.baseline - 1)
        relative *= rng.gamma(shape, 1 / shape, dynamics.pixels).astype(np.float32)
    return np.asarray(np.maximum(relative, 0), np.float32)


def counted(relative: NDArray[np.float32], counts: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Photon counts (N, P)."""
    return np.minimum(rng.poisson(counts * relative), 60_000).astype(np.uint16)


def curves_of(pixels: NDArray[Any], ages: int = 0) -> BinnedCurves:
    """The whole curve of a scan, and its cuts at constant age, as the analysis computes them; one row each."""
    c2 = two_time(pixels)
    n_frames = len(c2)
    longest = max(4, int(LONGEST_LAG * n_frames))
    lag = fitted_lags(longest)
    g2 = one_time(c2, max_lag=longest).g2[lag - 1]
    covariance = pixel_covariance(pixels, lag)
    error = np.sqrt(np.diag(covariance))
    contrast = contrast_from_counts(pixels)
    fits = fit_decay(lag, g2[None], sigma=error[None], covariance=covariance[None])
    parts = [bin_curves(lag, g2[None], covariance, fits, n_frames, contrast=contrast)[0]]
    if ages:
        cuts = age_cuts(c2, ages, max_lag=longest)
        own = lag - 1
        pairs = cuts.pairs[:, own].astype(float)
        whole = np.maximum(n_frames - lag, 1)
        growth = np.sqrt(np.divide(whole, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0))
        fits = fit_decay(lag, cuts.g2[:, own], sigma=error * growth, covariance=covariance, growth=growth)
        binned = bin_curves(
            lag, cuts.g2[:, own], covariance, fits, n_frames, growth=growth, contrast=contrast, share=1 / ages
        )[0]
        parts.append(binned)
    return BinnedCurves.joined(parts)


def bare_curve(c2: NDArray[np.floating]) -> BinnedCurves:
    """The curve of a two-time correlation function alone: errors from the scatter along its diagonals."""
    longest = max(4, int(LONGEST_LAG * len(c2)))
    lag = fitted_lags(longest)
    curve = one_time(c2, max_lag=longest)
    g2, error = curve.g2[lag - 1], curve.error[lag - 1]
    fits = fit_decay(lag, g2[None], sigma=error[None])
    return bin_curves(lag, g2[None], np.diag(error**2), fits, len(c2))[0]


def fitted_lags(longest: int) -> NDArray[np.int64]:
    """All lags up to 100, then ever wider steps: 200 in all where there are more."""
    if longest <= 200:
        return np.arange(1, longest + 1)
    wide = np.rint(np.geomspace(100, longest, 101)).astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, 101), wide]))


def examples(
    seed: int, variants: int = 4
) -> tuple[BinnedCurves, NDArray[np.float64], BinnedCurves, NDArray[np.float64]]:
    """Curves of one simulated sample at several exposures and lengths, and their truths.

    Returns
    -------
    Curves from pixels (whole scans and cuts at constant age) with truths (M, 4), and curves of bare two-time
    correlation functions with theirs.
    """
    rng = np.random.default_rng(seed)
    dynamics = draw(rng)
    relative = intensity(dynamics, rng)
    from_pixels: list[BinnedCurves] = []
    from_two_time: list[BinnedCurves] = []
    for number in range(variants):
        counts = dynamics.counts if number == 0 else float(np.exp(rng.uniform(np.log(0.02), np.log(20))))
        frames = dynamics.frames if number == 0 else int(rng.integers(50, dynamics.frames + 1))
        some = dynamics.pixels if number == 0 else int(rng.integers(min(100, dynamics.pixels), dynamics.pixels + 1))
        pixels = counted(relative[:frames, :some], counts, rng)
        if not (pixels.sum(axis=1) > 0).mean() > 0.5:
            continue
        own = curves_of(pixels, ages=int(rng.integers(2, 11)))
        cut = rng.integers(1, len(own))
        from_pixels.append(own.rows(np.array([0, cut])))
        from_two_time.append(bare_curve(two_time(pixels)))
    if not from_pixels:  # Hardly a photon anywhere: another sample.
        return examples(seed + 1_000_000_007, variants)
    curves, bare = BinnedCurves.joined(from_pixels), BinnedCurves.joined(from_two_time)
    return curves, np.tile(dynamics.truth, (len(curves), 1)), bare, np.tile(dynamics.truth, (len(bare), 1))
