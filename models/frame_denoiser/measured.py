"""How good rates and errors are on measured frames, whose truth nobody knows: against photons that were held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.rivals import RIVALS, Rival
from frame_denoiser.thinning import thin, usable_pixels

Image = NDArray[np.float64]

FRACTION = 0.1
"""Part of the photons that the denoiser sees: one of ten exposures; the others are the test."""


WARM = 5.0
"""Mean of a pixel over the median of its neighbours above which it is left out; for frames without Bragg peaks."""


@dataclass(frozen=True)
class HeldOut:
    """Agreement with held-out photons of sums of frames.

    Attributes
    ----------
    frames : in each sum
    level : mean counts per usable pixel that the denoiser saw
    exposure : multiple of the exposure whose raw counts are as near to the true rate, by method; rivals at their best
        strength on these very frames
    scatter : mean over sums of 4 x 4 pixels of (held out - predicted)² over its expectation from counting and the error
        of the rate, which is taken as one and the same error within a sum; near 1 where errors are right
    within_one, within_two : fraction of those sums within one and 1.96 standard deviations
    """

    frames: int
    level: float
    exposure: dict[str, float]
    scatter: float
    within_one: float
    within_two: float


def evaluate_measured(
    denoiser: FrameDenoiser,
    frames: NDArray[np.generic],
    seed: int,
    sums: tuple[int, ...] = (1, 10),
    repeats: int = 4,
    rivals: Sequence[Rival] = RIVALS,
) -> list[HeldOut]:
    """Agreement with held-out photons, for sums of so many frames.

    Parameters
    ----------
    denoiser : what is measured
    frames : (F, H, W) array, photon counts
    seed : of frames and photons
    sums : frames in a sum; those above F are left out
    repeats : sums of each kind
    rivals : methods to compare with
    """
    rng = np.random.default_rng([seed, 4])
    mask = usable_pixels(frames.sum(axis=0, dtype=np.int64), len(frames), WARM)
    found = []
    for number in (number for number in sums if number <= len(frames)):
        parts = [
            thin(rng, frames[rng.choice(len(frames), number, replace=False)].sum(axis=0, dtype=np.int64), FRACTION)
            for _ in range(repeats)
        ]
        found.append(_agreement(denoiser, mask, number, [(one.seen, one.held_out) for one in parts], rivals))
    return found


def evaluate_runs(
    denoiser: FrameDenoiser, runs: Sequence[NDArray[np.generic]], seed: int, rivals: Sequence[Rival] = RIVALS
) -> list[HeldOut]:
    """`evaluate_measured` of several runs (F, H, W): means over the runs that have so many frames."""
    found = [one for frames in runs for one in evaluate_measured(denoiser, frames, seed, rivals=rivals)]
    return [_mean([one for one in found if one.frames == number]) for number in sorted({one.frames for one in found})]


def _mean(found: list[HeldOut]) -> HeldOut:
    exposure = {name: float(np.mean([one.exposure[name] for one in found])) for name in found[0].exposure}
    numbers = {
        name: float(np.mean([getattr(one, name) for one in found]))
        for name in ("level", "scatter", "within_one", "within_two")
    }
    return HeldOut(frames=found[0].frames, exposure=exposure, **numbers)


def _agreement(
    denoiser: FrameDenoiser,
    mask: NDArray[np.bool_],
    number: int,
    parts: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    rivals: Sequence[Rival],
) -> HeldOut:
    ratio = (1 - FRACTION) / FRACTION
    denoised = [denoiser.denoise(seen, mask) for seen, _ in parts]
    held_out = [later.astype(float) for _, later in parts]
    exposure = {"denoised": _exposure([one.rate.astype(float) for one in denoised], held_out, mask, ratio)}
    for rival in rivals:
        rates = ([rival.apply(seen.astype(float), mask, at) for seen, _ in parts] for at in rival.strengths)
        exposure[rival.name] = max(_exposure(own, held_out, mask, ratio) for own in rates)
    deviations = []
    for one, later in zip(denoised, held_out, strict=True):
        counted, expected = (_block_sums(np.where(mask, image, 0)) for image in (later, ratio * one.rate))
        unsure = _block_sums(np.where(mask, ratio * one.error, 0))
        usable = _block_sums(mask.astype(float)) > 8
        deviations.append(((counted - expected) / np.sqrt(expected + unsure**2))[usable])
    deviation = np.concatenate(deviations)
    return HeldOut(
        number,
        float(np.mean([seen[mask].mean() for seen, _ in parts])),
        exposure,
        float(np.mean(deviation**2)),
        float(np.mean(np.abs(deviation) < 1)),
        float(np.mean(np.abs(deviation) < 1.96)),
    )


def _exposure(rates: list[Image], held_out: list[Image], mask: NDArray[np.bool_], ratio: float) -> float:
    """1 over the sum of (rate - truth)² over the sum of the truth; the noise of the held-out counts is subtracted."""
    off, total = 0.0, 0.0
    for rate, later in zip(rates, held_out, strict=True):
        counted = later[mask]
        off += float((((rate[mask] - counted / ratio) ** 2) - counted / ratio**2).sum())
        total += float(counted.sum() / ratio)
    return total / max(off, 1e-9)


def _block_sums(image: Image) -> Image:
    """Sums over 4 x 4 pixels; the rest at the edges is left out."""
    height, width = (side // 4 * 4 for side in image.shape)
    return np.asarray(image[:height, :width].reshape(height // 4, 4, width // 4, 4).sum(axis=(1, 3)))
