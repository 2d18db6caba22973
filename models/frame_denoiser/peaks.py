"""Peaks of denoised frames: found on the rate, counted on the raw counts."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import norm, poisson

from frame_denoiser.denoiser import DenoisedFrames

FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian, in its standard deviations."""

BLOCK = 4
"""Edge of the blocks of pixels whose medians make the background."""

BACKGROUND_BLOCKS = 11
"""Edge of the neighbourhood, blocks, whose median is the background."""

LARGEST_WIDTH = 40
"""Widest peak that is told from background, FWHM in pixels."""

APERTURE = 3.0
"""Radius in which the counts of a peak are summed, standard deviations of a Gaussian."""

CORE = 1.6
"""Radius in which its significance is judged, where a Gaussian stands out most from its background."""

CANDIDATES = 2000
"""Maxima that are looked at in one frame, the strongest first."""


@dataclass(frozen=True)
class Peak:
    """One peak of a frame.

    Attributes
    ----------
    row, column : position, pixels from the centre of the first one
    row_error, column_error : their standard errors, pixels
    width, width_error : full width at half maximum and its standard error, pixels
    counts, counts_error : raw counts above the local background, and their standard error from counting
    counts_denoised, counts_denoised_error : the same of the denoised frame
    significance : of the raw counts in the aperture against the background alone, in standard deviations
    """

    row: float
    row_error: float
    column: float
    column_error: float
    width: float
    width_error: float
    counts: float
    counts_error: float
    counts_denoised: float
    counts_denoised_error: float
    significance: float


def find_peaks(
    denoised: DenoisedFrames | tuple[NDArray[np.generic], NDArray[np.floating], NDArray[np.floating]],
    mask: NDArray[np.bool_] | None = None,
    *,
    significance: float = 5.0,
) -> list[Peak]:
    """Peaks of one frame, the most significant first.

    Parameters
    ----------
    denoised : one denoised frame, or its arrays (counts, rate, error), (H, W) each
    mask : (H, W), True where usable; None: all pixels
    significance : smallest one to return, standard deviations

    Returns
    -------
    list of Peak

    Raises
    ------
    ValueError
        If the arrays are not of one frame, or `significance` is not positive.

    Notes
    -----
    A candidate is a maximum of the rate above the median of the surrounding 44 pixels. Its width is that of the
    denoised peak at half height. Its counts are the raw counts within three standard deviations of a Gaussian of this
    width, less the background, which the raw counts in a ring around it tell. The significance is that of the raw
    counts in the core: the probability of at least so many, if there were background alone, as standard deviations of
    a normal distribution.
    """
    counts, rate, error = _arrays(denoised)
    if not significance > 0:
        raise ValueError(f"significance is {significance}, expected a positive number of standard deviations.")
    usable = np.ones(counts.shape, np.bool_) if mask is None else np.asarray(mask, np.bool_)
    if usable.shape != counts.shape:
        raise ValueError(f"mask has shape {usable.shape}, expected {counts.shape} as the frame.")
    excess = rate - _background(rate)
    taken = np.zeros(counts.shape, np.bool_)
    found = []
    for row, column in _maxima(excess, error, usable):
        if taken[row, column]:
            continue
        region = _above_half(excess, row, column)
        # A shoulder whose half height reaches into a stronger peak is no peak of its own.
        if region is None or taken[region].any():
            continue
        taken[region] = True
        peak = _measured(counts, rate, error, usable, excess, region)
        if peak is not None and peak.significance >= significance:
            found.append(peak)
    return sorted(found, key=lambda peak: -peak.significance)


def _arrays(
    denoised: DenoisedFrames | tuple[NDArray[np.generic], NDArray[np.floating], NDArray[np.floating]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    given = (denoised.counts, denoised.rate, denoised.error) if isinstance(denoised, DenoisedFrames) else denoised
    counts, rate, error = (np.asarray(array, np.float64) for array in given)
    if counts.ndim != 2 or rate.shape != counts.shape or error.shape != counts.shape:
        raise ValueError(
            f"denoised holds arrays of shapes {counts.shape}, {rate.shape}, {error.shape}, expected those of one frame."
        )
    return counts, np.nan_to_num(rate), np.nan_to_num(error)


def _background(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the surroundings, from medians of blocks, interpolated between their centres."""
    height, width = rate.shape
    padded = np.pad(rate, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK)
    medians = ndimage.median_filter(np.median(blocks, axis=(1, 3)), BACKGROUND_BLOCKS, mode="nearest")
    rows = (np.arange(height) - (BLOCK - 1) / 2) / BLOCK
    columns = (np.arange(width) - (BLOCK - 1) / 2) / BLOCK
    places = np.meshgrid(rows, columns, indexing="ij")
    smooth: NDArray[np.float64] = ndimage.map_coordinates(medians, places, order=1, mode="nearest")
    return smooth


def _maxima(
    excess: NDArray[np.float64], error: NDArray[np.float64], usable: NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Usable pixels that are the largest of their 5 x 5 neighbours and above the error of their rate."""
    highest = (excess == ndimage.maximum_filter(excess, 5)) & usable & (excess > error)
    rows, columns = np.nonzero(highest)
    order = np.argsort(-excess[rows, columns] / error[rows, columns])[:CANDIDATES]
    return [(int(row), int(column)) for row, column in zip(rows[order], columns[order], strict=True)]


def _above_half(excess: NDArray[np.float64], row: int, column: int) -> tuple[NDArray[np.intp], ...] | None:
    """Pixels around a maximum that are connected and above its half; None where they reach further than a peak."""
    reach = LARGEST_WIDTH
    top, left = max(0, row - reach), max(0, column - reach)
    part = excess[top : row + reach + 1, left : column + reach + 1]
    labels, _ = ndimage.label(part > excess[row, column] / 2)
    rows, columns = np.nonzero(labels == labels[row - top, column - left])
    if max(np.ptp(rows), np.ptp(columns)) > LARGEST_WIDTH:
        return None
    return rows + top, columns + left


def _measured(
    counts: NDArray[np.float64],
    rate: NDArray[np.float64],
    error: NDArray[np.float64],
    usable: NDArray[np.bool_],
    excess: NDArray[np.float64],
    region: tuple[NDArray[np.intp], ...],
) -> Peak | None:
    """Width from the denoised peak, position and counts from the raw pixels; None without usable surroundings."""
    weight = excess[region]
    row, column = (float(np.average(index, weights=weight)) for index in region)
    width = 2 * math.sqrt(len(weight) / math.pi)
    sigma = max(width / FWHM, 0.5)
    cut = _window(counts.shape, row, column, 5 * sigma + 6)
    raw, smooth, known = counts[cut], rate[cut], usable[cut]
    corner = (cut[0].start, cut[1].start)
    ring = _ring(raw.shape, row - corner[0], column - corner[1], sigma) & known
    if not ring.any():
        return None
    level, level_error = _level(raw[ring])
    filled = np.where(known, raw - level, smooth - smooth[ring].mean())
    row, column = _centred(filled, row - corner[0], column - corner[1], sigma)
    distance = _distance(raw.shape, row, column)
    aperture = distance <= APERTURE * sigma + 0.5
    inside, core = aperture & known, (distance <= CORE * sigma + 0.5) & known
    # What a gap hides is as large a part of the peak as in the denoised frame.
    surplus = np.maximum(smooth - smooth[ring].mean(), 0)
    whole = float(surplus[aperture].sum())
    seen = (float(surplus[inside].sum()) / whole if whole > 0 else 1.0) * (1 - math.exp(-0.5 * APERTURE**2))
    if seen < 0.3 or not core.any():
        return None
    total, pixels = float(raw[inside].sum()), int(inside.sum())
    found = (total - pixels * level) / seen
    found_error = math.sqrt(max(total, 1.0) + (pixels * level_error) ** 2) / seen
    place_error = _position_error(sigma, max(found, 1.0), level)
    return Peak(
        row=row + corner[0],
        row_error=place_error,
        column=column + corner[1],
        column_error=place_error,
        width=width,
        width_error=FWHM * place_error,
        counts=found,
        counts_error=found_error,
        counts_denoised=float((smooth - smooth[ring].mean())[aperture].sum()),
        counts_denoised_error=min(float(error[cut][aperture].sum()), found_error),
        significance=_significance(float(raw[core].sum()), int(core.sum()) * (level + level_error)),
    )


def _ring(shape: tuple[int, ...], row: float, column: float, sigma: float) -> NDArray[np.bool_]:
    """Pixels around a peak that hold background."""
    distance = _distance(shape, row, column)
    return (distance >= 3.5 * sigma + 1) & (distance <= 5 * sigma + 3)


def _distance(shape: tuple[int, ...], row: float, column: float) -> NDArray[np.float64]:
    return np.asarray(np.hypot(np.arange(shape[0])[:, None] - row, np.arange(shape[1])[None, :] - column))


def _centred(excess: NDArray[np.float64], row: float, column: float, sigma: float) -> tuple[float, float]:
    """Centroid under a Gaussian of the width of the peak that moves along (Bertin, SExtractor's windowed position).

    Stays within one width of the start, so that noise does not carry it to another peak.
    """
    rows, columns = np.arange(excess.shape[0])[:, None], np.arange(excess.shape[1])[None, :]
    start = np.array([row, column])
    place = start.copy()
    for _ in range(10):
        weight = np.exp(-0.5 * (_distance(excess.shape, place[0], place[1]) / sigma) ** 2) * excess
        total = weight.sum()
        if total <= 0:
            return row, column
        # Peak and weight are alike, so the centroid moves half of the way.
        step = 2 * np.array([(weight * (rows - place[0])).sum(), (weight * (columns - place[1])).sum()]) / total
        place = np.clip(place + step, start - 2 * sigma, start + 2 * sigma)
        if np.abs(step).max() < 1e-3:
            break
    return float(place[0]), float(place[1])


def _window(shape: tuple[int, ...], row: float, column: float, reach: float) -> tuple[slice, slice]:
    first, second = (
        slice(max(0, int(place - reach)), min(length, int(place + reach) + 2))
        for place, length in zip((row, column), shape, strict=True)
    )
    return first, second


def _level(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Mean counts per pixel of the surroundings and their standard error."""
    return float(counts.mean()), math.sqrt(max(counts.sum(), 1.0)) / len(counts)


def _position_error(sigma: float, counts: float, level: float) -> float:
    """Standard error of the centroid of a Gaussian, pixels (Thompson 2002, Eq. 17)."""
    variance = sigma**2 + 1 / 12
    return math.sqrt(variance / counts * (1 + 8 * math.pi * sigma**2 * level / counts))


def _significance(count: float, expected: float) -> float:
    """Standard deviations of a normal distribution that are as improbable as at least `count` from `expected`."""
    logarithm = float(poisson.logsf(count - 1, expected)) if count > 0 else 0.0
    if logarithm > -600:
        return float(norm.isf(math.exp(logarithm)))
    # Deviance beyond what the tail can be computed for.
    return math.sqrt(2 * (count * math.log(count / expected) - count + expected))
