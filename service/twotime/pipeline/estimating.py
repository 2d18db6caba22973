"""The estimate of one ROI: posteriors of its measured curve, as a whole and at constant age."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed.posterior import Estimates, Estimator
from cnn_ed.posterior.scans import FEWEST_FRAMES
from twotime.recipe import FitOptions
from twotime.xpcs.decay import DecayFits, fit_decay
from twotime.xpcs.onetime import AgeCuts


@dataclass(frozen=True)
class AgeFits:
    """Fits at constant age; ages in frames, one row each, rates in 1/s."""

    cuts: AgeCuts
    fits: DecayFits


@dataclass(frozen=True)
class Measured:
    """What an estimate reads.

    Attributes
    ----------
    n_frames, sound_frames, frame_time_s : of the scan; the second without those left out
    lag : (L,) frames
    g2 : (L,)
    covariance : (L, L), of g2 between lags
    contrast : from single frames, and its standard error
    """

    n_frames: int
    sound_frames: int
    frame_time_s: float
    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    covariance: NDArray[np.float64]
    contrast: tuple[float, float]

    @property
    def error(self) -> NDArray[np.float64]:
        """Standard error (L,) of g2."""
        return np.sqrt(np.diag(self.covariance))


def estimate_whole(measured: Measured, fits: DecayFits, options: FitOptions, estimator: Estimator) -> Estimates | None:
    """Posterior of the whole curve, rates in 1/s; None for scans that are too short.

    Parameters
    ----------
    measured : the curve
    fits : its least-squares fit with `options`, rates in 1/s
    """
    if measured.sound_frames < FEWEST_FRAMES:
        return None
    free = fits
    if not _all_free(options):
        g2, error = measured.g2[None], measured.error[None]
        free = fit_decay(measured.lag * measured.frame_time_s, g2, sigma=error, covariance=measured.covariance[None])
    return _estimate(measured, measured.g2[None], free, options, estimator, None, 1.0)


def estimate_ages(measured: Measured, ages: AgeFits, options: FitOptions, estimator: Estimator) -> Estimates | None:
    """Posteriors at constant ages, rates in 1/s; `ages` as they were fitted with `options`."""
    if measured.sound_frames < FEWEST_FRAMES:
        return None
    cuts = ages.cuts
    growth = np.divide(cuts.error, measured.error, out=np.full(cuts.error.shape, np.nan), where=measured.error > 0)
    free = ages.fits
    if not _all_free(options):
        free = fit_decay(
            cuts.lag * measured.frame_time_s, cuts.g2, sigma=cuts.error, covariance=measured.covariance, growth=growth
        )
    width = options.age_width or measured.n_frames / len(cuts.age)
    share = min(1.0, width / measured.n_frames)
    return _estimate(measured, cuts.g2, free, options, estimator, growth, share)


def _estimate(
    measured: Measured,
    g2: NDArray[np.float64],
    free: DecayFits,
    options: FitOptions,
    estimator: Estimator,
    growth: NDArray[np.float64] | None,
    share: float,
) -> Estimates:
    per_frame = free.in_unit(1 / measured.frame_time_s)
    rows = estimator.of_curves(
        measured.lag,
        g2,
        measured.covariance,
        per_frame,
        measured.n_frames,
        growth=growth,
        contrast=measured.contrast,
        share=share,
        fixed=_per_frame(options.fixed, measured.frame_time_s),
        bounds={
            name: tuple(_per_frame({name: end}, measured.frame_time_s)[name] for end in ends)  # type: ignore[misc]  # two
            for name, ends in options.bounds.items()
        },
    )
    return rows.in_unit(measured.frame_time_s)


def _all_free(options: FitOptions) -> bool:
    """Whether fits with these options are those on which the estimator rests."""
    return options.weighted and options.age_baseline == "own" and not options.fixed and not options.bounds


def _per_frame(values: Mapping[Any, float], frame_time_s: float) -> dict[str, float]:
    return {str(name): value * frame_time_s if name == "relaxation_rate" else value for name, value in values.items()}
