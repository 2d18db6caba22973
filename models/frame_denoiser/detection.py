"""Whether a weak satellite is found: true-positive rates of all methods at the same rate of false peaks.

Half of the frames hold a satellite somewhere in a search window, half hold none. The score of a frame is the largest
excess of the estimated rate over the true background, divided by the square root of the background, inside the window.
A method finds a satellite where its score exceeds all but one in twenty of its own scores without a satellite.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.rivals import RIVALS, Rival
from frame_denoiser.simulation import counts_for, detector_mask, peak_image, scene

Image = NDArray[np.float64]

FALSE_RATE = 0.05
EDGE, WINDOW = 96, 32
"""Pixels of a frame and of the window in its middle that is searched."""

EXPOSURES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Multiples of the exposure at which raw counts are searched."""


@dataclass(frozen=True)
class Case:
    """One kind of satellite.

    Attributes
    ----------
    level : photons per pixel of the background in one exposure
    width : full width at half maximum, pixels
    significance : counts of the satellite over the noise of a matched filter, in one exposure
    structured : on rings, sheets, small-angle scattering and gaps; else on a flat background
    """

    level: float
    width: float
    significance: float
    structured: bool


@dataclass(frozen=True)
class Detection:
    """What was found of one case.

    Attributes
    ----------
    case : which
    found : true-positive rate at 5 % false peaks, by method; rivals at their best strength
    raw : true-positive rate of single pixels of raw counts, by multiple of the exposure
    exposure : multiple of the exposure at which single pixels of raw counts find as much as the denoised frame; the
        largest tried where none does
    """

    case: Case
    found: dict[str, float]
    raw: dict[int, float]
    exposure: float


@dataclass(frozen=True)
class _Exposed:
    """Background (H, W) of a frame, its satellite, mask and counts."""

    background: Image
    satellite: Image
    mask: NDArray[np.bool_]
    counts: Image


CASES = tuple(
    Case(level, width, 5.0, structured) for structured in (False, True) for level in (0.02, 1.0) for width in (3.0, 8.0)
)


def evaluate_detection(
    denoiser: FrameDenoiser,
    seed: int,
    frames: int,
    cases: tuple[Case, ...] = CASES,
    progress: Callable[[float], None] | None = None,
) -> list[Detection]:
    """True-positive rates of all methods for some cases, from `frames` frames with and as many without a satellite."""
    found = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number, 3])
        found.append(_detection(denoiser, rng, frames, case))
        if progress is not None:
            progress((number + 1) / len(cases))
    return found


def true_positive_rate(without: NDArray[np.float64], with_: NDArray[np.float64]) -> float:
    """Fraction of scores above the score that one in twenty exceeds without a satellite; ties count half."""
    threshold = np.quantile(without, 1 - FALSE_RATE, method="higher")
    return float(np.mean(with_ > threshold) + 0.5 * np.mean(with_ == threshold))


def equal_exposure(raw: dict[int, float], rate: float) -> float:
    """Multiple of the exposure at which raw counts reach a true-positive rate, interpolated in its logarithm."""
    exposures, rates = np.array(list(raw)), np.maximum.accumulate(list(raw.values()))
    if rate <= rates[0]:
        return 1.0
    if rate > rates[-1]:
        return float(exposures[-1])
    after = int(np.argmax(rates >= rate))
    share = (rate - rates[after - 1]) / (rates[after] - rates[after - 1])
    return float(np.exp(np.interp(share, (0, 1), np.log(exposures[[after - 1, after]]))))


def _detection(denoiser: FrameDenoiser, rng: np.random.Generator, frames: int, case: Case) -> Detection:
    scores: dict[str, list[tuple[float, float]]] = {}
    raw: dict[int, list[tuple[float, float]]] = {}
    for _ in range(frames):
        pair = [_exposed(rng, case, present=present) for present in (False, True)]
        for name, method in _methods(denoiser).items():
            values = [_score(method(one.counts, one.mask), one) for one in pair]
            scores.setdefault(name, []).append((values[0], values[1]))
        for exposure in EXPOSURES:
            values = [_score(rng.poisson(exposure * (one.background + one.satellite)) / exposure, one) for one in pair]
            raw.setdefault(exposure, []).append((values[0], values[1]))
    rates = {name: true_positive_rate(*np.array(values).T) for name, values in scores.items()}
    raw_rates = {exposure: true_positive_rate(*np.array(values).T) for exposure, values in raw.items()}
    found = {"denoised": rates.pop("denoised")}
    for rival in RIVALS:
        found[rival.name] = max(rate for name, rate in rates.items() if name.startswith(f"{rival.name} at "))
    return Detection(case, found, raw_rates, equal_exposure(raw_rates, found["denoised"]))


def _methods(denoiser: FrameDenoiser) -> dict[str, Callable[[Image, NDArray[np.bool_]], Image]]:
    methods: dict[str, Callable[[Image, NDArray[np.bool_]], Image]] = {
        "denoised": lambda counts, mask: denoiser.denoise(counts, mask).rate.astype(float)
    }
    for rival in RIVALS:
        for strength in rival.strengths:
            methods[f"{rival.name} at {strength:g}"] = _at(rival, strength)
    return methods


def _at(rival: Rival, strength: float) -> Callable[[Image, NDArray[np.bool_]], Image]:
    return lambda counts, mask: rival.apply(counts, mask, strength)


def _exposed(rng: np.random.Generator, case: Case, *, present: bool) -> _Exposed:
    shape = (EDGE, EDGE)
    background = case.level * (scene(rng, shape) if case.structured else np.ones(shape))
    mask = detector_mask(rng, shape) if case.structured else np.ones(shape, np.bool_)
    place = EDGE / 2 + rng.uniform(-WINDOW / 3, WINDOW / 3, 2)
    sigma = case.width / 2.3548
    mask[int(place[0]) - 1 : int(place[0]) + 3, int(place[1]) - 1 : int(place[1]) + 3] = True
    satellite = np.zeros(shape)
    if present:
        counts = counts_for(case.significance, float(background[int(place[0]), int(place[1])]), sigma)
        satellite = counts * peak_image(shape, place[0], place[1], (sigma, sigma), 0.0)
    return _Exposed(background, satellite, mask, rng.poisson(background + satellite).astype(float) * mask)


def _score(rate: Image, exposed: _Exposed) -> float:
    cut = (slice((EDGE - WINDOW) // 2, (EDGE + WINDOW) // 2),) * 2
    excess = (rate - exposed.background)[cut] / np.sqrt(exposed.background[cut])
    return float(excess[exposed.mask[cut]].max())
