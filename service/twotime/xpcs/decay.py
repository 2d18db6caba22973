"""Fits of the stretched or compressed exponential decay."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
FEWEST_POINTS = 5
INCOMPLETE = 0.1
"""A decay that leaves more than this share of its contrast at the longest lag says little about the baseline."""
VAGUE = 0.2
"""A baseline known no better than this share of the contrast leaves the end of the decay open."""
_STARTS = 3


@dataclass(frozen=True)
class DecayFits:
    """Fitted decays, one row each.

    Attributes
    ----------
    relaxation_rate, beta, baseline, alpha : (M,); the rate in 1/unit of the lags
    relaxation_rate_error, beta_error, baseline_error, alpha_error : (M,) standard errors; 0 where fixed, NaN where
        unknown, as for a parameter that ends on a bound
    covariance : (M, 4, 4) in the order above
    chi2 : (M,) per degree of freedom
    on_bound : for each row the parameters that ended on a bound
    trusted : (M,)
    reason : for each row why it is not trusted; empty where it is
    """

    relaxation_rate: NDArray[np.float64]
    beta: NDArray[np.float64]
    baseline: NDArray[np.float64]
    alpha: NDArray[np.float64]
    relaxation_rate_error: NDArray[np.float64]
    beta_error: NDArray[np.float64]
    baseline_error: NDArray[np.float64]
    alpha_error: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2: NDArray[np.float64]
    on_bound: list[tuple[str, ...]]
    trusted: NDArray[np.bool_]
    reason: list[str]

    def __len__(self) -> int:
        return len(self.chi2)

    def rows(self, chosen: NDArray[Any] | slice) -> "DecayFits":
        """Some of the fits: numbers, a mask or a slice."""
        own = np.arange(len(self))[chosen]
        chosen_rows: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            chosen_rows[field.name] = [column[k] for k in own] if isinstance(column, list) else column[own]
        return DecayFits(**chosen_rows)


def decay(
    lag: NDArray[Any],
    relaxation_rate: NDArray[Any] | float,
    beta: NDArray[Any] | float,
    baseline: NDArray[Any] | float,
    alpha: NDArray[Any] | float,
) -> NDArray[np.float64]:
    """Konstantinova 2021, Eq. 3: baseline + beta exp(-2 (relaxation_rate lag)^alpha).

    Examples
    --------
    >>> decay(np.array([0.0, 1.0]), 0.5, 0.2, 1.0, 1.0).round(4)
    array([1.2   , 1.0736])
    """
    value: NDArray[np.float64] = baseline + beta * np.exp(-2 * (relaxation_rate * np.asarray(lag)) ** alpha)
    return value


def fit_decay(
    lag: NDArray[Any],
    g2: NDArray[Any],
    sigma: NDArray[Any] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    *,
    covariance: NDArray[Any] | None = None,
) -> DecayFits:
    """Fit the decay of one-time correlation functions.

    Parameters
    ----------
    lag : (L,) array, rising and positive, in any unit of time
    g2 : (M, L) array; points that are not finite are left out
    sigma : (M, L) array of standard errors, used as weights; None: all lags weigh the same
    fixed : values of parameters that are known
    bounds : lowest and highest value of parameters; in place of the defaults, which are, with dt = lag[0],
        relaxation_rate 1e-4/dt to 2/dt, beta 0 to 4, baseline 0.2 to 2.5, alpha 0.2 to 3
    covariance : (M, L, L) array, covariance of g2 between lags; the errors then allow for lags that err together

    Returns
    -------
    DecayFits
        With fewer than five points, or where no fit converges, a row of NaN that is not trusted.

    Raises
    ------
    ValueError
        If shapes disagree, a lag is not positive, a parameter is unknown, or its bounds are not in order.

    Notes
    -----
    Least squares in log(rate), beta, baseline and alpha (Konstantinova 2021, Eq. 3), from the best three of a grid of
    starts. Errors: with `covariance` S and weights W the sandwich (J'WJ)^-1 J'WSWJ (J'WJ)^-1; else with `sigma`
    (J'WJ)^-1; else that times the residual variance. A fit is not trusted if a parameter ends on a bound, the error of
    the rate exceeds the rate, the decay is incomplete or over too early, or beta does not exceed twice its error.
    """
    lag, g2, fixed, bounds = _checked(lag, g2, sigma, fixed or {}, bounds or {}, covariance)
    low, high = _bounds(lag, bounds, fixed)
    rows = []
    for number, values in enumerate(g2):
        weights = np.ones(len(lag)) if sigma is None else 1 / np.where(sigma[number] > 0, sigma[number], np.nan)
        own = np.isfinite(values) & np.isfinite(weights)
        if covariance is not None:
            own &= np.isfinite(np.diagonal(covariance[number]))
        spread = None if covariance is None else np.asarray(covariance[number])[np.ix_(own, own)]
        if spread is not None and not np.isfinite(spread).all():
            spread = None
        rows.append(_fit_one(lag[own], values[own], weights[own], sigma is not None, spread, fixed, low, high))
    return _collected(rows)


@dataclass(frozen=True)
class _Row:
    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    chi2: float
    on_bound: tuple[str, ...]
    reason: str


def _fit_one(
    lag: NDArray[np.float64],
    g2: NDArray[np.float64],
    weights: NDArray[np.float64],
    absolute: bool,
    spread: NDArray[np.float64] | None,
    fixed: Mapping[str, float],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> _Row:
    free = np.array([name not in fixed for name in PARAMETERS])
    if len(lag) < max(FEWEST_POINTS, int(free.sum()) + 1):
        return _no_fit(f"only {len(lag)} lags have a value, too few for a fit")
    template = np.array([np.log(fixed[n]) if n == PARAMETERS[0] else fixed[n] for n in PARAMETERS if n in fixed])
    best: tuple[float, NDArray[np.float64]] | None = None
    for start in _starts(lag, g2, weights, fixed, low, high):
        found = least_squares(
            lambda x: (decay_of(lag, _whole(x, template, free)) - g2) * weights,
            np.clip(start[free], low[free], high[free]),
            jac=lambda x: _jacobian(lag, _whole(x, template, free))[:, free] * weights[:, None],
            bounds=(low[free], high[free]),
            x_scale="jac",
            max_nfev=200,
        )
        if best is None or found.cost < best[0]:
            best = (float(found.cost), _whole(found.x, template, free))
    assert best is not None
    return _described(best[1], 2 * best[0], lag, weights, absolute, spread, free, low, high)


def decay_of(lag: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The decay for parameters (log rate, beta, baseline, alpha)."""
    return decay(lag, np.exp(x[0]), x[1], x[2], x[3])


def _described(
    x: NDArray[np.float64],
    chi2: float,
    lag: NDArray[np.float64],
    weights: NDArray[np.float64],
    absolute: bool,
    spread: NDArray[np.float64] | None,
    free: NDArray[np.bool_],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> _Row:
    """Values, errors and verdict of a fit that ended at `x`."""
    margin = 1e-4 * (high - low)
    at_bound = free & ((x - low < margin) | (high - x < margin))
    inner = free & ~at_bound
    jacobian = _jacobian(lag, x)
    weighted = jacobian[:, inner] * weights[:, None]
    freedom = max(len(lag) - int(free.sum()), 1)
    inverse = np.linalg.pinv(weighted.T @ weighted)
    own: NDArray[np.floating] = inverse if absolute else inverse * (chi2 / freedom)
    if spread is not None:
        lever = inverse @ (weighted * weights[:, None]).T
        own = lever @ spread @ lever.T
    covariance = np.zeros((4, 4))
    covariance[np.ix_(inner, inner)] = own
    covariance[at_bound] = np.nan
    covariance[:, at_bound] = np.nan
    rate = np.exp(x[0])
    to_rate = np.array([rate, 1, 1, 1])
    covariance = covariance * to_rate[:, None] * to_rate
    values = np.array([rate, *x[1:]])
    on_bound = tuple(name for name, at in zip(PARAMETERS, at_bound, strict=True) if at)
    reason = _distrust(values, covariance, on_bound, lag, bool(free[2]))
    return _Row(values, covariance, chi2 / freedom, on_bound, reason)


def _distrust(
    values: NDArray[np.float64],
    covariance: NDArray[np.float64],
    on_bound: tuple[str, ...],
    lag: NDArray[np.float64],
    baseline_free: bool,
) -> str:
    rate, beta, _, alpha = values
    variance = np.diag(covariance)
    error = np.sqrt(np.where(variance >= 0, variance, np.nan))
    left = np.exp(-2 * (rate * lag[-1]) ** alpha)
    vague = error[2] / beta if beta > 0 else np.inf
    reasons = []
    if on_bound:
        reasons.append(f"{' and '.join(on_bound)} ended on a bound")
    if not np.isfinite(error).all() and not on_bound:
        reasons.append("an error could not be determined")
    if error[0] > rate:
        reasons.append("the error of the rate exceeds the rate")
    if baseline_free and (left > INCOMPLETE or vague > VAGUE):
        reasons.append(
            f"the decay is incomplete within the measured lags ({100 * left:.0f} % of the contrast is left) "
            "and the baseline poorly determined"
        )
    if len(lag) > 1 and np.exp(-2 * (rate * lag[1]) ** alpha) < INCOMPLETE:
        reasons.append("the decay is over before the second lag")
    if beta < 2 * error[1]:
        reasons.append("the contrast does not exceed twice its error")
    return "; ".join(reasons)


def _starts(
    lag: NDArray[np.float64],
    g2: NDArray[np.float64],
    weights: NDArray[np.float64],
    fixed: Mapping[str, float],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """The best points of a grid over rate and alpha, where beta and baseline follow from linear least squares."""
    slowest, fastest = max(low[0], np.log(0.02 / lag[-1])), min(high[0], np.log(2 / lag[0]))
    log_rates = [np.log(fixed["relaxation_rate"])] if "relaxation_rate" in fixed else np.linspace(slowest, fastest, 16)
    alphas = [fixed["alpha"]] if "alpha" in fixed else np.clip([0.5, 1.0, 1.8], low[3], high[3])
    log_rate, alpha = (grid.ravel() for grid in np.meshgrid(log_rates, alphas, indexing="ij"))
    shape = np.exp(-2 * (np.exp(log_rate)[:, None] * lag) ** alpha[:, None])  # (G, L)
    weight = weights**2 / np.sum(weights**2)
    shape_mean, g2_mean = shape @ weight, float(g2 @ weight)
    variance = (shape**2) @ weight - shape_mean**2
    beta = np.divide(
        (shape * g2) @ weight - shape_mean * g2_mean, variance, out=np.zeros_like(variance), where=variance > 0
    )
    beta = np.full_like(beta, fixed["beta"]) if "beta" in fixed else beta
    baseline = np.full_like(beta, fixed["baseline"]) if "baseline" in fixed else g2_mean - beta * shape_mean
    candidates = np.clip(np.stack([log_rate, beta, baseline, alpha], axis=1), low, high)
    curves = candidates[:, 2:3] + candidates[:, 1:2] * shape
    return list(candidates[np.argsort((((curves - g2) * weights) ** 2).sum(axis=1), kind="stable")[:_STARTS]])


def _jacobian(lag: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives (L, 4) of the decay by log rate, beta, baseline and alpha."""
    power = (np.exp(x[0]) * lag) ** x[3]
    shape = np.exp(-2 * power)
    slope = -2 * x[1] * shape * power
    logarithm = x[0] + np.log(lag)
    return np.stack([slope * x[3], shape, np.ones_like(shape), slope * logarithm], axis=1)


def _whole(x: NDArray[np.float64], template: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """All four parameters from the free and the fixed ones."""
    whole = np.empty(4)
    whole[free] = x
    whole[~free] = template
    return whole


def _no_fit(reason: str) -> _Row:
    return _Row(np.full(4, np.nan), np.full((4, 4), np.nan), np.nan, (), reason)


def _collected(rows: list[_Row]) -> DecayFits:
    values = np.array([row.values for row in rows]).reshape(-1, 4)
    covariance = np.array([row.covariance for row in rows]).reshape(-1, 4, 4)
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    reason = [row.reason for row in rows]
    columns = dict(zip(PARAMETERS, values.T, strict=True))
    columns |= {f"{name}_error": own for name, own in zip(PARAMETERS, error.T, strict=True)}
    return DecayFits(
        **columns,
        covariance=covariance,
        chi2=np.array([row.chi2 for row in rows]),
        on_bound=[row.on_bound for row in rows],
        trusted=np.array([not one for one in reason], bool),
        reason=reason,
    )


def _checked(
    lag: NDArray[Any],
    g2: NDArray[Any],
    sigma: NDArray[Any] | None,
    fixed: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    covariance: NDArray[Any] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], Mapping[str, float], Mapping[str, tuple[float, float]]]:
    lag, g2 = np.asarray(lag, float), np.asarray(g2, float)
    if g2.ndim != 2 or lag.shape != g2.shape[1:]:
        raise ValueError(f"lag and g2 have shapes {lag.shape} and {g2.shape}, expected (L,) and (M, L).")
    if lag.size == 0 or lag[0] <= 0 or np.any(np.diff(lag) <= 0):
        raise ValueError("lag must be positive and rising.")
    if sigma is not None and np.shape(sigma) != g2.shape:
        raise ValueError(f"sigma has shape {np.shape(sigma)}, expected {g2.shape}.")
    if covariance is not None and np.shape(covariance) != (*g2.shape, len(lag)):
        raise ValueError(f"covariance has shape {np.shape(covariance)}, expected {(*g2.shape, len(lag))}.")
    for name in (*fixed, *bounds):
        if name not in PARAMETERS:
            raise ValueError(f"{name} is not a parameter of the decay; the parameters are {', '.join(PARAMETERS)}.")
    return lag, g2, fixed, bounds


def _bounds(
    lag: NDArray[np.float64], bounds: Mapping[str, tuple[float, float]], fixed: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest (log rate, beta, baseline, alpha)."""
    default = {
        "relaxation_rate": (1e-4 / lag[0], 2 / lag[0]),
        "beta": (0.0, 4.0),
        "baseline": (0.2, 2.5),
        "alpha": (0.2, 3.0),
    }
    for name, (first, second) in bounds.items():
        if not first < second:
            raise ValueError(f"bounds of {name} are ({first:g}, {second:g}), expected the first below the second.")
    chosen = default | dict(bounds) | {name: (value, value) for name, value in fixed.items()}
    low, high = np.array([chosen[name] for name in PARAMETERS], float).T
    if low[0] <= 0:
        raise ValueError(f"relaxation_rate has the lower bound or value {low[0]:g}, expected a positive one.")
    low[0], high[0] = np.log(low[0]), np.log(high[0])
    return low, high
