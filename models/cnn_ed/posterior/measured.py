"""Windows of 50 frames at contrast 1 as the estimate sees them: their one-time curve and their noise."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnn_ed.applicability import input_noise
from cnn_ed.cost import one_time_of
from twotime.xpcs import DecayFits, decay

LAG = np.arange(1, 50)
EDGES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50])
SCALES = (1, 3, 8)
"""Neighbouring bins whose deviations are averaged."""
FEATURES = len(EDGES)
"""One for each bin of lags, one for the noise."""
LEAST_NOISE = 1e-3


@dataclass(frozen=True)
class WindowCurves:
    """One-time correlation functions of windows.

    Attributes
    ----------
    g2 : (M, 49), at lags 1 ... 49
    noise : (M,), see `cnn_ed.applicability.input_noise`
    """

    g2: NDArray[np.float64]
    noise: NDArray[np.float64]

    @classmethod
    def of(cls, windows: NDArray[np.floating]) -> "WindowCurves":
        """From windows (M, 50, 50)."""
        return cls(one_time_of(windows), input_noise(windows))

    def misfit(self, rows: DecayFits) -> NDArray[np.float64]:
        """Largest absolute mean deviation (M, S) of 1, 3 and 8 neighbouring bins from the decays of `rows`.

        In units of the error that independent elements would have.
        """
        model = decay(LAG, *(getattr(rows, name)[:, None] for name in ("relaxation_rate", "beta", "baseline", "alpha")))
        pairs = np.add.reduceat(50 - LAG, EDGES[:-1] - 1)
        weighted = np.add.reduceat((self.g2 - model) * (50 - LAG), EDGES[:-1] - 1, axis=1) / pairs
        deviation = weighted * np.sqrt(pairs) / np.maximum(self.noise, LEAST_NOISE)[:, None]
        found = []
        for scale in SCALES:
            kernel = np.ones(scale) / np.sqrt(scale)
            found.append(np.abs(np.stack([np.convolve(row, kernel, "valid") for row in deviation])).max(axis=1))
        return np.stack(found, axis=1)


def window_features(g2: Tensor, noise: Tensor) -> Tensor:
    """Numbers (M, F) that the networks see of curves (M, 49) and their noise (M,).

    Large deviations are compressed: at the noise of single windows a bin may lie several contrasts off.
    """
    bins = torch.from_numpy(np.repeat(np.arange(FEATURES - 1), np.diff(EDGES)))
    averages = torch.nn.functional.one_hot(bins).to(g2.dtype)
    averages = averages / averages.sum(0)
    return torch.cat([torch.asinh(g2 @ averages - 1), noise.clamp(min=LEAST_NOISE).log()[:, None]], dim=1)


def no_fit(number: int) -> Tensor:
    """What stands for the least-squares fit (number, 4), of which networks of windows see none: a usual decay."""
    return torch.tensor([math.log(0.05), 0.0, 0.0, 0.1]).expand(number, 4)


def parameters_in_units(parameters: Tensor) -> Tensor:
    """Parameters (M, 4) of windows as the networks tell them: log Γ, log β, C∞ - 1, log α."""
    rate, beta, baseline, alpha = parameters.unbind(1)
    return torch.stack(
        [
            rate.clamp(1e-4, 2).log(),
            beta.clamp(0.02, 4).log(),
            (baseline - 1).clamp(-2, 2),
            alpha.clamp(0.1, 5).log(),
        ],
        dim=1,
    )
