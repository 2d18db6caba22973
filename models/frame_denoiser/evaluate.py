"""How good rates and errors are: on simulated frames whose truth is known, beside the rivals at their best."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from frame_denoiser.denoiser import FrameDenoiser
from frame_denoiser.rivals import RIVALS, Rival
from frame_denoiser.similarity import ms_ssim
from frame_denoiser.simulation import SimulatedFrame, simulate_frame

Image = NDArray[np.float64]

LEVELS = (0.003, 0.03, 0.3, 3.0, 30.0, 300.0)
"""Photons per pixel of the background of the frames."""

EDGE = 160
"""Pixels of a simulated frame."""


@dataclass(frozen=True)
class Quality:
    """How near a method comes to the true rates of frames of one level; medians over frames.

    Attributes
    ----------
    relative_error : median over pixels of |rate - truth| / truth
    exposure : multiple of the exposure whose raw counts come as near to the truth, by the mean of
        (rate - truth)² / truth, which is 1 for raw counts
    psnr : dB, of square roots of rates against the largest of the truth
    ms_ssim : multi-scale structural similarity of square roots, 1 where they are the same; masked pixels are taken as
        right
    """

    relative_error: float
    exposure: float
    psnr: float
    ms_ssim: float


@dataclass(frozen=True)
class Coverage:
    """How often the truth lies within the error bar.

    Attributes
    ----------
    one, two : fraction of usable pixels within one error, and within 1.96 errors; 0.68 and 0.95 are right
    peak_one, peak_two : the same within one width of a peak of at least five standard deviations
    """

    one: float
    two: float
    peak_one: float
    peak_two: float


def evaluate_rates(
    denoiser: FrameDenoiser,
    seed: int,
    frames: int,
    progress: Callable[[float], None] | None = None,
    rivals: Sequence[Rival] = RIVALS,
) -> dict[float, tuple[dict[str, Quality], Coverage]]:
    """Quality of all methods, and coverage of the denoiser, by level.

    Parameters
    ----------
    denoiser : what is measured
    seed : of the frames; not that of the training
    frames : to simulate for each level
    progress : told the fraction done
    rivals : methods to compare with
    """
    found = {}
    for number, level in enumerate(LEVELS):
        drawn = [
            simulate_frame(np.random.default_rng([seed, number, one, 2]), (EDGE, EDGE), level) for one in range(frames)
        ]
        denoised = [denoiser.denoise(frame.counts, frame.mask) for frame in drawn]
        quality = {"raw counts": _quality(drawn, [frame.counts for frame in drawn])}
        for rival in rivals:
            quality[rival.name] = _best_of(rival, drawn)
        quality["denoised"] = _quality(drawn, [one.rate.astype(float) for one in denoised])
        errors = [one.error.astype(float) for one in denoised]
        found[level] = (quality, coverage_of(drawn, [one.rate for one in denoised], errors))
        if progress is not None:
            progress((number + 1) / len(LEVELS))
    return found


def coverage_of(frames: list[SimulatedFrame], rates: list[NDArray[np.float32]], errors: list[Image]) -> Coverage:
    """Coverage over all pixels of some frames, and over those near peaks."""
    deviations, near = [], []
    for frame, rate, error in zip(frames, rates, errors, strict=True):
        deviations.append((np.abs(frame.rate - rate) / error)[frame.mask])
        near.append(near_peaks(frame)[frame.mask])
    deviation, at_peak = np.concatenate(deviations), np.concatenate(near)
    on_peaks = deviation[at_peak]
    return Coverage(
        float((deviation < 1).mean()),
        float((deviation < 1.96).mean()),
        float((on_peaks < 1).mean()) if len(on_peaks) else np.nan,
        float((on_peaks < 1.96).mean()) if len(on_peaks) else np.nan,
    )


def near_peaks(frame: SimulatedFrame) -> NDArray[np.bool_]:
    """Pixels (H, W) within one width of a peak that stands five standard deviations above its surroundings."""
    rows, columns = np.ogrid[: frame.rate.shape[0], : frame.rate.shape[1]]
    near = np.zeros(frame.rate.shape, np.bool_)
    for peak in frame.peaks:
        inside = (rows - peak.row) ** 2 + (columns - peak.column) ** 2 < max(peak.width, 1.5) ** 2
        if inside.any() and peak.counts > 5 * np.sqrt(frame.rate[inside].sum()):
            near |= inside
    return near


def document(found: dict[float, tuple[dict[str, Quality], Coverage]]) -> list[dict[str, object]]:
    """The same for a file."""
    return [
        {"level": level, "methods": {name: asdict(one) for name, one in quality.items()}, "coverage": asdict(coverage)}
        for level, (quality, coverage) in found.items()
    ]


def _best_of(rival: Rival, frames: list[SimulatedFrame]) -> Quality:
    """Each number at the strength that is best for it on these very frames, which flatters the rivals."""
    found = [
        _quality(frames, [rival.apply(frame.counts, frame.mask, strength) for frame in frames])
        for strength in rival.strengths
    ]
    return Quality(
        min(one.relative_error for one in found),
        *(max(getattr(one, name) for one in found) for name in ("exposure", "psnr", "ms_ssim")),
    )


def _quality(frames: list[SimulatedFrame], rates: list[Image]) -> Quality:
    relative, noise, psnr, similar = [], [], [], []
    for frame, rate in zip(frames, rates, strict=True):
        truth, own = frame.rate[frame.mask], rate[frame.mask]
        relative.append(np.median(np.abs(own - truth) / truth))
        noise.append(np.mean((own - truth) ** 2 / truth))
        psnr.append(10 * np.log10(truth.max() / np.mean((np.sqrt(own) - np.sqrt(truth)) ** 2)))
        similar.append(_similarity(frame, rate))
    return Quality(
        float(np.median(relative)), float(1 / np.median(noise)), float(np.median(psnr)), float(np.median(similar))
    )


def _similarity(frame: SimulatedFrame, rate: Image) -> float:
    truth = np.sqrt(frame.rate)
    own = np.where(frame.mask, np.sqrt(np.maximum(rate, 0)), truth)
    images = [torch.from_numpy(image / truth.max())[None, None] for image in (own, truth)]
    return float(ms_ssim(images[0], images[1]))
