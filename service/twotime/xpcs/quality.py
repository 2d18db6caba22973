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


def stationarity(rate: NDArray[Any], rate_error: NDArray[Any], use: NDArray[np.bool_]) -> Stationarity:
    """Compare the rates at different ages with their weighted mean.

    Parameters
    ----------
    rate, rate_error : (A,) arrays
    use : (A,) array, True where a rate may be used

    Returns
    -------
    Stationarity
        Not stationary where a constant rate has a probability below 0.1 %.
    """
    own = np.asarray(use, bool) & np.isfinite(rate) & np.isfinite(rate_error) & (np.asarray(rate_error) > 0)
    n = int(np.count_nonzero(own))
    if n < 3:
        return Stationarity(None, np.nan, np.nan, f"{n} ages with a trusted rate are too few to tell")
    weight = 1 / rate_error[own] ** 2
    mean = (weight * rate[own]).sum() / weight.sum()
    total = float((weight * (rate[own] - mean) ** 2).sum())
    probability = float(chi2_distribution.sf(total, n - 1))
    stationary = probability > 1e-3
    words = "the rate does not change with age" if stationary else "the rate changes with age"
    return Stationarity(stationary, total / (n - 1), probability, f"{words} (χ² {total / (n - 1):.1f} over {n} ages)")
