"""Whether the models may be trusted with an input: is it like what they were trained on?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs import fit_decay

FIELD = 5
LARGEST_RESIDUAL = 3.0


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
    """

    rate: tuple[float, float]
    noise: float
    latent_mean: NDArray[np.float64]
    latent_precision: NDArray[np.float64]
    latent_distance: float


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


def residual_structure(raw_g2: NDArray[np.float64], g2: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    """Root mean square of what denoising took from the one-time curve, in units of the curve's own error."""
    good = np.isfinite(raw_g2) & np.isfinite(g2) & (error > 0)
    if not good.any():
        return 0.0
    return float(np.sqrt(np.mean(((raw_g2[good] - g2[good]) / error[good]) ** 2)))


def judge(
    limits: Limits,
    lag: NDArray[np.int64],
    stride: int,
    g2: NDArray[np.float64],
    noise: float,
    distance: float,
    structure: float,
) -> Applicability:
    """Say what speaks against a denoised result.

    Parameters
    ----------
    limits : of the ensemble
    lag, g2 : (L,) denoised one-time correlation function at lags in frames
    stride : every how many frames were denoised
    noise, distance, structure : of the input, see `input_noise`, `latent_distance`, `residual_structure`; the first two
        NaN where no window could be denoised
    """
    if not np.isfinite(noise):
        return Applicability(False, ("bad frames leave no window with enough sound ones",))
    reasons = []
    rate = float(fit_decay(lag / stride, g2[None]).relaxation_rate[0])
    low, high = limits.rate
    if not np.isfinite(rate):
        reasons.append("the denoised curve has no fit")
    elif not low <= rate <= high:
        every = "" if stride == 1 else f" of every {stride} frames"
        reasons.append(f"rate {rate:.3g} per frame{every} lies outside the trained {low:g} to {high:g}")
    if noise > limits.noise:
        reasons.append(f"input noise {noise:.2g} (at contrast 1) exceeds the trained {limits.noise:.2g}")
    if distance > limits.latent_distance:
        reasons.append(f"unlike the training data: latent distance {distance:.1f} exceeds {limits.latent_distance:.1f}")
    if structure > LARGEST_RESIDUAL:
        reasons.append(
            f"denoising changed the one-time curve by {structure:.1f} standard errors, more than {LARGEST_RESIDUAL:g}"
        )
    return Applicability(not reasons, tuple(reasons))
