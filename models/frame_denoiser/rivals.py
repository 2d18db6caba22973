"""What else removes noise from frames of counts; for comparison only.

Each takes counts (H, W), a mask (H, W) and a strength, and returns rates (H, W).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Rival:
    """A filter with one strength to choose."""

    name: str
    strengths: tuple[float, ...]
    apply: Callable[[Image, Mask, float], Image]


def gaussian(counts: Image, mask: Mask, strength: float) -> Image:
    """Mean of the usable pixels weighted by a Gaussian of standard deviation `strength`, pixels."""
    weight = ndimage.gaussian_filter(mask.astype(float), strength)
    return np.asarray(ndimage.gaussian_filter(np.where(mask, counts, 0.0), strength) / np.maximum(weight, 1e-9))


def median(counts: Image, mask: Mask, strength: float) -> Image:
    """Median of a square of `strength` pixels; masked pixels are filled before."""
    return np.asarray(ndimage.median_filter(_filled(counts, mask), int(strength)), np.float64)


def stabilised_gaussian(counts: Image, mask: Mask, strength: float) -> Image:
    """Gaussian filter between the Anscombe transform and its inverse."""
    return inverse_anscombe(gaussian(anscombe(counts), mask, strength))


def non_local_means(counts: Image, mask: Mask, strength: float) -> Image:
    """Mean of pixels within 5 pixels that have similar 5 x 5 neighbourhoods, after the Anscombe transform.

    Notes
    -----
    Buades 2005: weight exp(-max(d - 2, 0) / strength²), d the mean squared difference of the neighbourhoods in units of
    the noise variance, which is 1 after the transform.
    """
    image = anscombe(_filled(counts, mask))
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for row in range(-5, 6):
        for column in range(-5, 6):
            moved = np.roll(image, (row, column), (0, 1))
            distance = ndimage.uniform_filter((image - moved) ** 2, 5)
            weight = np.exp(-np.maximum(distance - 2, 0) / strength**2)
            total += weight * moved
            weights += weight
    return inverse_anscombe(total / weights)


def wavelet(counts: Image, mask: Mask, strength: float) -> Image:
    """Starlet coefficients below `strength` standard deviations set to zero, between Anscombe transform and inverse."""
    smooth = anscombe(_filled(counts, mask))
    kept = np.zeros_like(smooth)
    for scale, noise in enumerate(STARLET_NOISE):
        coarser = _spline(smooth, 2**scale)
        detail = smooth - coarser
        kept += np.where(np.abs(detail) > strength * noise, detail, 0)
        smooth = coarser
    return inverse_anscombe(smooth + kept)


def multiscale_poisson(counts: Image, mask: Mask, strength: float) -> Image:
    """The same with a transform of its own at each scale, which few counts need (Zhang, Fadili and Starck 2008)."""
    smooth = _filled(counts, mask)
    kept = np.zeros_like(smooth)
    transforms = _transforms()
    stabilised = transforms[0].apply(smooth)
    for scale, transform in enumerate(transforms[1:]):
        coarser = _spline(smooth, 2**scale)
        next_stabilised = transform.apply(coarser)
        significant = np.abs(stabilised - next_stabilised) > strength * transform.noise
        kept += np.where(significant, smooth - coarser, 0)
        smooth, stabilised = coarser, next_stabilised
    return np.asarray(np.maximum(smooth + kept, 0))


def richardson_lucy(counts: Image, mask: Mask, strength: float) -> Image:
    """Rate of greatest Poisson likelihood among those as smooth as a Gaussian of standard deviation `strength`, pixels.

    Notes
    -----
    Richardson 1972, Lucy 1974: the counts of a latent image seen through the Gaussian, in `RICHARDSON_LUCY_STEPS` steps
    from a flat one; the rate is the latent image seen through it again. Masked pixels have no likelihood.
    """
    seen = np.where(mask, counts, 0.0)
    weight = np.maximum(ndimage.gaussian_filter(mask.astype(float), strength), 1e-9)
    latent = np.full(counts.shape, max(float(seen.sum()) / max(int(mask.sum()), 1), 1e-12))
    for _ in range(RICHARDSON_LUCY_STEPS):
        expected = np.maximum(ndimage.gaussian_filter(latent, strength), 1e-12)
        latent = latent * ndimage.gaussian_filter(np.where(mask, seen / expected, 0.0), strength) / weight
    return np.asarray(ndimage.gaussian_filter(latent, strength))


RICHARDSON_LUCY_STEPS = 12
"""Of the Richardson-Lucy filter; more fit the noise."""

RIVALS = (
    Rival("Gaussian", (0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 12.0), gaussian),
    Rival("Anscombe + Gaussian", (0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 12.0), stabilised_gaussian),
    Rival("median", (3, 5, 9, 15), median),
    Rival("non-local means", (0.4, 0.8, 1.2), non_local_means),
    Rival("wavelet", (2.0, 3.0, 4.0), wavelet),
    Rival("multi-scale Poisson", (2.0, 3.0, 4.0), multiscale_poisson),
    Rival("Richardson-Lucy", (1.0, 1.5, 2.0, 3.0, 4.5, 7.0), richardson_lucy),
)

SPLINE = np.array([1, 4, 6, 4, 1]) / 16
"""B3 spline, the smoothing kernel of the starlet transform."""

STARLET_NOISE = (0.8908, 0.2007, 0.0857, 0.0413, 0.0204)
"""Standard deviation of the coefficients of white noise of variance 1, by scale."""


def anscombe(counts: Image) -> Image:
    """Counts with a noise variance near 1: 2 sqrt(n + 3/8)."""
    return np.asarray(2 * np.sqrt(counts + 0.375))


def inverse_anscombe(values: Image) -> Image:
    """Rates whose counts have this mean after the transform (Mäkitalo and Foi 2011, Eq. 7), at least 0."""
    v = np.maximum(values, 2 * math.sqrt(0.375))
    rate = v**2 / 4 + math.sqrt(1.5) / (4 * v) - 11 / (8 * v**2) + 5 * math.sqrt(1.5) / (8 * v**3) - 1 / 8
    return np.asarray(np.maximum(rate, 0.0))


def _filled(counts: Image, mask: Mask) -> Image:
    """Counts with the mean of the neighbourhood in masked pixels."""
    return np.where(mask, counts, gaussian(counts, mask, 3.0))


def _spline(image: Image, step: int) -> Image:
    kernel = np.zeros(4 * step + 1)
    kernel[::step] = SPLINE
    return np.asarray(
        ndimage.correlate1d(ndimage.correlate1d(image, kernel, 0, mode="mirror"), kernel, 1, mode="mirror")
    )


@dataclass(frozen=True)
class _Transform:
    """Square root transform of counts smoothed to one scale; its noise does not depend on the rate.

    Attributes
    ----------
    shift : added before the square root
    noise : standard deviation of the difference from the next finer scale
    """

    shift: float
    noise: float

    def apply(self, smoothed: Image) -> Image:
        return np.asarray(2 * np.sqrt(np.maximum(smoothed + self.shift, 0)))


@cache
def _transforms() -> tuple[_Transform, ...]:
    """Transforms of the counts themselves and of all scales (Zhang, Fadili and Starck 2008, Eq. 10 and 13)."""
    kernel = np.zeros((129, 129))
    kernel[64, 64] = 1
    found = [_Transform(0.375, 0.0)]
    for scale in range(len(STARLET_NOISE)):
        wider = _spline(kernel, 2**scale)
        second, third = float((wider**2).sum()), float((wider**3).sum())
        found.append(_Transform(7 * second / 8 - third / (2 * second), float(np.linalg.norm(kernel - wider))))
        kernel = wider
    return tuple(found)
