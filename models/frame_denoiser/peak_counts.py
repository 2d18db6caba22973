"""Whether counts, positions and widths of found peaks are right, and how many peaks are found where there are none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.peaks import Peak, find_peaks
from frame_denoiser.simulation import SimulatedPeak, counts_for, peak_image

EDGE = 128
"""Pixels of a simulated frame; one peak near its middle."""


@dataclass(frozen=True)
class PeakQuality:
    """Peaks of one significance on flat backgrounds of 0.01 to 10 photons per pixel, FWHM 2.5 to 12 pixels.

    Attributes
    ----------
    significance : counts over the noise of a matched filter
    found : fraction that `find_peaks` returns
    counts_bias, counts_denoised_bias : median of counts over truth, minus 1, of raw and denoised counts
    counts_bias_error : standard error of the first
    within : fraction of raw counts within their error of the truth; 0.68 is right
    position_within : the same of the row
    width_bias : median of width over truth, minus 1
    """

    significance: float
    found: float
    counts_bias: float
    counts_bias_error: float
    counts_denoised_bias: float
    within: float
    position_within: float
    width_bias: float


def evaluate_peaks(
    denoiser: FrameDenoiser,
    seed: int,
    frames: int,
    significances: tuple[float, ...] = (5.0, 8.0, 15.0, 40.0),
    progress: Callable[[float], None] | None = None,
) -> list[PeakQuality]:
    """Quality of peaks, by their significance, from so many frames each."""
    found = []
    for number, significance in enumerate(significances):
        rng = np.random.default_rng([seed, number, 5])
        pairs = [_one(denoiser, rng, significance) for _ in range(frames)]
        found.append(_quality(significance, pairs))
        if progress is not None:
            progress((number + 1) / len(significances))
    return found


def false_peaks(denoiser: FrameDenoiser, seed: int, frames: int, significance: float = 5.0) -> float:
    """Peaks for each million pixels of flat frames that hold none, at 0.01 to 10 photons per pixel."""
    rng = np.random.default_rng([seed, 6])
    found = 0
    for _ in range(frames):
        level = 10 ** rng.uniform(-2, 1)
        denoised = denoiser.denoise(rng.poisson(level, (2 * EDGE, 2 * EDGE)))
        found += len(find_peaks(denoised, significance=significance))
    return found * 1e6 / (frames * (2 * EDGE) ** 2)


def _one(denoiser: FrameDenoiser, rng: np.random.Generator, significance: float) -> tuple[SimulatedPeak, Peak | None]:
    level, width = 10 ** rng.uniform(-2, 1), float(np.exp(rng.uniform(np.log(2.5), np.log(12))))
    row, column = EDGE / 2 + rng.uniform(-10, 10, 2)
    sigma = width / 2.3548
    counts = counts_for(significance, level, sigma)
    rate = level + counts * peak_image((EDGE, EDGE), row, column, (sigma, sigma), 0.0)
    peaks = find_peaks(denoiser.denoise(rng.poisson(rate)))
    near = [peak for peak in peaks if np.hypot(peak.row - row, peak.column - column) < width]
    return SimulatedPeak(row, column, width, counts), near[0] if near else None


def _quality(significance: float, pairs: list[tuple[SimulatedPeak, Peak | None]]) -> PeakQuality:
    both = [(truth, peak) for truth, peak in pairs if peak is not None]
    if not both:
        return PeakQuality(significance, 0.0, *([np.nan] * 6))
    raw = np.array([peak.counts / truth.counts - 1 for truth, peak in both])
    denoised = np.array([peak.counts_denoised / truth.counts - 1 for truth, peak in both])
    pull = np.array([(peak.counts - truth.counts) / peak.counts_error for truth, peak in both])
    place = np.array([(peak.row - truth.row) / peak.row_error for truth, peak in both])
    width = np.array([peak.width / truth.width - 1 for truth, peak in both])
    return PeakQuality(
        significance,
        len(both) / len(pairs),
        float(np.median(raw)),
        # Of a median, 1.25 times that of a mean.
        float(1.2533 * raw.std() / np.sqrt(len(raw))),
        float(np.median(denoised)),
        float(np.mean(np.abs(pull) < 1)),
        float(np.mean(np.abs(place) < 1)),
        float(np.median(width)),
    )
