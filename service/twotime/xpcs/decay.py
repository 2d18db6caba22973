"""Fits of the stretched or compressed exponential decay."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.varpro import carried_over, fit_curves, normal_matrices

PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
FEWEST_POINTS = 5
INCOMPLETE = 0.1
"""A decay that leaves more than this share of its contrast at the longest lag says little about the baseline."""
VAGUE = 0.2
"""A baseline known no better than this share of the contrast leaves the end of the decay open."""
GRID_RATES = 24
GRID_ALPHAS = (0.3, 0.5, 0.75, 1.0, 1.4, 1.9, 2.6)
BLOCK_VALUES = 4_000_000
"""Values of covariance or curves worked on at once, 32 MB."""


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
    r2 : (M,) share of the curve's weighted variance that the fit explains
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
    r2: NDArray[np.float64]
    on_bound: list[tuple[str, ...]]
    trusted: NDArray[np.bool_]
    reason: list[str]

    def __len__(self) -> int:
        return len(self.chi2)

    def rows(self, chosen: NDArray[Any] | slice) -> Self:
        """Some of the fits: numbers, a mask or a slice."""
        own = np.arange(len(self))[chosen]
        chosen_rows: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            chosen_rows[field.name] = [column[k] for k in own] if isinstance(column, list) else column[own]
        return type(self)(**chosen_rows)

    def in_unit(self, unit: float) -> Self:
        """The same fits with rates in 1/unit of time: for lags in frames, `unit` is the frame time in s."""
        scale = np.array([1 / unit, 1.0, 1.0, 1.0])
        return replace(
            self,
            relaxation_rate=self.relaxation_rate / unit,
            relaxation_rate_error=self.relaxation_rate_error / unit,
            covariance=self.covariance * scale[:, None] * scale,
        )


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
    growth: NDArray[Any] | None = None,
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
    covariance : (M, L, L) array, covariance of g2 between lags; the errors then allow for lags that err together.
        (L, L): one for all curves
    growth : (M, L) array, with one `covariance` for all: how many times more each curve errs at each lag; points where
        it is not finite are left out

    Returns
    -------
    DecayFits
        With fewer than five points a row of NaN that is not trusted.

    Raises
    ------
    ValueError
        If shapes disagree, a lag is not positive, a parameter is unknown, or its bounds are not in order.

    Notes
    -----
    Least squares in log(rate), beta, baseline and alpha (Konstantinova 2021, Eq. 3), from three places of a grid over
    rate and alpha. Errors: with `covariance` S and weights W the sandwich (J'WJ)^-1 J'WSWJ (J'WJ)^-1; else with `sigma`
    (J'WJ)^-1; else that times the residual variance. A fit is not trusted if it does not converge, a parameter ends on
    a bound, the error of the rate exceeds the rate, the decay is incomplete or over too early, or beta does not exceed
    twice its error.
    """
    lag, g2, fixed, bounds = _checked(lag, g2, sigma, fixed or {}, bounds or {}, (covariance, growth))
    low, high = _bounds(lag, bounds, fixed)
    free = np.array([name not in fixed for name in PARAMETERS])
    spread = None if covariance is None else np.asarray(covariance, float)
    each = spread is not None and spread.ndim == 3
    step = max(1, BLOCK_VALUES // (len(lag) * (len(lag) if each else 1)))
    parts = []
    for start in range(0, max(len(g2), 1), step):
        own = slice(start, start + step)
        parts.append(
            _fit_block(
                lag,
                g2[own],
                None if sigma is None else np.asarray(sigma[own], float),
                spread[own] if spread is not None and each else spread,
                None if growth is None else np.asarray(growth[own], float),
                (low, high, free),
            )
        )
    return _joined(parts)


def _fit_block(
    lag: NDArray[np.float64],
    g2: NDArray[np.float64],
    sigma: NDArray[np.float64] | None,
    spread: NDArray[np.float64] | None,
    growth: NDArray[np.float64] | None,
    limits: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]],
) -> DecayFits:
    """Fit the curves that fit into memory at once; `limits` are low, high and which parameters are free."""
    low, high, free = limits
    weights = np.ones_like(g2) if sigma is None else 1 / np.where(sigma > 0, sigma, np.nan)
    own = np.isfinite(g2) & np.isfinite(weights)
    if spread is not None:
        own &= np.isfinite(np.diagonal(spread, axis1=-2, axis2=-1))
    if growth is not None:
        own &= np.isfinite(growth)
    number = own.sum(axis=1)
    enough = number >= max(FEWEST_POINTS, int(free.sum()) + 1)
    weights = np.where(own & enough[:, None], weights, 0.0)
    x = np.full((len(g2), 4), np.nan)
    chi2 = np.full(len(g2), np.nan)
    rest = np.ones(len(g2), bool)
    log_rates, alphas = _grid(lag, low, high)
    values_there = np.where(own, g2, 0.0)
    x[enough], chi2[enough], rest[enough] = fit_curves(
        np.log(lag), values_there[enough], weights[enough], low, high, log_rates, alphas
    )
    freedom = np.maximum(number - int(free.sum()), 1)
    margin = 1e-4 * (high - low)
    with np.errstate(invalid="ignore"):
        at_bound: NDArray[np.bool_] = free & ((x - low < margin) | (high - x < margin))
        residual = None if sigma is not None else chi2 / freedom
        covariance = _covariances(lag, x, weights, free & ~at_bound, (spread, growth), residual)
    covariance = np.where(at_bound[:, :, None] | at_bound[:, None, :] | ~enough[:, None, None], np.nan, covariance)
    values = np.concatenate([np.exp(x[:, :1]), x[:, 1:]], axis=1)
    on_bound: list[tuple[str, ...]] = [()] * len(g2)
    for m in np.flatnonzero(at_bound.any(axis=1)):
        on_bound[m] = tuple(name for name, at in zip(PARAMETERS, at_bound[m], strict=True) if at)
    ends = _first_two_and_last(lag, own)
    reason = _reasons(values, covariance, at_bound, rest, ends, baseline_free=bool(free[2]))
    for m in np.flatnonzero(~enough):
        reason[m] = f"only {number[m]} lags have a value, too few for a fit"
    variation = _variation(values_there, weights)
    r2 = 1 - np.divide(chi2, variation, out=np.full_like(chi2, np.nan), where=variation > 0)
    return _collected(values, covariance, chi2 / freedom, r2, on_bound, reason)


def _variation(g2: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sum of squares (M,) about the weighted mean of each curve."""
    square = weights * weights
    total = square.sum(axis=1)
    weighted = np.einsum("ml,ml->m", square, g2)
    mean = np.divide(weighted, total, out=np.zeros_like(total), where=total > 0)
    away = g2 - mean[:, None]
    away *= away
    variation: NDArray[np.float64] = np.einsum("ml,ml->m", square, away)
    return variation


def _first_two_and_last(
    lag: NDArray[np.float64], own: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second and last lag that each curve has; NaN where it has fewer than two."""
    count = np.cumsum(own, axis=1)
    several = count[:, -1] >= 2
    second = np.where(several, lag[np.argmax(count >= 2, axis=1)], np.nan)
    last = np.where(several, lag[own.shape[1] - 1 - np.argmax(own[:, ::-1], axis=1)], np.nan)
    return second, last


def _covariances(
    lag: NDArray[np.float64],
    x: NDArray[np.float64],
    weights: NDArray[np.float64],
    inner: NDArray[np.bool_],
    given: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None],
    residual: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Covariance (M, 4, 4) of rate, beta, baseline and alpha; zero for parameters that are not `inner` (M, 4).

    `given` are the covariance between lags and its growth. Where the former is not finite, the weights decide as if it
    had not been given: times the variance of the residuals (M,), or alone where these are None.
    """
    spread, growth = given
    jacobian = None if spread is None else np.empty((*weights.shape, len(PARAMETERS)))
    inverse = np.linalg.pinv(normal_matrices(np.log(lag), x, weights, inner, jacobian), hermitian=True)
    covariance = np.asarray(inverse if residual is None else inverse * np.nan_to_num(residual)[:, None, None], float)
    if spread is not None:
        assert jacobian is not None
        lever = (jacobian * (weights * weights)[:, :, None]) @ inverse  # (M, L, 4); zero where a lag is left out
        if growth is not None:
            lever *= np.nan_to_num(growth)[:, :, None]
        sandwich = _carried_over(spread, lever, weights > 0)
        known = np.asarray(np.isfinite(sandwich).all(axis=(1, 2)))
        covariance = np.where(known[:, None, None], sandwich, covariance)
    to_rate = np.ones_like(x)
    to_rate[:, 0] = np.nan_to_num(np.exp(x[:, 0]))
    return covariance * to_rate[:, :, None] * to_rate[:, None, :]


def _carried_over(
    spread: NDArray[np.float64], lever: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """As `carried_over`, also for one covariance (L, L) of all curves."""
    if spread.ndim == 3:
        return carried_over(np.ascontiguousarray(spread), lever, used)
    n_curves, n_lags, n_parameters = lever.shape
    known = np.isfinite(np.diagonal(spread))
    side_by_side = lever.transpose(1, 0, 2).reshape(n_lags, -1)
    moved = np.where(known[:, None] & known, spread, 0.0) @ side_by_side
    covariance: NDArray[np.float64] = lever.transpose(0, 2, 1) @ moved.reshape(
        n_lags, n_curves, n_parameters
    ).transpose(1, 0, 2)
    return covariance


def _reasons(
    values: NDArray[np.float64],
    covariance: NDArray[np.float64],
    at_bound: NDArray[np.bool_],
    rest: NDArray[np.bool_],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    baseline_free: bool,
) -> list[str]:
    """For each fit why it is not to be trusted; empty where it is."""
    rate, beta, _, alpha = values.T
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.sqrt(np.where(variance >= 0, variance, np.nan))
        second, last = (np.exp(-2 * (rate * lag) ** alpha) for lag in ends)
        vague = np.where(beta > 0, error[:, 2] / beta, np.inf)
        unknown = ~np.isfinite(error).all(axis=1) & ~at_bound.any(axis=1)
        flags = (
            (~rest, "the fit did not converge"),
            (at_bound.any(axis=1), "{bounds} ended on a bound"),
            (unknown, "an error could not be determined"),
            (error[:, 0] > rate, "the error of the rate exceeds the rate"),
            (
                baseline_free & ((last > INCOMPLETE) | (vague > VAGUE)),
                "the decay is incomplete within the measured lags ({left:.0f} % of the contrast is left) "
                "and the baseline poorly determined",
            ),
            (second < INCOMPLETE, "the decay is over before the second lag"),
            (beta < 2 * error[:, 1], "the contrast does not exceed twice its error"),
        )
    reasons = [""] * len(values)
    flagged = np.stack([own for own, _ in flags])
    for m in np.flatnonzero(flagged.any(axis=0)):
        bounds = " and ".join(name for name, at in zip(PARAMETERS, at_bound[m], strict=True) if at)
        told = [words.format(bounds=bounds, left=100 * last[m]) for k, (_, words) in enumerate(flags) if flagged[k, m]]
        reasons[m] = "; ".join(told)
    return reasons


def _grid(
    lag: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log rates and exponents from which fits start, within the bounds."""
    slowest, fastest = np.log(0.02 / lag[-1]), np.log(2 / lag[0])
    log_rates = np.linspace(np.clip(slowest, low[0], high[0]), np.clip(fastest, low[0], high[0]), GRID_RATES)
    alphas = np.unique(np.clip(GRID_ALPHAS, low[3], high[3]))
    return log_rates if low[0] < high[0] else low[:1], alphas


def _collected(
    values: NDArray[np.float64],
    covariance: NDArray[np.float64],
    chi2: NDArray[np.float64],
    r2: NDArray[np.float64],
    on_bound: list[tuple[str, ...]],
    reason: list[str],
) -> DecayFits:
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    columns = dict(zip(PARAMETERS, values.T, strict=True))
    columns |= {f"{name}_error": own for name, own in zip(PARAMETERS, error.T, strict=True)}
    return DecayFits(
        **columns,
        covariance=covariance,
        chi2=chi2,
        r2=r2,
        on_bound=on_bound,
        trusted=np.array([not one for one in reason], bool),
        reason=reason,
    )


def _joined(parts: list[DecayFits]) -> DecayFits:
    columns: dict[str, Any] = {}
    for field in fields(DecayFits):
        own = [getattr(part, field.name) for part in parts]
        columns[field.name] = list(chain.from_iterable(own)) if isinstance(own[0], list) else np.concatenate(own)
    return DecayFits(**columns)


def _checked(
    lag: NDArray[Any],
    g2: NDArray[Any],
    sigma: NDArray[Any] | None,
    fixed: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    spread: tuple[NDArray[Any] | None, NDArray[Any] | None],
) -> tuple[NDArray[np.float64], NDArray[np.float64], Mapping[str, float], Mapping[str, tuple[float, float]]]:
    lag, g2 = np.asarray(lag, float), np.asarray(g2, float)
    if g2.ndim != 2 or lag.shape != g2.shape[1:]:
        raise ValueError(f"lag and g2 have shapes {lag.shape} and {g2.shape}, expected (L,) and (M, L).")
    if lag.size == 0 or not (np.isfinite(lag).all() and lag[0] > 0 and np.all(np.diff(lag) > 0)):
        raise ValueError("lag must be finite, positive and rising.")
    if sigma is not None and np.shape(sigma) != g2.shape:
        raise ValueError(f"sigma has shape {np.shape(sigma)}, expected {g2.shape}.")
    covariance, growth = spread
    one = (len(lag), len(lag))
    if covariance is not None and np.shape(covariance) not in ((*g2.shape, len(lag)), one):
        raise ValueError(f"covariance has shape {np.shape(covariance)}, expected {(*g2.shape, len(lag))} or {one}.")
    if growth is not None and (np.shape(growth) != g2.shape or covariance is None or np.ndim(covariance) == 3):
        raise ValueError(f"growth has shape {np.shape(growth)}, expected {g2.shape}, and one covariance {one} for all.")
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
