"""Whether the models may be trusted with an input: is it like what they were trained on?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnn_ed.uncertainty import Calibration, relative_errors
from twotime.xpcs import DecayFits, fit_decay

FIELD = 5
SCALES = (1, 4, 12)
"""Neighbouring lags over which changes of the one-time curve are averaged before they are judged."""
LARGEST_CHANGE = 3.0
"""Standard errors by which the rate may differ between the first and the last part of a scan."""
SMALLEST_CHANGE = 0.25
"""Changes of the rate with age by less than this share are not spoken of, however certain."""
RATE_MARGIN = 1.15
"""A rate is fitted to about this factor: one just inside the trained range may be found just outside."""


@dataclass(frozen=True)
class Limits:
    """What the models were trained on.

    Attributes
    ----------
    rate : lowest and highest rate per frame that the paper found improved
    noise : highest mean standard deviation of 5 x 5 fields, at contrast 1 (99th percentile of the training inputs)
    latent_mean : (K, latent), of the training inputs
    latent_precision : (K, latent, latent), inverse covariance of the same
    latent_distance : largest usual distance (99.5th percentile of the training inputs)
    residual_floor : of the contrast, what denoising changes in the mean curve of a good measurement (root mean square
        over lags, median of the training measurements)
    residual : (S,), largest usual `residual_structure` (99.5th percentile of training inputs and measurements)
    """

    rate: tuple[float, float]
    noise: float
    latent_mean: NDArray[np.float64]
    latent_precision: NDArray[np.float64]
    latent_distance: float
    residual_floor: float
    residual: NDArray[np.float64]

    def outside(self, rate: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where fitted rates per frame lie outside the trained range by more than `RATE_MARGIN`, or are NaN."""
        low, high = self.rate
        beyond: NDArray[np.bool_] = ~((rate >= low / RATE_MARGIN) & (rate <= high * RATE_MARGIN))
        return beyond


@dataclass(frozen=True)
class Denoised:
    """What a verdict is about.

    Attributes
    ----------
    lag : (L,) frames
    stride : every how many frames were denoised
    windows : without common frames
    g2 : (L,) one-time correlation function
    g2_members : (K, L) of each model
    g2_ages : (A, L) the same as `g2` for parts of the scan, in order of age
    noise, distance, structure : of the input, see `input_noise`, `latent_distance`, `residual_structure`; the first two
        NaN where no window could be denoised
    """

    lag: NDArray[np.int64]
    stride: int
    windows: float
    g2: NDArray[np.float64]
    g2_members: NDArray[np.float64]
    g2_ages: NDArray[np.float64]
    noise: float
    distance: float
    structure: NDArray[np.float64]


@dataclass(frozen=True)
class Applicability:
    """Verdict on one denoised two-time correlation function.

    Attributes
    ----------
    trusted : whether nothing speaks against it
    reasons : what speaks against it, in words
    """

    trusted: bool
    reasons: tuple[str, ...]


def input_noise(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean standard deviation of 5 x 5 fields of each of (M, W, W) windows."""
    fields = windows.shape[-1] // FIELD
    tiles = windows[:, : fields * FIELD, : fields * FIELD].reshape(-1, fields, FIELD, fields, FIELD)
    noise: NDArray[np.float64] = tiles.std(axis=(2, 4), dtype=np.float64).mean(axis=(1, 2))
    return noise


def latent_distance(latent: NDArray[np.floating], limits: Limits) -> NDArray[np.float64]:
    """Mahalanobis distance from the training inputs, mean over the models, of latent vectors (K, M, latent)."""
    offset = latent.astype(float) - limits.latent_mean[:, None]
    squared = np.einsum("kmi,kij,kmj->km", offset, limits.latent_precision, offset)
    distance: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0)).mean(axis=0)
    return distance


def residual_structure(
    raw_g2: NDArray[np.float64], g2: NDArray[np.float64], error: NDArray[np.float64], floor: float
) -> NDArray[np.float64]:
    """What denoising took from a one-time curve, in units of its usual size, for each of `SCALES`.

    Parameters
    ----------
    raw_g2, g2, error : (L,) arrays: before, after, and the error of the former
    floor : of the contrast, what is usual without any noise; see `Limits.residual_floor`

    Returns
    -------
    (S,) array
        Root mean square over the curve of the mean change of so many neighbouring lags. Oscillations show at the
        shortest scale, a decay where there was none at the longest.
    """
    good = np.isfinite(raw_g2) & np.isfinite(g2) & (error > 0)
    usual = floor * max(float(np.nanmax(g2, initial=1.0)) - 1, 0.0)
    change, variance = np.where(good, raw_g2 - g2, 0.0), np.where(good, error, 0.0) ** 2
    found = []
    for scale in SCALES:
        first = np.arange(0, len(g2) - scale + 1, scale)
        count = np.add.reduceat(good, first)
        own = count > 0
        mean = np.add.reduceat(change, first)[own] / count[own]
        error_of_mean = np.sqrt(np.add.reduceat(variance, first)[own]) / count[own]
        found.append(np.sqrt(np.mean((mean / np.hypot(error_of_mean, usual)) ** 2)) if own.any() else 0.0)
    return np.array(found)


def judge(limits: Limits, denoised: Denoised, calibration: Calibration | None) -> Applicability:
    """Say what speaks against a denoised result.

    Parameters
    ----------
    limits : of the ensemble
    denoised : the result
    calibration : of its errors; None: whether it changes with age is not judged
    """
    if not np.isfinite(denoised.noise):
        return Applicability(False, ("bad frames leave no window with enough sound ones",))
    reasons = []
    frames = denoised.lag / denoised.stride
    fits = fit_decay(frames, denoised.g2[None], covariance=np.cov(denoised.g2_members, rowvar=False)[None])
    rate = float(fits.relaxation_rate[0])
    low, high = limits.rate
    if not np.isfinite(rate):
        reasons.append("the denoised curve has no fit")
    elif not fits.trusted[0] and not fits.on_bound[0]:
        reasons.append(f"of the denoised curve, {fits.reason[0]}")
    elif limits.outside(fits.relaxation_rate)[0]:
        every = "" if denoised.stride == 1 else f" of every {denoised.stride} frames"
        reasons.append(f"rate {rate:.3g} per frame{every} lies outside the trained {low:g} to {high:g}")
    if denoised.noise > limits.noise:
        reasons.append(f"input noise {denoised.noise:.2g} (at contrast 1) exceeds the trained {limits.noise:.2g}")
    if denoised.distance > limits.latent_distance:
        reasons.append(
            f"unlike the training data: latent distance {denoised.distance:.1f} exceeds {limits.latent_distance:.1f}"
        )
    excess = float(np.max(denoised.structure / limits.residual))
    if excess > 1:
        reasons.append(
            f"denoising changed the shape of the one-time curve by {excess:.1f} times the most that is usual"
        )
    if calibration is not None and len(denoised.g2_ages) > 1 and np.isfinite(rate):
        reasons += _changes_with_age(frames, denoised, fits, calibration)
    return Applicability(not reasons, tuple(reasons))


def _changes_with_age(
    frames: NDArray[np.float64], denoised: Denoised, fits: DecayFits, calibration: Calibration
) -> list[str]:
    """A sentence if the rates of the first and the last part of the scan differ by more than their noise."""
    first, last = fit_decay(frames, denoised.g2_ages[[0, -1]]).relaxation_rate
    windows = denoised.windows / len(denoised.g2_ages)
    error = calibration.noise_errors(fits.relaxation_rate, np.array([denoised.noise]), relative_errors(fits), windows)
    change = abs(np.log(last / first))
    if not change > max(LARGEST_CHANGE * np.sqrt(2) * error[0, 0], SMALLEST_CHANGE):
        return []
    return [
        f"the rate changes with age, from {first:.2g} to {last:.2g} per denoised frame: see the fits at constant age"
    ]
