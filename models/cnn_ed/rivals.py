"""What else removes noise from a window: the filters of the paper's comparison, and a careful fit of the raw curve."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.evaluate import LAG, Truths, errors_of
from twotime.xpcs import fit_decay, one_time

Windows = NDArray[np.float32]


@dataclass(frozen=True)
class Rival:
    """A filter of windows (M, W, W) with one strength to choose."""

    name: str
    strengths: tuple[float, ...]
    apply: Callable[[Windows, float], Windows]


def compare(examples: Examples, truths: Truths) -> dict[str, dict[str, float]]:
    """Errors of each rival over the windows whose truth is known.

    Returns
    -------
    dict
        By name, as `cnn_ed.evaluate.errors_of`, with "strength": the one with the smallest MSE of the one-time
        correlation function on these very windows, which flatters the rivals. Principal components come from windows of
        other experiments.
    """
    windows = full_windows(examples.inputs[truths.example], examples.window).numpy()
    experiment = examples.experiment[examples.target_index[truths.example]]
    rivals = (
        Rival("principal components", (2, 4, 8, 16), lambda w, number: _principal(w, experiment, int(number))),
        Rival("Gaussian filter", (1, 2, 4, 8), lambda w, sigma: gaussian_filter(w, (0, sigma, sigma))),
        Rival("median filter", (3, 7, 13, 21), lambda w, size: median_filter(w, (1, int(size), int(size)))),
        Rival("total variation", (0.5, 1, 2, 4, 8), total_variation),
    )
    found = {}
    for rival in rivals:
        curves = {strength: one_time_of(rival.apply(windows, strength)) for strength in rival.strengths}
        best = min(curves, key=lambda strength: float(np.mean((curves[strength] - truths.g2) ** 2)))
        errors = errors_of(curves[best], fit_decay(LAG, curves[best]), truths.g2, truths.fits)
        found[rival.name] = errors | {"strength": best}
    raw = one_time(windows)
    weighted = fit_decay(LAG, raw.g2, raw.error)
    found["weighted fit of the raw curve"] = errors_of(raw.g2, weighted, truths.g2, truths.fits)
    return found


def example_of_each(windows: Windows, others: Windows, strengths: dict[str, float]) -> dict[str, Windows]:
    """Windows (M, W, W) after each filter at given strengths; principal components from `others`."""
    basis = _basis(others, int(strengths["principal components"]))
    return {
        "principal components": _projected(windows, *basis),
        "Gaussian filter": gaussian_filter(windows, (0, *2 * (strengths["Gaussian filter"],))),
        "median filter": median_filter(windows, (1, *2 * (int(strengths["median filter"]),))),
        "total variation": total_variation(windows, strengths["total variation"]),
    }


def total_variation(windows: Windows, strength: float, steps: int = 60) -> Windows:
    """Minimise |u - w|²/2 + strength · total variation of u, for each of (M, W, W) windows.

    Notes
    -----
    Projection on the dual variable (Chambolle 2004), with step 1/4.
    """
    dual: NDArray[np.float32] = np.zeros((2, *windows.shape), np.float32)
    for _ in range(steps):
        descent: NDArray[np.float32] = _divergence(dual) - windows / np.float32(strength)
        slope: NDArray[np.float32] = np.zeros(dual.shape, np.float32)
        slope[0, :, :-1] = np.diff(descent, axis=1)
        slope[1, :, :, :-1] = np.diff(descent, axis=2)
        dual = (dual + slope / 4) / (1 + np.linalg.norm(slope, axis=0) / 4)
    return np.asarray(windows - strength * _divergence(dual), np.float32)


def _divergence(dual: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = dual[0] + dual[1]
    result[:, 1:] -= dual[0, :, :-1]
    result[:, :, 1:] -= dual[1, :, :, :-1]
    return result


def _principal(windows: Windows, experiment: NDArray[np.str_], number: int) -> Windows:
    """Projection on components of the other half of the experiments."""
    names = sorted(set(experiment))
    half = np.isin(experiment, names[::2])
    result = np.empty_like(windows)
    for own in (half, ~half):
        result[own] = _projected(windows[own], *_basis(windows[~own], number))
    return result


def _basis(windows: Windows, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    flat = windows.reshape(len(windows), -1)
    mean = flat.mean(axis=0)
    return mean, np.linalg.svd(flat - mean, full_matrices=False)[2][:number]


def _projected(windows: Windows, mean: NDArray[np.float32], components: NDArray[np.float32]) -> Windows:
    flat = windows.reshape(len(windows), -1) - mean
    return np.asarray(flat @ components.T @ components + mean, np.float32).reshape(windows.shape)
