"""Whether the counts of regions are kept and their errors right, on simulated frames."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.regions import region_counts
from frame_denoiser.simulation import simulate_frame

EDGE = 128
"""Pixels of a frame."""

REGIONS = 6
"""Regions of each radius in a frame, at random."""

DECADES = ((-3.0, -1.0), (-1.0, 1.0), (1.0, 3.0))
"""Ranges of log10 of the photons per pixel of the background."""


@dataclass(frozen=True)
class RegionQuality:
    """Discs of one radius in frames of some levels.

    Attributes
    ----------
    radius : pixels
    lowest, highest : photons per pixel of the background
    within_one, within_two : fraction of denoised sums within one and 1.96 of their errors of the truth
    raw_within_one : the same of the raw sums, over usable pixels
    exposure : median square of raw over denoised deviations from the truth
    """

    radius: int
    lowest: float
    highest: float
    within_one: float
    within_two: float
    raw_within_one: float
    exposure: float


def evaluate_regions(
    denoiser: FrameDenoiser,
    seed: int,
    frames: int,
    radii: tuple[int, ...] = (2, 6, 20),
    progress: Callable[[float], None] | None = None,
) -> list[RegionQuality]:
    """Quality of sums over discs, from so many frames of each range of levels."""
    found = []
    for number, (lowest, highest) in enumerate(DECADES):
        rows: dict[int, list[tuple[float, float, float]]] = {radius: [] for radius in radii}
        for one in range(frames):
            rng = np.random.default_rng([seed, number, one, 8])
            for radius, row in _of_frame(denoiser, rng, 10 ** rng.uniform(lowest, highest), radii):
                rows[radius].append(row)
            if progress is not None:
                progress((number + (one + 1) / frames) / len(DECADES))
        for radius, own in rows.items():
            denoised, raw, ratio = np.array(own).T
            found.append(
                RegionQuality(
                    radius,
                    10**lowest,
                    10**highest,
                    float(np.mean(denoised < 1)),
                    float(np.mean(denoised < 1.96)),
                    float(np.mean(raw < 1)),
                    float(np.median(ratio)),
                )
            )
    return found


def _of_frame(
    denoiser: FrameDenoiser, rng: np.random.Generator, level: float, radii: tuple[int, ...]
) -> list[tuple[int, tuple[float, float, float]]]:
    """Of discs in one frame: deviations of denoised and raw sums in their errors, and the ratio of their squares."""
    frame = simulate_frame(rng, (EDGE, EDGE), level)
    denoised = denoiser.denoise(frame.counts, frame.mask)
    rows, columns = np.ogrid[:EDGE, :EDGE]
    found = []
    for radius in radii:
        for _ in range(REGIONS):
            row, column = rng.uniform(radius, EDGE - radius, 2)
            region = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            known = region & frame.mask
            if not known.any():
                continue
            sums = region_counts(frame.counts, denoised, region, frame.mask)
            off, raw_off = abs(sums.denoised - frame.rate[region].sum()), abs(sums.raw - frame.rate[known].sum())
            # A raw sum that meets the truth by chance must not divide by zero.
            ratio = (raw_off / max(off, 1e-9 * sums.raw_error)) ** 2
            found.append((radius, (off / sums.denoised_error, raw_off / sums.raw_error, ratio)))
    return found
