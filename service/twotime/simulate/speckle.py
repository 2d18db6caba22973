"""Speckle frames with known dynamics."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.geometry import q_from_radius, radius_map
from twotime.xpcs.types import Geometry

REFERENCE_Q = 0.01
"""1/Å at which rates with another exponent than 2 are those of diffusion."""
_JITTER = 1e-6


@dataclass(frozen=True)
class SpeckleModel:
    """What the simulated sample and beam are like.

    Attributes
    ----------
    shape : (H, W) of a frame
    geometry : of the detector
    diffusion : D of the relaxation rate Γ(q) = D q², Å²/s
    contrast : rise of g2 at short lags above the baseline, above 0 and at most 1
    baseline : g2 at long lags; above 1 by static intensity differences between pixels
    alpha : stretching (below 1) or compression (above 1, at most 2) of the decay
    mean_counts : photons per pixel and frame
    ageing : slowing down, 1/s: the rate falls as Γ(q) / (1 + ageing t)
    speeding : speeding up, 1/s: the rate grows as Γ(q) (1 + speeding t); not together with `ageing`
    exponent : p of Γ(q) = D q² (q / 0.01 1/Å)^(p - 2), 2 for diffusion, 1 for ballistic motion
    oscillation_hz : frequency with which the decay of g2 is modulated, cos²(π f τ); 0 for none
    seed : of all random numbers
    """

    shape: tuple[int, int]
    geometry: Geometry
    diffusion: float
    contrast: float = 0.2
    baseline: float = 1.0
    alpha: float = 1.0
    mean_counts: float = 1.0
    ageing: float = 0.0
    speeding: float = 0.0
    exponent: float = 2.0
    oscillation_hz: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.contrast <= self.baseline:
            raise ValueError(f"contrast is {self.contrast}, expected above 0 and at most the baseline {self.baseline}.")
        if not 1 <= self.baseline <= 2:
            raise ValueError(f"baseline is {self.baseline}, expected 1 to 2: static differences can only raise it.")
        if not 0 < self.alpha <= 2:
            raise ValueError(f"alpha is {self.alpha}, expected above 0 and at most 2, beyond which no field decays so.")
        for name, least in (("diffusion", 0.0), ("mean_counts", 0.0)):
            if not getattr(self, name) > least:
                raise ValueError(f"{name} is {getattr(self, name)}, expected above {least:g}.")
        for name in ("ageing", "speeding", "oscillation_hz"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more, 1/s.")
        if self.ageing and self.speeding:
            raise ValueError(f"ageing is {self.ageing} and speeding {self.speeding}; expected one of them at most.")

    def rate(self, q: NDArray[np.float64] | float) -> NDArray[np.float64] | float:
        """Relaxation rate Γ at momentum transfer q (1/Å) at the start of the scan, 1/s."""
        return self.diffusion * q**2 * (q / REFERENCE_Q) ** (self.exponent - 2)


def simulate_frames(model: SpeckleModel, n_frames: int) -> NDArray[np.uint16]:
    """Photon counts of frames.

    Parameters
    ----------
    model : sample and beam
    n_frames : N

    Returns
    -------
    (N, H, W) uint16

    Notes
    -----
    Every pixel is a sum of independent complex Gaussian fields with the covariance f(t1, t2) = exp(-|s1 - s2|^α), where
    s(t) is the integral of Γ(q, t). Their intensities add up to partially coherent speckle, of which Poisson counts are
    drawn: negative-binomial counts with the chosen contrast, and C2(t1, t2) = C∞ + β f(t1, t2)². The covariance is
    exact for ages and any α, by its Cholesky factor. Pixels of one whole radius share their q.

    Examples
    --------
    >>> geometry = Geometry(-10.0, 8.0, 5.0, 1.0, 75e-6, 0.01)
    >>> simulate_frames(SpeckleModel((16, 16), geometry, diffusion=1e6), 4).shape
    (4, 16, 16)
    """
    rng = np.random.default_rng(model.seed)
    time_s = np.asarray(np.arange(n_frames) * model.geometry.frame_time_s, np.float64)
    radius = np.round(radius_map(model.geometry, model.shape)).astype(int).ravel()
    frames = np.empty((n_frames, radius.size), np.uint16)
    order = np.argsort(radius, kind="stable")
    values, starts = np.unique(radius[order], return_index=True)
    for value, own in zip(values, np.split(order, starts[1:]), strict=True):
        rate = float(model.rate(q_from_radius(model.geometry, np.float64(value))))  # type: ignore[arg-type]  # 0-d array
        factor = _cholesky(_clock(rate, model, time_s), model.alpha, model.oscillation_hz * time_s)
        intensity = _intensity(model, factor, own.size, rng)
        counts = rng.poisson(model.mean_counts * intensity)
        frames[:, own] = np.minimum(counts, np.iinfo(np.uint16).max - 1)
    return frames.reshape(n_frames, *model.shape)


def mode_weights(contrast: float) -> NDArray[np.float64]:
    """Shares of independent modes that add up to 1, and whose squares add up to the contrast.

    Examples
    --------
    >>> mode_weights(0.25)
    array([0.25, 0.25, 0.25, 0.25])
    """
    modes = math.ceil(1 / contrast - 1e-9)
    if modes == 1:
        return np.ones(1)
    others = modes - 1
    share = (others + math.sqrt(max(others**2 - modes * others * (1 - contrast), 0.0))) / (modes * others)
    return np.array([share] * others + [1 - others * share])


def _clock(rate: float, model: SpeckleModel, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The integral of the rate up to each time."""
    if model.ageing == 0:
        return rate * time_s * (1 + 0.5 * model.speeding * time_s)
    return rate * np.log1p(model.ageing * time_s) / model.ageing


def _cholesky(clock: NDArray[np.float64], alpha: float, turns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Factor of the fields' covariance exp(-|s1 - s2|^α) cos(π (n1 - n2)), by the clock s and the turns n."""
    covariance = np.exp(-(np.abs(clock[:, None] - clock) ** alpha)) * np.cos(np.pi * (turns[:, None] - turns))
    covariance[np.diag_indices_from(covariance)] += _JITTER
    return np.linalg.cholesky(covariance).astype(np.float32)


def _intensity(
    model: SpeckleModel, factor: NDArray[np.float32], n_pixels: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Relative intensity (N, n_pixels) with mean 1."""
    n_frames = len(factor)
    intensity = np.zeros((n_frames, n_pixels), np.float32)
    for weight in mode_weights(model.contrast / model.baseline):
        for _ in ("real part", "imaginary part"):
            field = factor @ rng.standard_normal((n_frames, n_pixels), np.float32)
            intensity += np.float32(weight / 2) * field**2
    if model.baseline > 1:
        shape = 1 / (model.baseline - 1)
        intensity *= rng.gamma(shape, 1 / shape, n_pixels).astype(np.float32)
    return intensity
