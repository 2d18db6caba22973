"""Laws through values of a series: linear, power law and Arrhenius, by weighted least squares with errors."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Law = Literal["linear", "power", "arrhenius"]
LAWS: tuple[Law, ...] = ("linear", "power", "arrhenius")
GAS_CONSTANT = 8.314462618e-3
"""kJ/(mol K)."""
ZERO_CELSIUS = 273.15
KELVIN = ("K", "kelvin", "Kelvin")
CELSIUS = ("°C", "C", "degC", "deg C", "celsius", "Celsius")
_FEWEST = 3
_CURVE_POINTS = 60


@dataclass(frozen=True)
class LawFit:
    """One law through one set of values.

    Attributes
    ----------
    law : which
    values, errors, units : of its parameters, by name: ``intercept``, ``slope`` of y = intercept + slope (x - x₀);
        ``amplitude``, ``exponent`` of y = amplitude (x / x₀)^exponent; ``amplitude``, ``activation_energy`` of
        y = amplitude exp(E / R (1 / T₀ - 1 / T))
    reference : x₀ or T₀ (in the unit of x), the weighted middle of the values, where intercept and amplitude are y
    chi2 : per degree of freedom
    n : values that were fitted
    reason : why there is no fit; empty where there is one
    x, y : (K,) arrays, the curve, in the units of the values
    """

    law: Law
    values: dict[str, float]
    errors: dict[str, float]
    units: dict[str, str]
    reference: float = 0.0
    chi2: float = float("nan")
    n: int = 0
    reason: str = ""
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


def fit_law(
    law: Law,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    error: NDArray[np.float64],
    *,
    x_unit: str = "1",
    y_unit: str = "1",
) -> LawFit:
    """Fit a law, weighted by the errors.

    Parameters
    ----------
    x, y, error : (N,) arrays; values without a finite x, y and positive error are left out
    x_unit, y_unit : Arrhenius needs a temperature, in K or °C

    Returns
    -------
    LawFit
        With standard errors from the covariance of the fit, which grow with √χ² where that exceeds 1, because values
        that scatter more than their errors say leave the law as uncertain as their scatter. Without a fit, with the
        reason.

    Raises
    ------
    ValueError
        If the law is not known.
    """
    if law not in LAWS:
        raise ValueError(f"law is {law!r}, expected one of {', '.join(LAWS)}.")
    use = np.isfinite(x) & np.isfinite(y) & np.isfinite(error) & (error > 0)
    x, y, error = x[use], y[use], error[use]
    reason = _refusal(law, x, y, x_unit)
    if reason:
        return LawFit(law, {}, {}, {}, n=len(x), reason=reason)
    variable = x + ZERO_CELSIUS if law == "arrhenius" and x_unit in CELSIUS else x
    return _fitted(law, variable, y, error, float(np.median(variable - x)), x_unit, y_unit)


def _refusal(law: Law, x: NDArray[np.float64], y: NDArray[np.float64], x_unit: str) -> str:
    """Why a law cannot be fitted; empty where it can."""
    if law == "arrhenius" and x_unit not in (*KELVIN, *CELSIUS):
        return f"Arrhenius needs a temperature in K or °C, but the unit of x is {x_unit!r}; name it with x_unit."
    if len(x) < _FEWEST:
        return f"{len(x)} values are too few; a law of two parameters with errors needs {_FEWEST}."
    if len(np.unique(x)) < 2:
        return f"All {len(x)} values have the same x, {x[0]:g}."
    if law == "power" and x.min() <= 0:
        return f"A power law needs x above 0, but the least is {x.min():g}."
    if law == "arrhenius" and x.min() <= (-ZERO_CELSIUS if x_unit in CELSIUS else 0):
        return f"A temperature is {x.min():g} {x_unit}, not above absolute zero."
    if law != "linear" and y.min() <= 0:
        return f"The law needs values above 0, but the least is {y.min():.3g}."
    return ""


def _fitted(
    law: Law,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    error: NDArray[np.float64],
    offset: float,
    x_unit: str,
    y_unit: str,
) -> LawFit:
    reference = _middle(law, x, y, error)

    def linear(at: NDArray[np.float64], intercept: float, slope: float) -> NDArray[np.float64]:
        return intercept + slope * (at - reference)

    def power(at: NDArray[np.float64], amplitude: float, exponent: float) -> NDArray[np.float64]:
        return np.asarray(amplitude * (at / reference) ** exponent)

    def arrhenius(at: NDArray[np.float64], amplitude: float, energy: float) -> NDArray[np.float64]:
        return np.asarray(amplitude * np.exp(energy / GAS_CONSTANT * (1 / reference - 1 / at)))

    function = {"linear": linear, "power": power, "arrhenius": arrhenius}[law]
    names = {
        "linear": (("intercept", y_unit), ("slope", f"{y_unit} / {x_unit}")),
        "power": (("amplitude", y_unit), ("exponent", "1")),
        "arrhenius": (("amplitude", y_unit), ("activation_energy", "kJ/mol")),
    }[law]
    solved = least_squares(
        lambda parameters: (function(x, *parameters) - y) / error, _start(law, x, y, error, reference), x_scale="jac"
    )
    found = solved.x
    chi2 = float(2 * solved.cost / (len(x) - 2))
    errors = _errors(solved.jac, chi2)
    if not np.isfinite(errors).all():
        return LawFit(law, {}, {}, {}, n=len(x), reason="The values do not determine both parameters of the law.")
    curve = np.linspace(x.min(), x.max(), _CURVE_POINTS)
    return LawFit(
        law,
        values={name: float(value) for (name, _), value in zip(names, found, strict=True)},
        errors={name: float(value) for (name, _), value in zip(names, errors, strict=True)},
        units=dict(names),
        reference=reference - offset,
        chi2=chi2,
        n=len(x),
        x=tuple(float(one) for one in curve - offset),
        y=tuple(float(one) for one in function(curve, *found)),
    )


def _errors(jacobian: NDArray[np.float64], chi2: float) -> NDArray[np.float64]:
    """Standard errors of the parameters; not finite where the values do not determine them."""
    scale = np.linalg.norm(jacobian, axis=0)
    if not (scale > 0).all() or np.linalg.matrix_rank(jacobian / scale) < jacobian.shape[1]:
        return np.full(jacobian.shape[1], np.nan)
    covariance = np.linalg.inv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
    return np.asarray(np.sqrt(np.diag(covariance) * max(1.0, chi2)))


def _middle(law: Law, x: NDArray[np.float64], y: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    """x at which the two parameters hardly depend on each other."""
    if law == "linear":
        return float((x / error**2).sum() / (1 / error**2).sum())
    weight = (y / error) ** 2
    if law == "power":
        return float(np.exp((weight * np.log(x)).sum() / weight.sum()))
    return float(weight.sum() / (weight / x).sum())


def _start(
    law: Law, x: NDArray[np.float64], y: NDArray[np.float64], error: NDArray[np.float64], reference: float
) -> NDArray[np.float64]:
    """Where to begin: the weighted line, through the logarithms but for a linear law."""
    if law == "linear":
        design, target, sigma = np.stack([np.ones_like(x), x - reference], axis=1), y, error
    else:
        slope = np.log(x / reference) if law == "power" else (1 / reference - 1 / x) / GAS_CONSTANT
        design, target, sigma = np.stack([np.ones_like(x), slope], axis=1), np.log(y), error / y
    found = np.linalg.lstsq(design / sigma[:, None], target / sigma, rcond=None)[0]
    first = found[0] if law == "linear" else np.exp(found[0])
    return np.array([first, found[1]])
