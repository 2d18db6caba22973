"""How the relaxation rate depends on q."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class QDependence:
    """Two laws through the same rates.

    Attributes
    ----------
    diffusion, diffusion_error : D of rate = D q², in unit of rate × unit of 1/q²
    chi2 : of that law, per degree of freedom
    amplitude, amplitude_error, exponent, exponent_error : A and p of rate = A q^p
    reason : why a law has no values; empty where both have
    """

    diffusion: float = np.nan
    diffusion_error: float = np.nan
    chi2: float = np.nan
    amplitude: float = np.nan
    amplitude_error: float = np.nan
    exponent: float = np.nan
    exponent_error: float = np.nan
    reason: str = ""


def fit_q_dependence(
    q: NDArray[Any], rate: NDArray[Any], rate_error: NDArray[Any], use: NDArray[np.bool_]
) -> QDependence:
    """Fit rate = D q² and rate = A q^p, weighted by the errors.

    Parameters
    ----------
    q, rate, rate_error : (R,) arrays
    use : (R,) array, True where a rate may be used

    Returns
    -------
    QDependence
        D needs two rates, the power law three. Errors grow with the square root of χ² where that exceeds 1, because
        rates that scatter more than their errors say leave the law as uncertain as their scatter.
    """
    own = np.asarray(use, bool) & np.isfinite(rate) & np.isfinite(rate_error) & (rate > 0) & (rate_error > 0) & (q > 0)
    n = int(np.count_nonzero(own))
    if n < 2:
        return QDependence(reason=f"{n} trusted rates are too few: D needs two, a power law three")
    q, rate, rate_error = q[own], rate[own], rate_error[own]
    diffusion, diffusion_error, chi2 = _through_origin(q**2, rate, rate_error)
    if n < 3:
        return QDependence(diffusion, diffusion_error, chi2, reason="two trusted rates are too few for a power law")
    relative = rate_error / rate
    design = np.stack([np.ones(n), np.log(q)], axis=1) / relative[:, None]
    covariance = np.linalg.inv(design.T @ design)
    intercept, exponent = covariance @ design.T @ (np.log(rate) / relative)
    residual = (np.log(rate) - intercept - exponent * np.log(q)) / relative
    growth = max(1.0, float(residual @ residual) / (n - 2))
    amplitude = float(np.exp(intercept))
    return QDependence(
        diffusion=diffusion,
        diffusion_error=diffusion_error,
        chi2=chi2,
        amplitude=amplitude,
        amplitude_error=amplitude * float(np.sqrt(covariance[0, 0] * growth)),
        exponent=float(exponent),
        exponent_error=float(np.sqrt(covariance[1, 1] * growth)),
    )


def _through_origin(
    x: NDArray[np.float64], y: NDArray[np.float64], error: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Slope, its error and reduced χ² of a weighted line through the origin."""
    weight = 1 / error**2
    slope = float((weight * x * y).sum() / (weight * x * x).sum())
    chi2 = float((((y - slope * x) / error) ** 2).sum() / (len(x) - 1))
    return slope, float(np.sqrt(max(1.0, chi2) / (weight * x * x).sum())), chi2
