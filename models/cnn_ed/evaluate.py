"""How well the models do on measured windows whose truth is known from other frames of the same measurement.

A target contains its own input, so it flatters a model that copies noise. The honest truth of an input is the mean of
the windows of the same target that share no frame with it; a target is well determined where two halves of its windows
agree.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.cost import lag_averages
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.ensemble import Ensemble
from cnn_ed.windows import with_lag_zero_redrawn
from twotime.xpcs import DecayFits, decay, fit_decay

FEWEST_WINDOWS = 12
AGREEMENT = 0.3
RANGES = {"relaxation_rate": (0.01, 0.15), "beta": (0.4, 1.6), "alpha": (0.3, 2.8)}
"""Truths outside these are not asked for: the models were not trained for them."""
_LAG = np.arange(1, 50)


@dataclass(frozen=True)
class Truths:
    """Inputs whose truth is known.

    Attributes
    ----------
    example : (E,) number of each input
    g2 : (E, 49) mean one-time correlation function of windows that share no frame with the input
    fits : of these, with free α and all lags alike
    """

    example: NDArray[np.intp]
    g2: NDArray[np.float64]
    fits: DecayFits


def honest_truths(examples: Examples) -> Truths:
    """Inputs of well-determined targets with their honest truths."""
    curves = one_time_of(full_windows(examples.inputs, examples.window).numpy())
    chosen, truths = [], []
    for target in _well_determined(examples, curves):
        own = np.flatnonzero(examples.target_index == target)
        for example in own:
            others = own[np.abs(examples.position[own] - examples.position[example]) >= 2]
            if len(others) >= FEWEST_WINDOWS:
                chosen.append(example)
                truths.append(curves[others].mean(axis=0))
    g2 = np.array(truths)
    fits = fit_decay(_LAG, g2)
    inside = np.ones(len(g2), bool)
    for name, (low, high) in RANGES.items():
        inside &= (getattr(fits, name) > low) & (getattr(fits, name) < high)
    return Truths(np.array(chosen)[inside], g2[inside], fit_decay(_LAG, g2[inside]))


def evaluate(ensemble: Ensemble, examples: Examples, truths: Truths | None = None) -> dict[str, Any]:
    """Errors of raw and denoised windows against their honest truths.

    Returns
    -------
    dict
        For "raw" and "denoised": number of windows, MSE of the one-time correlation function, mean and median relative
        error of the rate, MSE of beta, baseline and alpha, share of fits that end on a bound.
    """
    truths = truths or honest_truths(examples)
    windows = full_windows(examples.inputs[truths.example], examples.window).numpy()
    return {
        "windows": len(windows),
        "raw": _errors(one_time_of(windows), truths),
        "denoised": _errors(one_time_of(ensemble.apply(windows)[0]), truths),
    }


def systematic_errors(ensemble: Ensemble, examples: Examples) -> dict[str, float]:
    """What all models get wrong alike: averaging more windows does not mend it.

    Returns
    -------
    dict
        The larger of the deviations on measured and on synthetic windows, root mean square: of the rate relative, of
        beta and baseline in units of the contrast, of alpha. Measured samples do not fill the trained range evenly (in
        the published data slow decays are compressed ones), so that a new sample may fare as the synthetic ones do.
    """
    measured, synthetic = _measured_deviations(ensemble, examples), _synthetic_deviations(ensemble)
    return {name: max(measured[name], synthetic[name]) for name in sorted(measured)}


def _synthetic_deviations(
    ensemble: Ensemble, number: int = 200, windows: int = 16, noise: float = 1.4
) -> dict[str, float]:
    """Over decays spread evenly over the trained range: fits to the mean of their noisy, denoised windows.

    The noise is white with the standard deviation of the published raw windows at contrast 1.
    """
    rng = np.random.default_rng(1)
    low, high = RANGES["relaxation_rate"]
    rate, alpha = np.exp(rng.uniform(np.log(1.5 * low), np.log(high), number)), rng.uniform(0.7, 1.6, number)
    lag = np.abs(np.subtract.outer(np.arange(50), np.arange(50)))
    g2 = []
    for own_rate, own_alpha in zip(rate, alpha, strict=True):
        random = rng.normal(0, noise / np.sqrt(2), (windows, 50, 50))
        noisy = decay(lag, own_rate, 1.0, 1.0, own_alpha) + random + random.transpose(0, 2, 1)
        g2.append(one_time_of(ensemble.apply(with_lag_zero_redrawn(noisy.astype(np.float32)))[0]).mean(axis=0))
    output = fit_decay(_LAG, np.array(g2))
    return _rms(
        {
            "relaxation_rate": np.log(output.relaxation_rate / rate),
            "beta": output.beta - 1,
            "baseline": output.baseline - 1,
            "alpha": output.alpha - alpha,
        }
    )


def _measured_deviations(ensemble: Ensemble, examples: Examples) -> dict[str, float]:
    """Fits to the mean of a measurement's denoised windows against fits to the mean of its raw windows.

    Over measurements of at least twelve windows inside the trained range whose raw fit is trusted.
    """
    index, counts = np.unique(examples.target_index, return_counts=True)
    windows = full_windows(examples.inputs, examples.window).numpy()
    raw, denoised = one_time_of(windows), one_time_of(ensemble.apply(windows)[0])
    members = [np.flatnonzero(examples.target_index == target) for target in index[counts >= FEWEST_WINDOWS]]
    truth, output = (fit_decay(_LAG, np.array([g2[own].mean(axis=0) for own in members])) for g2 in (raw, denoised))
    own = truth.trusted.copy()
    for name, (low, high) in RANGES.items():
        own &= (getattr(truth, name) > low) & (getattr(truth, name) < high)
    deviations = {
        name: getattr(output, name)[own] - getattr(truth, name)[own] for name in ("beta", "baseline", "alpha")
    }
    deviations["relaxation_rate"] = np.log(output.relaxation_rate[own] / truth.relaxation_rate[own])
    return _rms(deviations)


def _rms(deviations: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    return {name: float(np.sqrt(np.mean(values**2))) for name, values in deviations.items()}


def one_time_of(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """One-time correlation functions (M, W - 1) of windows (M, W, W)."""
    averages = lag_averages(windows.shape[-1]).numpy().astype(float)
    curves: NDArray[np.float64] = windows.reshape(len(windows), -1) @ averages.T
    return curves


def _well_determined(examples: Examples, curves: NDArray[np.float64]) -> list[int]:
    """Targets whose rate from windows 0, 4, 8, ... and from windows 2, 6, 10, ... agree within 30 %."""
    targets, halves = [], []
    for target in np.unique(examples.target_index):
        own = np.flatnonzero(examples.target_index == target)
        first, second = (own[examples.position[own] % 4 == phase] for phase in (0, 2))
        if len(first) and len(second):
            targets.append(int(target))
            halves += [curves[first].mean(axis=0), curves[second].mean(axis=0)]
    rates = fit_decay(_LAG, np.array(halves)).relaxation_rate.reshape(-1, 2)
    apart = np.abs(rates[:, 0] - rates[:, 1]) / np.sqrt(rates[:, 0] * rates[:, 1])
    return [target for target, distance in zip(targets, apart, strict=True) if distance < AGREEMENT]


def _errors(g2: NDArray[np.float64], truths: Truths) -> dict[str, float]:
    fits = fit_decay(_LAG, g2)
    relative = np.abs(fits.relaxation_rate - truths.fits.relaxation_rate) / truths.fits.relaxation_rate
    errors = {
        "one_time_mse": float(np.mean((g2 - truths.g2) ** 2)),
        "rate_mean_relative_error": float(np.nanmean(relative)),
        "rate_median_relative_error": float(np.nanmedian(relative)),
        "on_bound": float(np.mean([bool(one) for one in fits.on_bound])),
    }
    for name in ("beta", "baseline", "alpha"):
        errors[f"{name}_mse"] = float(np.nanmean((getattr(fits, name) - getattr(truths.fits, name)) ** 2))
    return errors
