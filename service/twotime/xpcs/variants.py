"""Decays with vibration or flow, as CHX fits them besides the stretched exponential."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erf

from twotime.xpcs.decay import FEWEST_POINTS, decay, fit_decay

Variant = Literal["vibration", "flow"]
NAMES: dict[Variant, tuple[str, ...]] = {
    "vibration": ("relaxation_rate", "beta", "baseline", "alpha", "frequency", "amplitude"),
    "flow": ("relaxation_rate", "beta", "baseline", "flow_velocity"),
}
STARTS = 5


@dataclass(frozen=True)
class VariantFit:
    """A fit of one curve.

    Attributes
    ----------
    names : of the parameters
    values, errors : in that order; NaN where there is no fit, an error also where its parameter ended on a bound
    chi2 : per degree of freedom
    on_bound : parameters that ended on a bound
    reason : why it is not to be trusted; empty where nothing speaks against it
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    chi2: float
    on_bound: tuple[str, ...]
    reason: str


def vibrating_decay(
    lag: NDArray[Any], rate: float, beta: float, baseline: float, alpha: float, frequency: float, amplitude: float
) -> NDArray[np.float64]:
    """baseline + beta (1 + amplitude cos(2π frequency lag)) exp(-2 (rate lag)^alpha), as pyCHX has it.

    Examples
    --------
    >>> vibrating_decay(np.array([1.0, 2.0]), 0.1, 0.2, 1.0, 1.0, 0.5, 0.5).round(4)
    array([1.0819, 1.2011])
    """
    ripple = 1 + amplitude * np.cos(2 * np.pi * frequency * np.asarray(lag))
    return np.asarray(baseline + (decay(lag, rate, beta, 0.0, alpha)) * ripple, np.float64)


def flowing_decay(lag: NDArray[Any], rate: float, beta: float, baseline: float, velocity: float) -> NDArray[np.float64]:
    """baseline + beta exp(-2 rate lag) π² / (16 v lag) |erf((4 i v lag / π)^½)|², v = q · velocity, as pyCHX has it.

    Examples
    --------
    >>> flowing_decay(np.array([1.0, 2.0]), 0.1, 0.2, 1.0, 1e-9).round(4)
    array([1.1637, 1.1341])
    """
    argument = np.maximum(velocity * np.asarray(lag, float), 1e-12)
    flow = np.pi**2 / (16 * argument) * np.abs(erf(np.sqrt(4j / np.pi * argument))) ** 2
    return np.asarray(baseline + decay(lag, rate, beta, 0.0, 1.0) * flow, np.float64)


_MODELS: dict[Variant, Callable[..., NDArray[np.float64]]] = {"vibration": vibrating_decay, "flow": flowing_decay}


def fit_variant(
    kind: Variant,
    lag: NDArray[Any],
    g2: NDArray[Any],
    sigma: NDArray[Any] | None = None,
    *,
    covariance: NDArray[Any] | None = None,
) -> VariantFit:
    """Fit one curve, starting from its stretched exponential and from several frequencies or velocities.

    Parameters
    ----------
    kind : "vibration" or "flow"
    lag : (L,) array, rising and positive
    g2, sigma : (L,) arrays; sigma are standard errors, used as weights; None: all lags weigh the same
    covariance : (L, L) array of g2 between lags; the errors then allow for lags that err together

    Raises
    ------
    ValueError
        If `kind` is neither, or the arrays do not fit together.
    """
    if kind not in NAMES:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(NAMES)}.")
    lag, g2 = np.asarray(lag, float), np.asarray(g2, float)
    errors_shape = g2.shape if sigma is None else np.shape(sigma)
    if lag.shape != g2.shape or errors_shape != g2.shape:
        raise ValueError(f"lag, g2 and sigma have shapes {lag.shape}, {g2.shape} and {errors_shape}, expected one.")
    names = NAMES[kind]
    plain = fit_decay(lag, g2[None], None if sigma is None else np.asarray(sigma)[None])
    weights = np.ones_like(g2) if sigma is None else 1 / np.where(np.asarray(sigma) > 0, sigma, np.nan)
    own = np.isfinite(g2) & np.isfinite(weights)
    nothing = np.full(len(names), np.nan)
    if np.count_nonzero(own) < max(FEWEST_POINTS, len(names) + 1) or not np.isfinite(plain.relaxation_rate[0]):
        return VariantFit(names, nothing, nothing.copy(), np.nan, (), "too few lags have a value for a fit")
    x, y, w = lag[own], g2[own], weights[own]
    first = np.array([plain.relaxation_rate[0], plain.beta[0], plain.baseline[0], plain.alpha[0]])
    low, high = _bounds(kind, x)
    model = _MODELS[kind]
    best = None
    for start in _starts(kind, x, y, w, first):
        found = least_squares(
            lambda p: (model(x, *p) - y) * w,
            np.clip(start, low + 1e-9 * (high - low), high - 1e-9 * (high - low)),
            bounds=(low, high),
            x_scale=np.maximum(np.abs(start), 1e-3 * (high - low)),
            max_nfev=400,
        )
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    margin = 1e-6 * (high - low)
    at_bound = (best.x - low < margin) | (high - best.x < margin)
    inner = ~at_bound
    jacobian = best.jac[:, inner]
    freedom = max(len(x) - len(names), 1)
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    spread = inverse if sigma is not None else inverse * (2 * best.cost / freedom)
    if covariance is not None:
        lever = inverse @ (jacobian * w[:, None]).T
        spread = lever @ np.asarray(covariance, float)[np.ix_(own, own)] @ lever.T
    errors = np.full(len(names), np.nan)
    errors[inner] = np.sqrt(np.maximum(np.diag(spread), 0))
    on_bound = tuple(name for name, at in zip(names, at_bound, strict=True) if at)
    return VariantFit(
        names, best.x, errors, 2 * best.cost / freedom, on_bound, _reason(names, best.x, errors, on_bound)
    )


def _bounds(kind: Variant, lag: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step, longest = lag[0], lag[-1]
    low, high = [1e-4 / step, 0.0, 0.2, 0.2], [2 / step, 4.0, 2.5, 3.0]
    if kind == "vibration":
        return np.array([*low, 0.5 / longest, 0.0]), np.array([*high, 0.5 / step, 1.0])
    return np.array([*low[:3], 1e-3 / longest]), np.array([*high[:3], 20 / step])


def _starts(
    kind: Variant, lag: NDArray[np.float64], g2: NDArray[np.float64], weights: NDArray[np.float64], first: Any
) -> list[NDArray[np.float64]]:
    """From the stretched exponential: the frequencies that its residuals show most, or velocities over the scan."""
    if kind == "flow":
        velocities = np.geomspace(0.3 / lag[-1], 3 / lag[0], STARTS)
        return [np.array([first[0] / 2, first[1], first[2], velocity]) for velocity in velocities]
    envelope = decay(lag, first[0], first[1], 0.0, first[3]) * weights
    residual = (g2 - first[2]) * weights - envelope
    frequency = np.linspace(0.5 / lag[-1], 0.5 / lag[0], 20 * len(lag))
    wave = np.cos(2 * np.pi * frequency[:, None] * lag) * envelope
    norm = np.sum(wave**2, axis=1)
    gain = np.divide((wave @ residual) ** 2, norm, out=np.zeros_like(norm), where=norm > 0)
    starts = []
    for _ in range(STARTS):
        k = int(np.argmax(gain))
        amplitude = float(np.clip(wave[k] @ residual / max(norm[k], 1e-300), 0.01, 0.9))
        starts.append(np.array([*first, frequency[k], amplitude]))
        gain[np.abs(frequency - frequency[k]) < 1.5 / lag[-1]] = -1.0
    return starts


def _reason(
    names: tuple[str, ...], values: NDArray[np.float64], errors: NDArray[np.float64], on_bound: tuple[str, ...]
) -> str:
    reasons = [f"{' and '.join(on_bound)} ended on a bound"] if on_bound else []
    extra = names[-1]
    if np.isfinite(errors[-1]) and values[-1] < 2 * errors[-1]:
        reasons.append(f"{extra.replace('_', ' ')} does not exceed twice its error: the curve does not ask for it")
    if np.isfinite(errors[0]) and errors[0] > values[0]:
        reasons.append("the error of the rate exceeds the rate")
    return "; ".join(reasons)
