"""Windows of 50 frames at contrast 1 as the estimate sees them: their curves, measured and denoised."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnn_ed.applicability import input_noise
from cnn_ed.cost import decoded_lags, lag_averages
from twotime.xpcs import DecayFits, decay, fit_decay

LAG = np.arange(1, 50)
RAW_EDGES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50])
DENOISED_LAGS = np.array([1, 2, 3, 4, 5, 7, 9, 12, 16, 21, 27, 34, 42, 49])
SPREAD_LAGS = np.array([1, 3, 6, 11, 21, 36, 49])
SCALES = (1, 3, 8)
"""Neighbouring bins whose deviations are averaged."""


@dataclass(frozen=True)
class WindowCurves:
    """One-time correlation functions of windows, before and after denoising.

    Attributes
    ----------
    raw, denoised, spread : (M, 49), at lags 1 ... 49; the spread of the models averaged along the diagonals
    noise : (M,), see `cnn_ed.applicability.input_noise`
    fits : M rows, unweighted, of the denoised curves
    """

    raw: NDArray[np.float64]
    denoised: NDArray[np.float64]
    spread: NDArray[np.float64]
    noise: NDArray[np.float64]
    fits: DecayFits

    @classmethod
    def of(
        cls, windows: NDArray[np.floating], denoised: NDArray[np.floating], spread: NDArray[np.floating]
    ) -> "WindowCurves":
        """From windows (M, 50, 50), and the mean and standard deviation of the models."""
        averages = lag_averages(decoded_lags(windows.shape[-1], symmetric=False)).numpy().astype(float)
        raw, mean, std = (
            part.reshape(len(part), -1).astype(float) @ averages.T for part in (windows, denoised, spread)
        )
        return cls(raw, mean, std, input_noise(windows), fit_decay(LAG, mean))

    def misfit(self, rows: DecayFits) -> NDArray[np.float64]:
        """Largest absolute mean deviation (M, S) of 1, 3 and 8 neighbouring bins from the decays of `rows`.

        In units of the error that independent elements would have.
        """
        model = decay(LAG, *(getattr(rows, name)[:, None] for name in ("relaxation_rate", "beta", "baseline", "alpha")))
        pairs = np.add.reduceat(50 - LAG, RAW_EDGES[:-1] - 1)
        weighted = np.add.reduceat((self.raw - model) * (50 - LAG), RAW_EDGES[:-1] - 1, axis=1) / pairs
        deviation = weighted * np.sqrt(pairs) / np.maximum(self.noise, 1e-3)[:, None]
        found = []
        for scale in SCALES:
            kernel = np.ones(scale) / np.sqrt(scale)
            found.append(np.abs(np.stack([np.convolve(row, kernel, "valid") for row in deviation])).max(axis=1))
        return np.stack(found, axis=1)


def window_features(windows: WindowCurves) -> NDArray[np.float32]:
    """What the networks see of each window (M, F)."""
    number = np.diff(RAW_EDGES)
    raw = np.add.reduceat(windows.raw, RAW_EDGES[:-1] - 1, axis=1) / number - 1
    columns = [
        raw,
        windows.denoised[:, DENOISED_LAGS - 1] - 1,
        window_fit_in_units(windows),
        np.log(np.maximum(windows.noise, 1e-3))[:, None],
        windows.spread[:, SPREAD_LAGS - 1],
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def window_fit_in_units(windows: WindowCurves) -> NDArray[np.float64]:
    """Fits (M, 4) of the denoised curves as log Γ, log β, C∞ - 1, log α."""
    fits = windows.fits
    return parameters_in_units(np.stack([fits.relaxation_rate, fits.beta, fits.baseline, fits.alpha], axis=1))


def parameters_in_units(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Parameters (M, 4) of windows as the networks tell them."""
    known = np.asarray(np.isfinite(parameters).all(axis=1))
    filled = np.asarray(np.where(known[:, None], parameters, [0.05, 1.0, 1.0, 1.0]), np.float64)
    rate, beta, baseline, alpha = (filled[:, k] for k in range(4))
    return np.stack(
        [
            np.log(np.clip(rate, 1e-4, 2)),
            np.log(np.clip(beta, 0.02, 4)),
            np.clip(baseline - 1, -2, 2),
            np.log(np.clip(alpha, 0.1, 5)),
        ],
        axis=1,
    )
