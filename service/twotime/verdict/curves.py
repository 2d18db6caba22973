"""What the measured one-time curves show before any fit: is there contrast, does it decay, does it oscillate?"""

from dataclasses import dataclass

import numpy as np

from twotime.verdict.evidence import Evidence
from twotime.verdict.statements import Quantity, Statement

FAINTEST = 4.5
"""Standard errors by which g2 - 1 at the first lags must exceed 0; noise alone does so less than once in 10⁵."""
FIRST, LAST = 3, (0.6, 0.95)
"""Lags whose mean is the start of a curve, and the part of its lags whose mean is its end."""
STILL = 0.25
"""A curve whose fall is below this share of its start, at 95 %, and not above 2 errors, does not decay."""
LOST = 0.5
"""Share of the contrast within a frame that must be left at the first lag, or the decay is faster than the frames."""
MOST_LAGS, FEWEST_LAGS = 160, 24
FEWEST_PERIODS = 3.0
DEEP = 0.1
"""Amplitude of an oscillation, as a share of the contrast, below which it is not told from noise that is correlated."""
CLEAR = 60.0
"""Fall of χ² by two more parameters from which an oscillation is believed."""
_DAMPING = (0.06, 0.15, 0.4, 3.0)
"""Times of damping that are tried, as shares of the lags that are looked at."""
_SMOOTH = 7
"""Coefficients of the smooth curve below an oscillation."""


@dataclass(frozen=True)
class Shape:
    """The measured curve of one ROI.

    Attributes
    ----------
    roi : its number
    start, start_error : mean of g2 - 1 over the first three lags
    fall, fall_error : what of it is gone at the last lags, as a share
    contrast, contrast_error : within single frames
    """

    roi: int
    start: float
    start_error: float
    fall: float
    fall_error: float
    contrast: float
    contrast_error: float

    @property
    def lit(self) -> bool:
        """Whether g2 exceeds 1 beyond noise."""
        return self.start > FAINTEST * self.start_error

    @property
    def fast(self) -> bool:
        """Whether most of the contrast is gone at the first lag, beyond its errors."""
        error = float(np.hypot(self.contrast_error, self.start_error))
        clear = self.contrast > FAINTEST * self.contrast_error
        return clear and self.start < LOST * self.contrast and self.contrast - self.start > FAINTEST * error

    @property
    def still(self) -> bool:
        """Whether there is contrast that does not decay."""
        unchanged = self.fall < 2 * self.fall_error and self.fall + 2 * self.fall_error < STILL
        return self.lit and not self.fast and unchanged


def shapes(evidence: Evidence) -> list[Shape]:
    """Start, fall and contrast of each ROI's measured curve.

    Notes
    -----
    Errors of neighbouring lags are taken as independent within the three first ones, and as common to all of the last
    ones: the error of the fall is then too large rather than too small.
    """
    contrast, contrast_error = evidence.column("contrast"), evidence.column("contrast_error")
    return [_shape(evidence, roi, float(contrast[k]), float(contrast_error[k])) for k, roi in enumerate(evidence.rois)]


def _shape(evidence: Evidence, roi: int, contrast: float, contrast_error: float) -> Shape:
    _, g2, error = evidence.curve(roi)
    if len(g2) < 2 * FIRST:
        return Shape(roi, np.nan, np.nan, np.nan, np.nan, contrast, contrast_error)
    start = float(g2[:FIRST].mean()) - 1
    start_error = float(np.sqrt((error[:FIRST] ** 2).sum()) / FIRST)
    late = slice(int(LAST[0] * len(g2)), max(int(LAST[1] * len(g2)), int(LAST[0] * len(g2)) + 1))
    end, end_error = float(g2[late].mean()) - 1, float(error[late].mean())
    scale = start if start > 0 else np.nan
    fall_error = float(np.hypot(start_error * end / scale, end_error)) / scale
    return Shape(roi, start, start_error, 1 - end / scale, fall_error, contrast, contrast_error)


def few_photons(evidence: Evidence, found: list[Shape]) -> list[Statement]:
    """ROIs whose g2 does not exceed 1 beyond noise at the first lags, though no faster decay explains it.

    Said where g2 - 1, averaged over the first three lags, is below 4.5 of its errors. The values are the contrast seen
    there (its weighted mean) and the photons per pixel and frame.
    """
    dim = [one for one in found if not one.lit and not one.fast]
    if not dim:
        return []
    own = np.array([one.roi for one in dim])
    place = np.isin(evidence.rois, own)
    weight = np.array([1 / one.start_error**2 for one in dim])
    start = np.array([one.start for one in dim])
    known = np.isfinite(weight) & np.isfinite(start)
    mean = float((weight[known] * start[known]).sum() / weight[known].sum()) if known.any() else np.nan
    error = float(1 / np.sqrt(weight[known].sum())) if known.any() else np.nan
    pixels, counts = evidence.column("n_pixels")[place], evidence.column("mean_counts")[place]
    photons = float((pixels * counts).sum() / pixels.sum())
    counted = float(np.sqrt(photons / (pixels.sum() * max(1, np.count_nonzero(~evidence.bad)))))
    values = {"contrast": Quantity(mean, error), "photons": Quantity(photons, counted, "counts")}
    return [Statement("few_photons", "mind", values, tuple(one.roi for one in dim), "g2")]


def too_fast(evidence: Evidence, found: list[Shape]) -> list[Statement]:
    """ROIs in which half of the contrast within single frames, or more, is gone at the first lag.

    Where a rate is trusted all the same, enough of the decay was seen.
    """
    trusted = set(evidence.fits.loc[np.asarray(evidence.fits["trusted"], bool), "roi"])
    fast = [one for one in found if one.fast and one.roi not in trusted]
    if not fast:
        return []
    left, error = _mean([one.start / one.contrast for one in fast], [_left_error(one) for one in fast])
    values = {"left": Quantity(left, error), "lag": Quantity(evidence.frame_time_s, 0.0, "s")}
    return [Statement("too_fast", "mind", values, tuple(one.roi for one in fast), "g2")]


def static(evidence: Evidence, found: list[Shape]) -> list[Statement]:
    """ROIs whose contrast is there and does not decay within the scan.

    Said where the fall from the first three to the last third of the lags is below two of its errors and, with two
    errors more, below a quarter of the start.
    """
    still = [one for one in found if one.still]
    if not still:
        return []
    fall, error = _mean([one.fall for one in still], [one.fall_error for one in still])
    values = {"fall": Quantity(fall, error), "within": Quantity(evidence.duration_s * LAST[1] * 0.75, 0.0, "s")}
    return [Statement("static", "note", values, tuple(one.roi for one in still), "g2")]


def oscillating(evidence: Evidence, found: list[Shape]) -> list[Statement]:
    """ROIs whose measured curve oscillates, with the frequency that most of them have.

    At most 160 evenly spaced lags are looked at. A smooth curve (seven polynomials of the logarithm of the lag) is
    compared with one plus a damped cosine of any period that fits three times; errors grow with the root of the better
    one's χ² where that exceeds 1. An oscillation is believed where χ² falls by more than 60 and its amplitude exceeds
    a tenth of the contrast, which noise common to neighbouring lags does not.
    """
    waves = [(one, wave) for one in found if one.lit and (wave := _wave(evidence, one)) is not None]
    if not waves:
        return []
    periods = np.array([wave[0] for _, wave in waves])
    own = np.abs(periods / np.median(periods) - 1) < 0.15
    period = float(np.median(periods[own]))
    spread = float(max(periods[own].std(), 0.5 * period * _RESOLUTION) / np.sqrt(np.count_nonzero(own)))
    depth, error = _mean(
        [wave[1] / one.start for (one, wave), use in zip(waves, own, strict=True) if use],
        [wave[2] / one.start for (one, wave), use in zip(waves, own, strict=True) if use],
    )
    period_s = period * evidence.frame_time_s
    values = {
        "frequency": Quantity(1 / period_s, spread / period / period_s, "Hz"),
        "depth": Quantity(depth, error),
    }
    rois = tuple(one.roi for (one, _), use in zip(waves, own, strict=True) if use)
    return [Statement("oscillating", "mind", values, rois, "g2")]


_RESOLUTION = 0.04
"""Relative distance between the periods that are tried."""


def _wave(evidence: Evidence, shape: Shape) -> tuple[float, float, float] | None:
    """Period in frames, amplitude and its error of the best oscillation of a curve, or None."""
    lag, g2, error = evidence.curve(shape.roi)
    even = int(np.argmax(np.append(np.diff(lag) != 1, True))) + 1
    number = min(even, MOST_LAGS)
    if number < FEWEST_LAGS:
        return None
    lag, g2, error = lag[:number], g2[:number], error[:number]
    smooth = np.polynomial.chebyshev.chebvander(2 * np.log(lag) / np.log(number) - 1, _SMOOTH - 1) / error[:, None]
    basis, _ = np.linalg.qr(smooth)
    data = g2 / error
    rest = data - basis @ (basis.T @ data)
    best = (0.0, np.nan, np.nan, np.nan)
    for period in np.geomspace(2.0, number / FEWEST_PERIODS, int(np.log(number / FEWEST_PERIODS / 2) / _RESOLUTION)):
        for damping in _DAMPING:
            if damping * number < period:
                continue
            envelope = np.exp(-lag / (damping * number)) / error
            waves = np.stack([envelope * np.cos(2 * np.pi * lag / period), envelope * np.sin(2 * np.pi * lag / period)])
            waves = waves.T - basis @ (basis.T @ waves.T)
            normal = waves.T @ waves
            if np.linalg.cond(normal) > 1e6:
                continue
            amplitude = np.linalg.solve(normal, waves.T @ rest)
            gain = float(amplitude @ normal @ amplitude)
            if gain > best[0]:
                size = float(np.linalg.norm(amplitude))
                best = (gain, float(period), size, float(np.sqrt(np.trace(np.linalg.inv(normal)) / 2)))
    gain, period, size, size_error = best
    left = (float(rest @ rest) - gain) / max(number - _SMOOTH - 2, 1)
    growth = max(1.0, left)
    if gain / growth < CLEAR or size < DEEP * shape.start:
        return None
    return period, size, size_error * float(np.sqrt(growth))


def _left_error(one: Shape) -> float:
    return float(np.hypot(one.start_error, one.start / one.contrast * one.contrast_error)) / one.contrast


def _mean(values: list[float], errors: list[float]) -> tuple[float, float]:
    """Weighted mean and its error, grown by the scatter where that is larger than the errors say."""
    value, weight = np.array(values), 1 / np.array(errors) ** 2
    mean = float((weight * value).sum() / weight.sum())
    chi2 = float((weight * (value - mean) ** 2).sum() / max(len(value) - 1, 1))
    return mean, float(np.sqrt(max(1.0, chi2) / weight.sum()))
