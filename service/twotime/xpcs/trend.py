"""A rate over age: what is common to neighbouring ages, with its error."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_AGES = 48
"""Of which the kernels are made; more ages are averaged in groups."""
CONSTANT, LINE, SMOOTH, STEP = 0.4, 0.2, 0.2, 0.2
"""How likely each shape is before anything was measured."""
_LINES = (0.2, 0.5, 1.0, 2.0)
_AMPLITUDES = (0.1, 0.2, 0.4, 0.8)
_ROUGH, _EVEN = (0.2, 0.6), (0.3, 0.8)
"""Lengths of rough (exponential) and even (Matérn 5/2) curves, in spans of the ages."""
_STEPS = (0.3, 0.8, 1.6)
_ERRORS = (0.7, 1.0, 1.5)
"""Errors of rates may be so many times what is said of them, with a spread of `_ERRORS_SPREAD` in their logarithm."""
_ERRORS_SPREAD = 0.3
_LEVEL = 5.0
"""Standard deviation of the common level in log rate: wide enough to say nothing."""


@dataclass(frozen=True)
class Trend:
    """A rate over age, from all ages together.

    Attributes
    ----------
    rate, rate_error : (A,) at the ages given; NaN where too few of them have a rate
    change, change_error : of log rate from the first to the last age that has a rate, and its standard error
    constant : probability that the rate does not change at all
    """

    rate: NDArray[np.float64]
    rate_error: NDArray[np.float64]
    change: float
    change_error: float
    constant: float


def rate_trend(age: NDArray[Any], rate: NDArray[Any], rate_error: NDArray[Any], use: NDArray[np.bool_]) -> Trend:
    """Smooth rates over age without deciding beforehand how they change.

    Parameters
    ----------
    age, rate, rate_error : (A,) arrays
    use : (A,) array, True where a rate may be used

    Returns
    -------
    Trend
        Mean and standard deviation of log rate under a mixture of Gaussian processes: constant, line, rough or even
        curve, and one step between two ages, each at several sizes and lengths and with errors somewhat smaller or
        larger than given; each weighs as much as it explains the rates (Rasmussen & Williams, Gaussian Processes for
        Machine Learning, 2006, Eqs. 2.23, 2.24 and 2.30). Errors of different ages are taken as independent.
    """
    age, rate, rate_error = (np.asarray(values, float) for values in (age, rate, rate_error))
    own = np.asarray(use, bool) & np.isfinite(rate) & np.isfinite(rate_error) & (rate > 0) & (rate_error > 0)
    if np.count_nonzero(own) < 3:
        nothing = np.full(len(age), np.nan)
        return Trend(nothing, nothing.copy(), np.nan, np.nan, np.nan)
    x = (age - age.mean()) / max(float(np.ptp(age)), 1e-12)
    seen, log_rate, variance = _grouped(x[own], np.log(rate[own]), (rate_error[own] / rate[own]) ** 2)
    ends = x[own][[0, -1]]
    asked = np.concatenate([x, ends])
    kernels, prior = _kernels(np.concatenate([asked, seen]), seen)
    kernels += _LEVEL**2
    n = len(asked)
    level = log_rate.mean()
    evidence, means, covariances = [], [], []
    for scale in _ERRORS:
        factor = np.linalg.cholesky(kernels[:, n:, n:] + np.diag(variance * scale**2))
        residual = np.linalg.solve(factor, np.broadcast_to((log_rate - level)[:, None], (len(prior), len(seen), 1)))
        cross = np.linalg.solve(factor, kernels[:, n:, :n])  # (K, seen, asked)
        spread = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        doubt = 0.5 * (np.log(scale) / _ERRORS_SPREAD) ** 2
        evidence.append(np.log(prior) - 0.5 * (residual[..., 0] ** 2).sum(axis=1) - spread - doubt)
        means.append(np.einsum("kna,kn->ka", cross, residual[..., 0]))
        own_variance = np.diagonal(kernels[:, :n, :n], axis1=1, axis2=2) - (cross**2).sum(axis=1)
        between = kernels[:, n - 2, n - 1] - (cross[:, :, n - 2] * cross[:, :, n - 1]).sum(axis=1)
        covariances.append(np.concatenate([own_variance, between[:, None]], axis=1))
    logs = np.concatenate(evidence)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    mean, part = np.concatenate(means), np.concatenate(covariances)
    middle = weight @ mean
    deviation = np.sqrt(np.maximum(weight @ (part[:, :n] + mean**2) - middle**2, 0.0))
    moved = mean[:, -1] - mean[:, -2]
    change = float(weight @ moved)
    change_variance = weight @ (part[:, n - 1] + part[:, n - 2] - 2 * part[:, n] + moved**2) - change**2
    smooth = np.exp(middle[: len(x)] + level)
    constant = weight.reshape(len(_ERRORS), -1)[:, 0].sum()
    return Trend(
        smooth, smooth * deviation[: len(x)], change, float(np.sqrt(max(change_variance, 0.0))), float(constant)
    )


def _grouped(
    x: NDArray[np.float64], log_rate: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weighted means of neighbours where there are more than `MOST_AGES`."""
    if len(x) <= MOST_AGES:
        return x, log_rate, variance
    group = np.arange(len(x)) * MOST_AGES // len(x)
    total = np.bincount(group, 1 / variance)
    return np.bincount(group, x / variance) / total, np.bincount(group, log_rate / variance) / total, 1 / total


def _kernels(x: NDArray[np.float64], seen: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariances (K, n, n) of log rate at `x` around its level, the constant first, and how likely each is (K,)."""
    distance = np.abs(x[:, None] - x)
    scaled = [np.sqrt(5) * distance / length for length in _EVEN]
    shapes = [np.exp(-distance / length) for length in _ROUGH] + [(1 + r + r * r / 3) * np.exp(-r) for r in scaled]
    places = np.unique(seen)
    edges = (places[1:] + places[:-1]) / 2
    sides = [np.where(x < edge, -0.5, 0.5) for edge in edges]
    families = (
        (CONSTANT, [np.zeros_like(distance)]),
        (LINE, [np.outer(x, x) * slope**2 for slope in _LINES]),
        (SMOOTH, [shape * size**2 for size in _AMPLITUDES for shape in shapes]),
        (STEP, [np.outer(side, side) * size**2 for side in sides for size in _STEPS]),
    )
    kernels = [kernel for _, family in families for kernel in family]
    prior = [share / len(family) for share, family in families for _ in family]
    return np.array(kernels), np.array(prior)
