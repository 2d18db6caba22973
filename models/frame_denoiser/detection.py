"""Whether a weak satellite is found: true-positive rates of all methods at the same rate of false peaks.

Half of the frames hold a satellite somewhere in a search window, half hold none; frames with and without it show the
same scattering. The score of a frame is the largest difference of its estimated rate from the mean estimate of the
frames without a satellite, divided by its noise there, inside the window. So a filter is not punished for blurring what
is always there. The noise of raw counts and of filters is taken as the square root of the true background, that of the
denoised rate as its mean error in the frames without a satellite. A method finds a satellite where its score exceeds
all but one in twenty of the scores without a satellite.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.rivals import RIVALS, Rival
from frame_denoiser.simulation import detector_mask, peak_image, scene

Image = NDArray[np.float64]

FALSE_RATE = 0.05
EDGE, WINDOW = 96, 32
"""Pixels of a frame and of the window in its middle that is searched."""

_SEARCHED = (slice((EDGE - WINDOW) // 2, (EDGE + WINDOW) // 2),) * 2

SCENES = 4
"""Scatterings of a structured case; each is seen in a part of the frames."""

EXPOSURES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Multiples of the exposure at which raw counts are searched."""


@dataclass(frozen=True)
class Case:
    """One kind of satellite.

    Attributes
    ----------
    level : photons per pixel of the background in one exposure
    width : full width at half maximum, pixels
    significance : counts of the satellite over the noise √(B + 1) of the B counts of background that a matched filter
        sees, in one exposure
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


CASES = tuple(
    Case(level, width, 4.0, structured) for structured in (False, True) for level in (0.02, 1.0) for width in (3.0, 8.0)
)


def evaluate_detection(
    denoiser: FrameDenoiser,
    seed: int,
    frames: int,
    cases: tuple[Case, ...] = CASES,
    progress: Callable[[float], None] | None = None,
    rivals: Sequence[Rival] = RIVALS,
) -> list[Detection]:
    """True-positive rates of all methods for some cases, from `frames` frames with and as many without a satellite."""
    found = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number, 3])
        found.append(_detection(denoiser, rng, frames, case, rivals))
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


def _detection(
    denoiser: FrameDenoiser, rng: np.random.Generator, frames: int, case: Case, rivals: Sequence[Rival]
) -> Detection:
    methods = _filters(rivals)
    scores: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("denoised", *methods)}
    raw: dict[int, list[NDArray[np.float64]]] = {exposure: [] for exposure in EXPOSURES}
    scenes = SCENES if case.structured else 1
    for _ in range(scenes):
        background, mask = _background(rng, case)
        satellites = [_satellite(rng, background, case) for _ in range(max(3, frames // scenes))]
        # Frames without and with a satellite, (2, n, H, W).
        rates = np.stack([np.stack([background + present * one for one in satellites]) for present in (0, 1)])
        counts = rng.poisson(rates).astype(float) * mask
        for name, method in methods.items():
            estimates = np.stack([[method(frame, mask) for frame in half] for half in counts])
            scores[name].append(_scores(estimates, np.sqrt(background), mask))
        denoised = [denoiser.denoise(half, mask) for half in counts]
        estimates = np.stack([half.rate.astype(float) for half in denoised])
        scores["denoised"].append(_scores(estimates, denoised[0].error.mean(axis=0, dtype=float), mask))
        for exposure in EXPOSURES:
            raw[exposure].append(_scores(rng.poisson(exposure * rates) / exposure, np.sqrt(background), mask))
    found_by = {name: true_positive_rate(*np.concatenate(parts, axis=1)) for name, parts in scores.items()}
    raw_rates = {exposure: true_positive_rate(*np.concatenate(parts, axis=1)) for exposure, parts in raw.items()}
    found = {"denoised": found_by.pop("denoised")}
    for rival in rivals:
        found[rival.name] = max(rate for name, rate in found_by.items() if name.startswith(f"{rival.name} at "))
    return Detection(case, found, raw_rates, equal_exposure(raw_rates, found["denoised"]))


def _filters(rivals: Sequence[Rival]) -> dict[str, Callable[[Image, NDArray[np.bool_]], Image]]:
    """Every rival at every strength."""
    return {f"{rival.name} at {at:g}": _at(rival, at) for rival in rivals for at in rival.strengths}


def _at(rival: Rival, strength: float) -> Callable[[Image, NDArray[np.bool_]], Image]:
    return lambda counts, mask: rival.apply(counts, mask, strength)


def _background(rng: np.random.Generator, case: Case) -> tuple[Image, NDArray[np.bool_]]:
    shape = (EDGE, EDGE)
    if not case.structured:
        return np.full(shape, case.level), np.ones(shape, np.bool_)
    mask = detector_mask(rng, shape)
    mask[_SEARCHED] |= not mask[_SEARCHED].any()
    return case.level * scene(rng, shape), mask


def _satellite(rng: np.random.Generator, background: Image, case: Case) -> Image:
    row, column = EDGE / 2 + rng.uniform(-WINDOW / 3, WINDOW / 3, 2)
    sigma = case.width / 2.3548
    seen = 4 * np.pi * sigma**2 * background[int(row), int(column)]
    counts = case.significance * float(np.sqrt(seen + 1))
    return counts * peak_image((EDGE, EDGE), row, column, (sigma, sigma), 0.0)


def _scores(estimates: Image, noise: Image, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores (2, n) of estimates (2, n, H, W) without and with a satellite, whose noise is (H, W).

    The mean that an estimate is compared with leaves out the frame itself, and of the frames with a satellite the one
    of the same number, so that both halves are compared with means of as many frames.
    """
    without = estimates[0]
    number = len(without)
    others = (without.sum(axis=0) - without) / (number - 1)
    excess = (estimates - others)[..., *_SEARCHED] / noise[_SEARCHED]
    return np.asarray(np.where(mask[_SEARCHED], excess, -np.inf).max(axis=(2, 3)))
