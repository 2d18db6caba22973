"""How well the models do on measured windows whose truth is known from other frames of the same measurement.

A target contains its own input, so it flatters a model that copies noise. The honest truth of an input is the mean of
the windows of the same target that share no frame with it; a target is well determined where two halves of its windows
agree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.applicability import input_noise, latent_distance, residual_structure
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.ensemble import Ensemble
from cnn_ed.windows import with_lag_zero_redrawn
from twotime.xpcs import DecayFits, decay, fit_decay, one_time

FEWEST_WINDOWS = 12
AGREEMENT = 0.3
RANGES = {"relaxation_rate": (0.01, 0.15), "beta": (0.4, 1.6), "alpha": (0.3, 2.8)}
"""Truths outside these are not asked for: the models were not trained for them."""
LAG = np.arange(1, 50)


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


def honest_truths(
    examples: Examples,
    fewest: int = FEWEST_WINDOWS,
    agreement: float = AGREEMENT,
) -> Truths:
    """Inputs of well-determined targets with their honest truths.

    Parameters
    ----------
    fewest : windows that share no frame with an input, without which it has no truth
    agreement : see `well_determined`
    """
    curves = one_time_of(full_windows(examples.inputs, examples.window).numpy())
    chosen, truths = [], []
    for target in well_determined(examples, curves, agreement):
        own = np.flatnonzero(examples.target_index == target)
        for example in own:
            others = own[np.abs(examples.position[own] - examples.position[example]) >= 2]
            if len(others) >= fewest:
                chosen.append(example)
                truths.append(curves[others].mean(axis=0))
    g2 = np.array(truths)
    fits = fit_decay(LAG, g2)
    inside = np.ones(len(g2), bool)
    for name, (low, high) in RANGES.items():
        inside &= (getattr(fits, name) > low) & (getattr(fits, name) < high)
    return Truths(np.array(chosen)[inside], g2[inside], fit_decay(LAG, g2[inside]))


def evaluate(ensemble: Ensemble, examples: Examples, truths: Truths | None = None) -> dict[str, Any]:
    """Errors of raw and denoised windows against their honest truths.

    Returns
    -------
    dict
        "windows": how many; "raw" and "denoised": as `errors_of`.
    """
    truths = truths or honest_truths(examples)
    windows = full_windows(examples.inputs[truths.example], examples.window).numpy()
    curves = {"raw": one_time_of(windows), "denoised": one_time_of(ensemble.apply(windows)[0])}
    errors = {name: errors_of(g2, fit_decay(LAG, g2), truths.g2, truths.fits) for name, g2 in curves.items()}
    return {"windows": len(windows), **errors}


@dataclass(frozen=True)
class Comparison:
    """Raw and denoised fits beside those of the truth, for the same windows and the same free parameters.

    Attributes
    ----------
    against : "target", the file's own, or "honest truth"
    alpha : "free" or "1"
    truth_g2, raw_g2, denoised_g2 : (E, 49)
    truth, raw, denoised : fits
    """

    against: str
    alpha: str
    truth_g2: NDArray[np.float64]
    raw_g2: NDArray[np.float64]
    denoised_g2: NDArray[np.float64]
    truth: DecayFits
    raw: DecayFits
    denoised: DecayFits


def comparisons(
    examples: Examples,
    raw: NDArray[np.float64],
    denoised: NDArray[np.float64],
    truths: Truths,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Comparison]:
    """Fits for Tables 2 and 3 of Konstantinova 2021: with alpha free and 1, against targets and honest truths.

    Parameters
    ----------
    raw, denoised : (M, 49) one-time correlation functions of all examples
    """
    targets = one_time_of(full_windows(examples.targets, examples.window).numpy())
    found: list[Comparison] = []
    kinds: tuple[tuple[str, dict[str, float]], ...] = (("free", {}), ("1", {"alpha": 1.0}))
    for alpha, fixed in kinds:
        fits: dict[str, DecayFits] = {}
        for name, curves in (("raw", raw), ("denoised", denoised), ("target", targets), ("honest", truths.g2)):
            fits[name] = fit_decay(LAG, curves, fixed=fixed)
            progress((len(found) / 2 + (len(fits)) / 4) / 2)
        own = truths.example
        for against, g2, truth, chosen in (
            ("target", targets[examples.target_index], fits["target"].rows(examples.target_index), slice(None)),
            ("honest truth", truths.g2, fits["honest"], own),
        ):
            found.append(
                Comparison(
                    against,
                    alpha,
                    g2,
                    raw[chosen],
                    denoised[chosen],
                    truth,
                    fits["raw"].rows(chosen),
                    fits["denoised"].rows(chosen),
                )
            )
    return found


def table_of(comparison: Comparison) -> list[dict[str, Any]]:
    """Rows of Tables 2 and 3: all windows whose truth ends on no bound, and those inside the trained range of rates."""
    sound = np.array([not bound for bound in comparison.truth.on_bound]) & np.isfinite(comparison.truth.relaxation_rate)
    low, high = RANGES["relaxation_rate"]
    rate = comparison.truth.relaxation_rate
    rows = []
    for name, own in (("all", sound), (f"{low:g} to {high:g}", sound & (rate > low) & (rate < high))):
        truth_g2, truth = comparison.truth_g2[own], comparison.truth.rows(own)
        rows.append(
            {
                "against": comparison.against,
                "alpha": comparison.alpha,
                "rates": name,
                "windows": int(own.sum()),
                "raw": errors_of(comparison.raw_g2[own], comparison.raw.rows(own), truth_g2, truth),
                "denoised": errors_of(comparison.denoised_g2[own], comparison.denoised.rows(own), truth_g2, truth),
            }
        )
    return rows


def flagged(ensemble: Ensemble, windows: NDArray[np.float32]) -> dict[str, float]:
    """Share of windows (M, W, W) at contrast 1 that applicability flags: of all, and for each kind of reason."""
    limits = ensemble.limits
    noise, distance = input_noise(windows), latent_distance(ensemble.latent(windows), limits)
    raw, denoised = one_time(windows), one_time_of(ensemble.apply(windows)[0])
    structure = np.stack(
        [residual_structure(*curves, limits.residual_floor) for curves in zip(raw.g2, denoised, raw.error, strict=True)]
    )
    rate = fit_decay(LAG, denoised).relaxation_rate
    reasons = {
        "noise": noise > limits.noise,
        "latent_distance": distance > limits.latent_distance,
        "residual": (structure > limits.residual).any(axis=1),
        "rate": limits.outside(rate),
    }
    shares = {name: float(np.mean(own)) for name, own in reasons.items()}
    return {"any": float(np.mean(np.any(list(reasons.values()), axis=0))), **shares}


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
    output = fit_decay(LAG, np.array(g2))
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
    truth, output = (fit_decay(LAG, np.array([g2[own].mean(axis=0) for own in members])) for g2 in (raw, denoised))
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


def well_determined(examples: Examples, curves: NDArray[np.float64], agreement: float = AGREEMENT) -> list[int]:
    """Targets whose rates from windows 0, 4, 8, ... and from windows 2, 6, 10, ... agree within `agreement`.

    `curves` (M, W - 1) are the one-time correlation functions of the examples.
    """
    targets, halves = [], []
    for target in np.unique(examples.target_index):
        own = np.flatnonzero(examples.target_index == target)
        first, second = (own[examples.position[own] % 4 == phase] for phase in (0, 2))
        if len(first) and len(second):
            targets.append(int(target))
            halves += [curves[first].mean(axis=0), curves[second].mean(axis=0)]
    rates = fit_decay(LAG, np.array(halves)).relaxation_rate.reshape(-1, 2)
    apart = np.abs(rates[:, 0] - rates[:, 1]) / np.sqrt(rates[:, 0] * rates[:, 1])
    return [target for target, distance in zip(targets, apart, strict=True) if distance < agreement]


def errors_of(
    g2: NDArray[np.float64], fits: DecayFits, truth_g2: NDArray[np.float64], truth: DecayFits
) -> dict[str, float]:
    """How far curves and their fits lie from the truth.

    Returns
    -------
    dict
        MSE of the one-time correlation function, mean and median relative error of the rate, MSE of beta, baseline and
        alpha, shares of fits that did not converge and that end on a bound. Fits without a value do not count.
    """
    relative = np.abs(fits.relaxation_rate - truth.relaxation_rate) / truth.relaxation_rate
    errors = {
        "one_time_mse": float(np.mean((g2 - truth_g2) ** 2)),
        "rate_mean_relative_error": float(np.nanmean(relative)),
        "rate_median_relative_error": float(np.nanmedian(relative)),
    }
    for name in ("beta", "baseline", "alpha"):
        errors[f"{name}_mse"] = float(np.nanmean((getattr(fits, name) - getattr(truth, name)) ** 2))
    errors["not_converged"] = float(np.mean(~np.isfinite(fits.relaxation_rate)))
    errors["on_bound"] = float(np.mean([bool(one) for one in fits.on_bound]))
    return errors
