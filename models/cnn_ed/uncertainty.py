"""One standard error for each parameter of a denoised fit, as `cnn_ed.calibrate` found it on experiments never seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs import DecayFits

PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
SYSTEMATIC = (0, 3)
"""Of all features those that also tell systematic deviations: that there are any, and the noise of the input."""
LIMITS = {"rate": (0.005, 0.3), "noise": (0.05, 6.0), "spread": (1e-3, 1.0)}
"""Beyond these the description is not continued: errors stay as they are at the edge."""


@dataclass(frozen=True)
class Calibration:
    """Standard deviations exp(c · features), one row of coefficients c for each parameter.

    Units are relative to the rate and to beta for these two, beta for the baseline, one for alpha.

    Attributes
    ----------
    noise : what more windows of the same measurement mend: coefficients of all `features`, for one window
    systematic : what they do not mend: coefficients of the features `SYSTEMATIC`
    """

    noise: Mapping[str, Sequence[float]]
    systematic: Mapping[str, Sequence[float]]

    def errors(
        self, rate: NDArray[np.float64], noise: NDArray[np.float64], spread: NDArray[np.float64], windows: float
    ) -> NDArray[np.float64]:
        """Standard errors (M, 4), in the units above.

        Parameters
        ----------
        rate : (M,) fitted rate per denoised frame
        noise : (M,) of the input at contrast 1, see `cnn_ed.applicability.input_noise`
        spread : (M, 4) standard errors of the fits from the disagreement of the models, in the units above
        windows : how many windows without common frames went into each fit
        """
        common = [
            np.exp(features(rate, noise, noise)[:, SYSTEMATIC] @ np.asarray(self.systematic[name]))
            for name in PARAMETERS
        ]
        errors: NDArray[np.float64] = np.hypot(
            self.noise_errors(rate, noise, spread, windows), np.stack(common, axis=1)
        )
        return errors

    def noise_errors(
        self, rate: NDArray[np.float64], noise: NDArray[np.float64], spread: NDArray[np.float64], windows: float
    ) -> NDArray[np.float64]:
        """The part of `errors` that differs between parts of one measurement."""
        columns = [
            np.exp(features(rate, noise, spread[:, column]) @ np.asarray(self.noise[name])) / np.sqrt(max(windows, 1.0))
            for column, name in enumerate(PARAMETERS)
        ]
        return np.stack(columns, axis=1)


def relative_errors(fits: DecayFits) -> NDArray[np.float64]:
    """Standard errors (M, 4): of rate and beta relative, of the baseline in units of beta, of alpha as it is."""
    scale = np.stack([fits.relaxation_rate, fits.beta, fits.beta, np.ones(len(fits))], axis=1)
    errors = np.stack([getattr(fits, f"{name}_error") for name in PARAMETERS], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # A curve without contrast: nothing is known.
        return np.asarray(errors / scale, float)


def features(rate: NDArray[np.float64], noise: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """What errors are described by (M, 5): 1, log rate and its square, log noise, log disagreement."""
    log = {
        name: np.log(np.clip(np.nan_to_num(values, nan=high, posinf=high), low, high))
        for (name, (low, high)), values in zip(LIMITS.items(), (rate, noise, spread), strict=True)
    }
    centred = log["rate"] - np.log(0.04)
    return np.stack([np.ones_like(centred), centred, centred**2, log["noise"], log["spread"]], axis=1)
