"""Whether the dynamics stay the same over a scan."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from twotime.xpcs.trend import Trend, rate_trend


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
        from the first to the last age that has a rate, by `twotime.xpcs.trend.rate_trend`.
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
    change = _size_of_change(rate_trend(age, rate, rate_error, own))
    return Stationarity(False, total / (n - 1), probability, f"the rate changes with age, {change} {told}")


def _size_of_change(trend: Trend) -> str:
    """How far a rate moves from the first age to the last, in words."""
    if abs(trend.change) < trend.change_error:
        return "up and down"
    moved = float(np.expm1(trend.change))
    error = (1 + moved) * trend.change_error
    return f"{'falling' if moved < 0 else 'rising'} by {100 * abs(moved):.0f} ± {100 * error:.0f} %"
