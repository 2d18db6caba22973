"""How many frames denoising saves: raw windows of one measurement averaged until they are as good as one denoised."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.dataset import Examples
from cnn_ed.evaluate import LAG, RANGES, well_determined
from twotime.xpcs import DecayFits, fit_decay

NUMBERS = (1, 2, 3, 4, 6, 8)


def frames_saved(examples: Examples, raw: NDArray[np.float64], denoised: NDArray[np.float64]) -> dict[str, Any]:
    """Error of the rate against the number of raw windows averaged.

    Parameters
    ----------
    raw, denoised : (M, W - 1) one-time correlation functions of all examples

    Returns
    -------
    dict
        "raw": for each number of windows, how many means there are, mean and median relative error; "denoised": the
        same for one denoised window; "windows_mean" and "windows_median": the number of raw windows that do as well as
        one denoised, interpolated in the logarithm, None where more than the largest number are needed.

    Notes
    -----
    The windows of a well-determined target fall into an early and a late half without common frames. The mean of one
    half is the truth for the other.
    """
    curves: dict[int, list[NDArray[np.float64]]] = {number: [] for number in (0, *NUMBERS)}
    truths: dict[int, list[NDArray[np.float64]]] = {number: [] for number in (0, *NUMBERS)}
    for own, others in _halves(examples, raw):
        truth = raw[others].mean(axis=0)
        # Every second position shares no frame with the next.
        apart = own[(examples.position[own] - examples.position[own[0]]) % 2 == 0]
        for number in NUMBERS:
            means = [raw[group].mean(axis=0) for group in _groups(apart, number)]
            curves[number] += means
            truths[number] += [truth] * len(means)
        curves[0] += list(denoised[apart])
        truths[0] += [truth] * len(apart)
    found = {number: _errors(np.array(curves[number]), np.array(truths[number])) for number in curves if curves[number]}
    denoised_errors = found.pop(0)
    return {
        "raw": {str(number): errors for number, errors in found.items()},
        "denoised": denoised_errors,
        "windows_mean": _crossing(found, denoised_errors, "mean"),
        "windows_median": _crossing(found, denoised_errors, "median"),
    }


def _halves(examples: Examples, raw: NDArray[np.float64]) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    halves = []
    for target in well_determined(examples, raw):
        own = np.flatnonzero(examples.target_index == target)
        own = own[np.argsort(examples.position[own])]
        middle = examples.position[own].mean()
        early, late = own[examples.position[own] < middle - 0.5], own[examples.position[own] > middle + 0.5]
        if min(len(early), len(late)) >= 2 * NUMBERS[-1]:
            halves += [(early, late), (late, early)]
    return halves


def _groups(apart: NDArray[np.intp], number: int) -> list[NDArray[np.intp]]:
    return [apart[first : first + number] for first in range(0, len(apart) - number + 1, number)]


def _errors(curves: NDArray[np.float64], truths: NDArray[np.float64]) -> dict[str, float]:
    """Mean and median relative error of the rate, where the truth lies inside `RANGES`."""
    distinct, number = np.unique(truths, axis=0, return_inverse=True)
    fits: DecayFits = fit_decay(LAG, distinct)
    inside = np.ones(len(distinct), bool)
    for name, (low, high) in RANGES.items():
        inside &= (getattr(fits, name) > low) & (getattr(fits, name) < high)
    own = inside[number.ravel()]
    truth = fits.relaxation_rate[number.ravel()][own]
    relative = np.abs(fit_decay(LAG, curves[own]).relaxation_rate - truth) / truth
    return {"number": int(own.sum()), "mean": float(np.nanmean(relative)), "median": float(np.nanmedian(relative))}


def _crossing(raw: dict[int, dict[str, float]], denoised: dict[str, float], measure: str) -> float | None:
    numbers = np.array(list(raw))
    errors = np.array([raw[number][measure] for number in numbers])
    below = np.flatnonzero(errors <= denoised[measure])
    if not len(below):
        return None
    last = int(below[0])
    if last == 0:
        return 1.0
    share = (errors[last - 1] - denoised[measure]) / (errors[last - 1] - errors[last])
    return float(np.exp(np.log(numbers[last - 1]) + share * np.log(numbers[last] / numbers[last - 1])))
