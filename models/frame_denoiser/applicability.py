"""Whether a frame resembles what the network was trained on; every difference in a sentence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from frame_denoiser.simulation import HIGHEST_LEVEL, LOWEST_LEVEL

Image = NDArray[np.float32]

DECADES = np.arange(-3, 3)
"""log10 of the lowest mean rate of each class of frames, counts per pixel."""

CLIPPED = 5.0
"""Residuals are taken as at most so large, so that single spurious hits do not stand for all pixels."""

OUTLIER, OUTLIER_COUNTS = 8.0, 4.0
"""Residual, and counts, beyond which a pixel is a spurious hit or unmasked hot pixel; single photons are none."""

FEWEST_COUNTED = 20
"""Pixels with counts below which a common divisor may be chance."""

SATURATED_PIXELS, SATURATED_COUNT = 4, 200
"""So many pixels that share the largest count, if that is at least so large, are saturated."""


@dataclass(frozen=True)
class Traits:
    """What is compared with the simulated frames.

    Attributes
    ----------
    level : mean rate of usable pixels, counts per pixel
    noise : mean square of the clipped residuals over that of Poisson counts; near 1 for photons
    structure : mean product of residuals of neighbouring pixels, clipped; near 0 where nothing real was removed
    outliers : fraction of pixels with a residual beyond `OUTLIER` that is more than `OUTLIER_COUNTS`
    saturated : pixels that share the largest count
    largest : largest count
    step : greatest number that divides all counts; 1 where there are few
    """

    level: float
    noise: float
    structure: float
    outliers: float
    saturated: int
    largest: float
    step: int


@dataclass(frozen=True)
class Limits:
    """Ranges of the traits over simulated frames, by decade of the level; arrays of len(DECADES)."""

    noise_low: NDArray[np.float64]
    noise_high: NDArray[np.float64]
    structure_high: NDArray[np.float64]
    outliers_high: NDArray[np.float64]

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> "Limits":
        """From the card of a version; without limits where it has none."""
        given = card.get("limits")
        if given is None:
            none, all_ = np.full(len(DECADES), -np.inf), np.full(len(DECADES), np.inf)
            return cls(none, all_, all_, all_)
        return cls(**{name: np.asarray(values, np.float64) for name, values in given.items()})

    @classmethod
    def of_traits(cls, traits: Iterable[Traits]) -> "Limits":
        """Ranges that hold 98 of 100 frames of each decade, or of all where it has none, and a fifth more."""
        known = list(traits)
        by_decade: list[list[Traits]] = [[] for _ in DECADES]
        for one in known:
            by_decade[_decade(one.level)].append(one)

        def over(name: str, fraction: float) -> NDArray[np.float64]:
            groups = ([getattr(one, name) for one in own or known] for own in by_decade)
            return np.array([np.quantile(values, fraction) for values in groups])

        return cls(
            over("noise", 0.01) / 1.2 - 0.01,
            over("noise", 0.99) * 1.2 + 0.01,
            over("structure", 0.98) * 1.2 + 0.01,
            over("outliers", 0.98) * 1.2 + 1e-4,
        )

    def document(self) -> dict[str, list[float]]:
        """For the card."""
        return {name: [float(f"{value:.5g}") for value in values] for name, values in vars(self).items()}


def traits_of(counts: Image, rate: Image, residual: Image, mask: NDArray[np.bool_]) -> Traits:
    """Traits of one frame (H, W); `residual` is NaN where masked."""
    clipped = np.clip(np.nan_to_num(residual), -CLIPPED, CLIPPED)
    pairs = [
        (clipped[1:] * clipped[:-1])[mask[1:] & mask[:-1]],
        (clipped[:, 1:] * clipped[:, :-1])[mask[:, 1:] & mask[:, :-1]],
    ]
    neighbours = np.concatenate(pairs)
    usable = counts[mask]
    largest = float(usable.max())
    return Traits(
        level=float(rate[mask].mean(dtype=np.float64)),
        noise=float((clipped[mask] ** 2).mean(dtype=np.float64) / expected_square(rate[mask]).mean()),
        structure=float(neighbours.mean(dtype=np.float64)) if len(neighbours) else 0.0,
        outliers=float(((np.abs(residual) > OUTLIER) & (np.abs(counts - rate) > OUTLIER_COUNTS))[mask].mean()),
        saturated=int((usable == largest).sum()),
        largest=largest,
        step=_step(usable[usable > 0].astype(np.int64)),
    )


def expected_square(rate: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean square of the clipped residual of Poisson counts with known rates; 1 where photons are many."""
    return np.asarray(np.interp(np.log10(np.maximum(rate, 1e-9)), *_expected_squares()))


@cache
def _expected_squares() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same at some logarithms of rates."""
    logarithms = np.linspace(-4, 2, 61)
    rates, counts = 10 ** logarithms[:, None], np.arange(200)
    squares = np.minimum((counts - rates) ** 2 / rates, CLIPPED**2)
    return logarithms, (squares * poisson.pmf(counts, rates)).sum(axis=1)


def differences(traits: Traits, limits: Limits) -> tuple[str, ...]:
    """Sentences about what the training did not hold; none for a frame like the simulated ones."""
    decade = _decade(traits.level)
    found = []
    if traits.level < LOWEST_LEVEL / 2:
        found.append(
            f"The mean rate is {traits.level:.2g} counts per pixel, below the trained range from {LOWEST_LEVEL}."
        )
    if traits.level > 10 * HIGHEST_LEVEL:
        found.append(
            f"The mean rate is {traits.level:.2g} counts per pixel, above the trained range to {HIGHEST_LEVEL:g}; "
            "the raw counts need no denoising."
        )
    if traits.step > 1:
        found.append(f"All counts are multiples of {traits.step}: these are no photons; give the gain {traits.step}.")
    if traits.noise > limits.noise_high[decade]:
        found.append(
            f"The noise is {traits.noise:.2g} times that of photon counts; are these photons, and is the gain right?"
        )
    if traits.noise < limits.noise_low[decade]:
        found.append(
            f"The noise is {traits.noise:.2g} times that of photon counts, less than counting allows; were the frames "
            "averaged, filtered or scaled?"
        )
    if traits.structure > limits.structure_high[decade]:
        found.append(
            f"What was removed is no noise: residuals of neighbouring pixels are correlated ({traits.structure:.2g})."
        )
    if traits.outliers > limits.outliers_high[decade]:
        found.append(
            f"{100 * traits.outliers:.2g} % of the pixels are spurious hits or hot; mask hot pixels before denoising."
        )
    if traits.saturated >= SATURATED_PIXELS and traits.largest >= SATURATED_COUNT:
        found.append(
            f"{traits.saturated} pixels hold the largest count {traits.largest:g}: they look saturated, and their rate "
            "is a lower limit; mask them."
        )
    return tuple(found)


def _step(counts: NDArray[np.int64]) -> int:
    return int(np.gcd.reduce(counts)) if len(counts) >= FEWEST_COUNTED else 1


def _decade(level: float) -> int:
    return int(np.clip(np.floor(np.log10(max(level, 1e-12))) - DECADES[0], 0, len(DECADES) - 1))
