"""Standard errors of denoised fits that are right as often as they claim.

The disagreement of the models alone is too small: all of them see the same noise and the same training data. What they
are wrong by is therefore measured on experiments that they have never seen, apart for what more windows of the same
measurement mend (noise) and what they do not (systematic), and described by smooth functions of what is known of a
result: its rate, the noise of its input, the disagreement of the models.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erfinv

from cnn_ed.applicability import input_noise
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.ensemble import Ensemble
from cnn_ed.evaluate import Truths, honest_truths
from cnn_ed.network import Architecture
from cnn_ed.schedule import Schedule
from cnn_ed.train import train
from cnn_ed.uncertainty import PARAMETERS, SYSTEMATIC, Calibration, features, relative_errors
from twotime.xpcs import DecayFits, fit_decay

FOLDS = 5
ONE_SIGMA = 0.6827
"""Share of a normal distribution within one standard deviation."""
_LAG = np.arange(1, 50)


@dataclass(frozen=True)
class HeldOut:
    """Denoised windows of experiments that the models were not trained on, with their honest truths.

    Attributes
    ----------
    target : (E,) number of the measurement of each window, distinct over all folds
    noise : (E,) of the input, at contrast 1
    spread : (E, 4) standard errors of the fits from the disagreement of the models, in the units of `deviations`
    fitted, truth : fits of the denoised windows and of their honest truths
    """

    target: NDArray[np.int64]
    noise: NDArray[np.float64]
    spread: NDArray[np.float64]
    fitted: DecayFits
    truth: DecayFits


def cross_validate(
    training: Examples,
    validation: Examples,
    schedule: Schedule,
    folder: Path,
    architecture: Architecture = Architecture(),
    progress: Callable[[str, float], None] = lambda _, __: None,
    threads: int | None = None,
) -> list[tuple[Ensemble, Examples]]:
    """Train an ensemble for each fifth of the experiments, on the other four.

    Parameters
    ----------
    training : divided into folds by experiment
    validation : decides when to stop, as for the shipped models
    schedule : of each fold
    folder : for the checkpoints
    threads : see `cnn_ed.train.train`

    Returns
    -------
    list
        For each fold its ensemble and the examples that it has not seen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fold = fold_of(training)
    found = []
    for number in range(FOLDS):
        seen, unseen = training.of_targets(fold != number), training.of_targets(fold == number)
        trained = train(
            seen,
            validation,
            replace(schedule, seed=schedule.seed + 1000 * (number + 1)),
            folder / f"fold_{number}.pt",
            architecture,
            progress=_said_of_fold(number, progress),
            threads=threads,
        )
        found.append((Ensemble.of_stack(trained.stack), unseen))
    return found


def fold_of(examples: Examples) -> NDArray[np.int64]:
    """Fold (T,) of each target: experiments in the order of their names, dealt in turn."""
    names = {name: place for place, name in enumerate(sorted(set(examples.experiment)))}
    return np.array([names[name] % FOLDS for name in examples.experiment])


def held_out(ensemble: Ensemble, examples: Examples, truths: Truths | None = None) -> HeldOut:
    """Denoise and fit the windows whose honest truth is known."""
    truths = truths or honest_truths(examples)
    windows = full_windows(examples.inputs[truths.example], examples.window).numpy()
    members = np.stack([one_time_of(own) for own in ensemble.members(windows)])  # (K, E, L)
    covariance = np.stack([np.cov(members[:, k], rowvar=False) for k in range(len(windows))])
    fitted = fit_decay(_LAG, members.mean(axis=0), covariance=covariance)
    return HeldOut(
        target=examples.target_index[truths.example].astype(np.int64),
        noise=input_noise(windows),
        spread=relative_errors(fitted),
        fitted=fitted,
        truth=truths.fits,
    )


def deviations(held: HeldOut) -> NDArray[np.float64]:
    """How far the truth lies from the fit (E, 4), in the units of `relative_errors`."""
    scale = {"relaxation_rate": held.fitted.relaxation_rate, "beta": held.fitted.beta, "baseline": held.fitted.beta}
    columns = [
        (getattr(held.truth, name) - getattr(held.fitted, name)) / scale.get(name, np.ones(len(held.target)))
        for name in PARAMETERS
    ]
    return np.stack(columns, axis=1)


def calibrate(parts: list[HeldOut]) -> Calibration:
    """Describe noise and systematic deviations over all folds.

    Notes
    -----
    Within a measurement the deviations scatter by the noise; their mean over its windows is the systematic part. Each
    is described by a size exp(c · features) that 68 % of the deviations stay below, found by quantile regression of
    their logarithm: standard deviations would be ruled by the few fits that fail.
    """
    deviation = np.concatenate([deviations(held) for held in parts])
    target = np.concatenate([held.target + 10_000 * fold for fold, held in enumerate(parts)])
    rate = np.concatenate([held.fitted.relaxation_rate for held in parts])
    noise = np.concatenate([held.noise for held in parts])
    spread = np.concatenate([held.spread for held in parts])
    of_noise: dict[str, list[float]] = {}
    systematic: dict[str, list[float]] = {}
    for column, name in enumerate(PARAMETERS):
        usable = np.isfinite(deviation[:, column])
        design = features(rate, noise, spread[:, column])[usable]
        means, within = _by_target(deviation[usable, column], target[usable])
        of_noise[name] = _size_of(within, design)
        systematic[name] = _size_of(means, design[:, SYSTEMATIC])
    return Calibration(of_noise, systematic)


def coverage(parts: list[HeldOut], calibration: Calibration) -> dict[str, Any]:
    """Share of windows whose rate lies within 1 and 1.96 standard errors of the truth: all, and by thirds.

    Returns
    -------
    dict
        "all", "noise" and "rate" (three each): windows, and the shares "68" and "95"; "curve": shares at other levels.
    """
    noise = np.concatenate([held.noise for held in parts])
    rate = np.concatenate([held.truth.relaxation_rate for held in parts])
    pull = np.concatenate([np.abs(_pulls(held, calibration)[:, 0]) for held in parts])

    def shares(own: NDArray[np.bool_]) -> dict[str, float]:
        return {"windows": int(own.sum()), "68": float(np.mean(pull[own] < 1)), "95": float(np.mean(pull[own] < 1.96))}

    def thirds(values: NDArray[np.float64]) -> list[dict[str, float]]:
        edges = np.quantile(values, [1 / 3, 2 / 3])
        return [shares(np.digitize(values, edges) == third) for third in range(3)]

    levels = np.arange(1, 20) / 20
    return {
        "all": shares(np.ones(len(pull), bool)),
        "noise": thirds(noise),
        "rate": thirds(rate),
        "curve": {f"{level:.2f}": float(np.mean(pull < np.sqrt(2) * erfinv(level))) for level in levels},
    }


def _pulls(held: HeldOut, calibration: Calibration) -> NDArray[np.float64]:
    """Deviations from the truth in units of the standard errors of single windows (E, 4)."""
    return deviations(held) / calibration.errors(held.fitted.relaxation_rate, held.noise, held.spread, windows=1.0)


def _said_of_fold(fold: int, progress: Callable[[str, float], None]) -> Callable[[str, float], None]:
    return lambda stage, part: progress(f"fold {fold + 1} of {FOLDS}, {stage}", part)


def _by_target(
    deviation: NDArray[np.float64], target: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over each window's measurement, and deviation from it with Bessel's correction."""
    _, inverse, count = np.unique(target, return_inverse=True, return_counts=True)
    means = (np.bincount(inverse, deviation) / count)[inverse]
    size = count[inverse].astype(float)
    return means, (deviation - means) * np.sqrt(size / np.maximum(size - 1, 1))


def _size_of(deviation: NDArray[np.float64], design: NDArray[np.float64]) -> list[float]:
    """Coefficients c of the size exp(design · c) that `ONE_SIGMA` of the deviations stay below."""
    logarithm = np.log(np.maximum(np.abs(deviation), 1e-4))
    best = np.zeros(design.shape[1])
    best[0] = np.quantile(logarithm, ONE_SIGMA)

    def cost(c: NDArray[np.float64]) -> float:
        above = logarithm - design @ c
        return float(np.mean(np.where(above > 0, ONE_SIGMA * above, (ONE_SIGMA - 1) * above)))

    for _ in range(3):  # Begun again, a simplex that has stretched too far recovers.
        best = minimize(cost, best, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-4, "fatol": 1e-7}).x
    return [float(c) for c in best]
