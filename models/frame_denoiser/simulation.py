"""Simulated scattering as wide as the field, and what a detector makes of it; seeded numpy.

A scene is drawn in units of its own background (about 1). `expose` scales it to a level of photons, draws peaks whose
counts are a chosen multiple of the noise, and counts photons as a detector does.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float64]

LOWEST_LEVEL, HIGHEST_LEVEL = 1e-3, 1e3
"""Photons per pixel of the background in the simulated exposures."""


@dataclass(frozen=True)
class SimulatedPeak:
    """A peak of a simulated frame.

    Attributes
    ----------
    row, column : centre, pixels
    width : full width at half maximum, pixels; geometric mean of both axes
    counts : expected in the whole peak
    """

    row: float
    column: float
    width: float
    counts: float


@dataclass(frozen=True)
class SimulatedFrame:
    """One exposure.

    Attributes
    ----------
    counts : (H, W), as the detector records them
    rate : (H, W), expected counts per pixel, without spurious hits and defects of pixels
    mask : (H, W), True where usable
    peaks : those on top of the scene
    level : photons per pixel of the background
    """

    counts: Image
    rate: Image
    mask: NDArray[np.bool_]
    peaks: tuple[SimulatedPeak, ...]
    level: float


def simulate_frame(
    rng: np.random.Generator, shape: tuple[int, int], level: float | None = None, *, weak: bool = False
) -> SimulatedFrame:
    """A frame of everything that scatters, from a detector with all its faults.

    Parameters
    ----------
    rng : source of all randomness
    shape : (H, W), pixels
    level : photons per pixel of the background; None: any from 0.001 to 1000, all magnitudes alike
    weak : with peaks near the limit of what can be found, instead of all magnitudes
    """
    level = math.exp(rng.uniform(math.log(LOWEST_LEVEL), math.log(HIGHEST_LEVEL))) if level is None else level
    rate = level * scene(rng, shape)
    peaks = _weak_peaks(rng, rate) if weak else _peaks(rng, rate)
    for peak, image in peaks:
        rate += peak.counts * image
    mask = detector_mask(rng, shape)
    counts, rate = detect(rng, rate)
    counts = _with_defects(rng, counts)
    return SimulatedFrame(np.where(mask, counts, 0), rate, mask, tuple(peak for peak, _ in peaks), level)


def scene(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Scattering without Bragg peaks, (H, W), about 1: air scatter, small-angle fall-off, rings, sheets, speckle."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    centre = rng.uniform(-0.3, 1.3, 2) * shape
    radius = np.hypot(rows - centre[0], columns - centre[1])
    image = np.ones(shape)
    if rng.random() < 0.5:
        slope = rng.normal(0, 0.5, 2) / shape
        image *= np.exp(slope[0] * (rows - shape[0] / 2) + slope[1] * (columns - shape[1] / 2))
    if rng.random() < 0.35:
        image += _small_angle(rng, radius)
    if rng.random() < 0.35:
        image += _rings(rng, radius)
    if rng.random() < 0.35:
        image += _sheets(rng, rows, columns)
    if rng.random() < 0.3:
        image *= speckle(rng, shape)
    if rng.random() < 0.15:
        image *= _beamstop(rng, rows, columns)
    return np.asarray(image, np.float64)


def speckle(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Speckle of mean 1: grains of 1 to 6 pixels, contrast from 1 down to 0.1 by more modes."""
    grain = math.exp(rng.uniform(math.log(0.5), math.log(3.0)))
    modes = int(rng.choice([1, 2, 4, 10]))
    total = np.zeros(shape)
    for _ in range(modes):
        field = rng.normal(size=(2, *shape))
        field = ndimage.gaussian_filter(field, (0, grain, grain), mode="wrap", truncate=3)
        total += (field**2).sum(axis=0)
    return np.asarray(total / total.mean(), np.float64)


def detector_mask(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Usable pixels: gaps between modules, single dead pixels, a masked beamstop."""
    mask = np.ones(shape, np.bool_)
    if rng.random() < 0.4:
        for axis in (0, 1):
            if rng.random() < 0.6:
                start, width = int(rng.integers(0, shape[axis])), int(rng.integers(1, 18))
                mask[(slice(None),) * axis + (slice(start, start + width),)] = False
    if rng.random() < 0.5:
        mask &= rng.random(shape) > 10 ** rng.uniform(-4, -1.5)
    if rng.random() < 0.1:
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        centre, radius = rng.uniform(0, 1, 2) * shape, rng.uniform(3, 20)
        mask &= np.hypot(rows - centre[0], columns - centre[1]) > radius
    mask[0, 0] |= not mask.any()
    return mask


def detect(rng: np.random.Generator, rate: Image) -> tuple[Image, Image]:
    """Counts of a detector, and the rate at which it counts.

    Parameters
    ----------
    rate : (H, W), photons per pixel

    Returns
    -------
    tuple of (H, W)
        Counts; expected counts, which charge sharing and readout noise change.

    Notes
    -----
    Charge sharing counts a photon in a neighbouring pixel as well. Readout noise gives single false counts.
    """
    sharing = rng.uniform(0, 0.25) if rng.random() < 0.3 else 0.0
    false = 10 ** rng.uniform(-5, -3) if rng.random() < 0.3 else 0.0
    photons = rng.poisson(rate).astype(np.int64)
    counts = photons.astype(float)
    expected = rate.copy()
    if sharing:
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            counts += _shifted(rng.binomial(photons, sharing / 4).astype(float), axis, step)
            expected += _shifted(rate * sharing / 4, axis, step)
    if false:
        counts += rng.random(rate.shape) < false
        expected += false
    return counts, expected


def peak_image(shape: tuple[int, int], row: float, column: float, widths: tuple[float, float], angle: float) -> Image:
    """A Gaussian of sum 1; `widths` are standard deviations along its axes, pixels."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    along = (rows - row) * math.cos(angle) + (columns - column) * math.sin(angle)
    across = -(rows - row) * math.sin(angle) + (columns - column) * math.cos(angle)
    square = (along / widths[0]) ** 2 + (across / widths[1]) ** 2
    return np.asarray(np.exp(-0.5 * square) / (2 * math.pi * widths[0] * widths[1]))


def counts_for(significance: float, level: float, width: float) -> float:
    """Counts of a peak of some width (standard deviation, pixels) that stand so many errors above a level.

    Notes
    -----
    Solves s = S / sqrt(S + B) with the background B = 4 pi w² level that a matched filter sees.
    """
    background = 4 * math.pi * width**2 * level
    return significance**2 / 2 + significance * math.sqrt(significance**2 / 4 + background)


def _peaks(rng: np.random.Generator, rate: Image) -> list[tuple[SimulatedPeak, Image]]:
    """None to eleven peaks, from invisible to a thousand times the background, and satellites around some."""
    found: list[tuple[SimulatedPeak, Image]] = []
    for _ in range(int(rng.choice([0, 0, 0, 1, 1, 2, 3, 8]))):
        place = rng.uniform(-2, 2, 2) + rng.uniform(0, 1, 2) * rate.shape
        width = math.exp(rng.uniform(math.log(0.5), math.log(10)))
        found.append(_peak(rng, rate, place, width, math.exp(rng.uniform(0, math.log(40)))))
    if rng.random() < 0.4:
        place, width = rng.uniform(0, 1, 2) * rate.shape, math.exp(rng.uniform(math.log(0.6), math.log(4)))
        found.append(_peak(rng, rate, place, width, math.exp(rng.uniform(math.log(20), math.log(1000)))))
        offset, strength = rng.normal(0, 15, 2), math.exp(rng.uniform(0, math.log(15)))
        for sign in (1, -1):
            found.append(_peak(rng, rate, place + sign * offset, width * rng.uniform(0.8, 2), strength))
    return found


def _weak_peaks(rng: np.random.Generator, rate: Image) -> list[tuple[SimulatedPeak, Image]]:
    """One to eight round peaks of 2 to 7 times the noise that a matched filter sees."""
    found = []
    for _ in range(int(rng.integers(1, 9))):
        row, column = rng.uniform(0, 1, 2) * rate.shape
        sigma = math.exp(rng.uniform(math.log(0.8), math.log(6)))
        counts = rng.uniform(2, 7) * math.sqrt(4 * math.pi * sigma**2 * rate[int(row), int(column)] + 1)
        image = peak_image((rate.shape[0], rate.shape[1]), row, column, (sigma, sigma), 0.0)
        found.append((SimulatedPeak(row, column, 2.3548 * sigma, counts), image))
    return found


def _peak(
    rng: np.random.Generator, rate: Image, place: NDArray[np.float64], width: float, significance: float
) -> tuple[SimulatedPeak, Image]:
    row, column = np.clip(place.astype(int), 0, np.array(rate.shape) - 1)
    counts = counts_for(significance, float(rate[row, column]), width)
    stretch = math.exp(rng.normal(0, 0.25))
    widths, angle = (width * stretch, width / stretch), rng.uniform(0, math.pi)
    image = peak_image((rate.shape[0], rate.shape[1]), place[0], place[1], widths, angle)
    if rng.random() < 0.3:
        # Tails of a Lorentzian to the power 3/2, which is a distribution in two dimensions.
        wide = peak_image((rate.shape[0], rate.shape[1]), place[0], place[1], (1.0, 1.0), 0.0)
        distance = -2 * np.log(np.maximum(wide * 2 * math.pi, 1e-300)) / width**2
        image = 0.5 * image + 0.5 * (1 + distance) ** -1.5 / (2 * math.pi * width**2)
    return SimulatedPeak(float(place[0]), float(place[1]), 2.3548 * width, counts), image


def _small_angle(rng: np.random.Generator, radius: Image) -> Image:
    power, core = rng.uniform(1.5, 4), math.exp(rng.uniform(math.log(3), math.log(40)))
    strength = math.exp(rng.uniform(math.log(0.5), math.log(300)))
    return np.asarray(strength * (1 + (radius / core) ** 2) ** (-power / 2))


def _rings(rng: np.random.Generator, radius: Image) -> Image:
    total = np.zeros(radius.shape)
    low, high = radius.min(), radius.max()
    for _ in range(int(rng.integers(1, 6))):
        place, width = rng.uniform(low, high), math.exp(rng.uniform(math.log(0.8), math.log(15)))
        strength = math.exp(rng.uniform(math.log(0.1), math.log(20)))
        total += strength * np.exp(-0.5 * ((radius - place) / width) ** 2)
    return total


def _sheets(rng: np.random.Generator, rows: Image, columns: Image) -> Image:
    """Rods and sheets of diffuse scattering: straight, of some width, fading along their length."""
    total = np.zeros(rows.shape)
    for _ in range(int(rng.integers(1, 4))):
        angle, width = rng.uniform(0, math.pi), math.exp(rng.uniform(math.log(0.8), math.log(15)))
        centre = rng.uniform(0, 1, 2) * rows.shape
        across = (rows - centre[0]) * math.sin(angle) - (columns - centre[1]) * math.cos(angle)
        along = (rows - centre[0]) * math.cos(angle) + (columns - centre[1]) * math.sin(angle)
        length = math.exp(rng.uniform(math.log(20), math.log(300)))
        strength = math.exp(rng.uniform(math.log(0.1), math.log(5)))
        total += strength / (1 + (across / width) ** 2) * np.exp(-0.5 * (along / length) ** 2)
    return total


def _beamstop(rng: np.random.Generator, rows: Image, columns: Image) -> Image:
    """Shadow that lets through a part of 0.001 to 0.3, with an edge of some pixels."""
    centre, size = rng.uniform(0, 1, 2) * rows.shape, rng.uniform(4, 30)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    if rng.random() < 0.5:
        distance = np.where(columns > centre[1], np.abs(rows - centre[0]) * rng.uniform(1, 4), distance)
    open_ = 1 / (1 + np.exp(np.clip(-(distance - size) / rng.uniform(0.3, 2), -50, 50)))
    return np.asarray(open_ + (1 - open_) * 10 ** rng.uniform(-3, -0.5))


def _with_defects(rng: np.random.Generator, counts: Image) -> Image:
    """Spurious hits, and hot and dead pixels that no mask knows."""
    if rng.random() < 0.3:
        hits = rng.random(counts.shape) < 10 ** rng.uniform(-5, -3)
        counts = counts + hits * np.ceil(np.exp(rng.uniform(0, math.log(300), counts.shape)))
    if rng.random() < 0.15:
        hot = rng.random(counts.shape) < 10 ** rng.uniform(-5, -3.3)
        counts = np.where(hot, counts * 3 + rng.integers(5, 2000), counts)
    if rng.random() < 0.15:
        counts = np.where(rng.random(counts.shape) < 10 ** rng.uniform(-5, -3.3), 0, counts)
    return counts


def _shifted(image: Image, axis: int, step: int) -> Image:
    moved = np.zeros_like(image)
    target, source = [slice(None)] * 2, [slice(None)] * 2
    target[axis] = slice(1, None) if step > 0 else slice(None, -1)
    source[axis] = slice(None, -1) if step > 0 else slice(1, None)
    moved[tuple(target)] = image[tuple(source)]
    return moved
