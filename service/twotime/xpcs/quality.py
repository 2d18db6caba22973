"""Whether the dynamics stay the same over a scan."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution


@dataclass(frozen=True)
class Stationarity:
    """Verdict on the rates of one ROI over age.

    Attributes
    ----------
    stationary : None where too few ages have a rate
    chi2 : of a constant rate, per degree of freedom
    probability : of a χ² as large, were the rate constant
    verdict : in words
    """

    stationary: bool | None
    chi2: float
    probability: float
    verdict: str


def stationarity(
    age: NDArray[Any], rate: NDArray[Any], rate_error: NDArray[Any], use: NDArray[np.bool_]
) -> Stationarity:
    """Compare the rates at different ages with their weighted mean.

    Parameters
    ----------
    age, rate, rate_error : (A,) arrays
    use : (A,) array, True where a rate may be used

    Returns
    -------
    Stationarity
        Not stationary where a constant rate has a probability below 0.1 %. The verdict names the size of the change
        from the first to the last age that has a rate, by `rate_trend`.
    """
    own = np.asarray(use, bool) & np.isfinite(rate) & np.isfinite(rate_error) & (np.asarray(rate_error) > 0)
    n = int(np.count_nonzero(own))
    if n < 3:
        return Stationarity(None, np.nan, np.nan, f"{n} ages with a trusted rate are too few to tell")
    log_error = rate_error[own] / rate[own]
    log_rate = np.log(rate[own])
    weight = 1 / log_error**2
    mean = (weight * log_rate).sum() / weight.sum()
    total = float((weight * (log_rate - mean) ** 2).sum())
    probability = float(chi2_distribution.sf(total, n - 1))
    stationary = probability > 1e-3
    told = f"(χ² {total / (n - 1):.1f} over {n} ages)"
    if stationary:
        return Stationarity(True, total / (n - 1), probability, f"the rate does not change with age {told}")
    change = _size_of_change(np.asarray(age)[own], rate[own], rate_error[own])
    return Stationarity(False, total / (n - 1), probability, f"the rate changes with age, {change} {told}")


def _size_of_change(age: NDArray[Any], rate: NDArray[Any], rate_error: NDArray[Any]) -> str:
    """How far a smooth rate moves from the first age to the last, in words."""
    trend = rate_trend(age, rate, rate_error, np.ones(len(age), bool))
    first, last = trend.rate[0], trend.rate[-1]
    error = last / first * float(np.hypot(trend.rate_error[0] / first, trend.rate_error[-1] / last))
    share = 100 * abs(last / first - 1)
    if share < 100 * error:
        return "up and down"
    return f"{'falling' if last < first else 'rising'} by {share:.0f} ± {100 * error:.0f} %"


@dataclass(frozen=True)
class Trend:
    """A smooth rate over age.

    Attributes
    ----------
    rate, rate_error : (A,) at the ages given; NaN where too few of them have a rate
    degree : of the polynomial in log rate, -1 where there is none
    """

    rate: NDArray[np.float64]
    rate_error: NDArray[np.float64]
    degree: int


def rate_trend(age: NDArray[Any], rate: NDArray[Any], rate_error: NDArray[Any], use: NDArray[np.bool_]) -> Trend:
    """The simplest smooth curve through rates over age.

    Parameters
    ----------
    age, rate, rate_error : (A,) arrays
    use : (A,) array, True where a rate may be used

    Returns
    -------
    Trend
        Constant, line or parabola in log rate, weighted by the errors: the lowest degree that leaves a χ² with a
        probability above 5 %, else the highest, whose errors then grow with the square root of χ².
    """
    age, rate, rate_error = (np.asarray(values, float) for values in (age, rate, rate_error))
    own = np.asarray(use, bool) & np.isfinite(rate) & np.isfinite(rate_error) & (rate > 0) & (rate_error > 0)
    n = int(np.count_nonzero(own))
    nothing = np.full(len(age), np.nan)
    if n < 3:
        return Trend(nothing, nothing.copy(), -1)
    span = max(float(np.ptp(age)), 1e-12)
    x, y, weight = (age - age.mean()) / span, np.log(np.where(own, rate, 1.0)), rate[own] / rate_error[own]
    degrees = range(min(2, n - 2) + 1)
    for degree in degrees:
        powers = x[:, None] ** np.arange(degree + 1)
        design = powers[own] * weight[:, None]
        inverse = np.linalg.pinv(design.T @ design)
        coefficients = inverse @ design.T @ (y[own] * weight)
        chi2 = float(np.sum(((y[own] - powers[own] @ coefficients) * weight) ** 2))
        if chi2_distribution.sf(chi2, n - degree - 1) > 0.05 or degree == degrees[-1]:
            break
    fitted = np.exp(powers @ coefficients)
    growth = max(1.0, chi2 / (n - degree - 1))
    variance = np.einsum("ai,ij,aj->a", powers, inverse, powers) * growth
    return Trend(fitted, fitted * np.sqrt(variance), degree)
