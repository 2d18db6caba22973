"""One ROI: from its pixel matrix to fitted dynamics, measured and denoised."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed import DenoisedTwoTime, Ensemble
from cnn_ed.consistency import consistent
from cnn_ed.ensemble import KnownWindows
from cnn_ed.posterior import Estimates
from cnn_ed.uncertainty import relative_errors
from twotime.pipeline.certainty import measured_curve
from twotime.pipeline.estimating import AgeFits, Measured, estimate_ages, estimate_whole
from twotime.recipe import DECAY_PARAMETERS, DenoiseOptions, FitOptions
from twotime.xpcs.contrast import contrast_from_counts
from twotime.xpcs.correlate import two_time, two_time_route
from twotime.xpcs.decay import DecayFits, fit_decay
from twotime.xpcs.excursions import find_excursions
from twotime.xpcs.multitau import MultiTau, multi_tau
from twotime.xpcs.onetime import AgeCuts, age_cuts, one_time, one_time_covariance, pixel_covariance
from twotime.xpcs.variants import Variant, VariantFit, fit_variant

LONGEST_LAG = 0.75
"""Share of the frames up to which lags are fitted: beyond it too few pairs remain for an honest error."""
MOST_LAGS = 400
DENSE_LAGS = 100


@dataclass(frozen=True)
class Curve:
    """A one-time correlation function with its error and fit.

    Attributes
    ----------
    lag : (L,) frames
    g2, error : (L,)
    covariance : (L, L), of g2 between lags
    fits : one row, rates in 1/s
    """

    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    error: NDArray[np.float64]
    covariance: NDArray[np.float64]
    fits: DecayFits


@dataclass(frozen=True)
class RoiResult:
    """What one ROI yields; the denoised parts are None where denoising was off or impossible.

    The estimates are None where a scan has fewer frames than the shortest that the estimator knows.
    """

    c2: NDArray[np.float32]
    excursions: NDArray[np.bool_]
    """(N,), frames that were left out because beam or detector had moved."""
    contrast: float
    contrast_error: float
    route: str
    multi_tau: MultiTau
    raw: Curve
    raw_variants: tuple[tuple[str, VariantFit], ...]
    raw_ages: AgeFits | None
    denoised_c2: DenoisedTwoTime | None
    denoised: Curve | None
    denoised_ages: AgeFits | None
    refusal: str
    """Why the denoised fit is not to be trusted; empty where it is."""
    estimates: Estimates | None
    """One row, the posterior given the measured curve; rates in 1/s."""
    estimates_age: Estimates | None
    """The same at the ages of `raw_ages`."""


def analyse_roi(
    pixels: NDArray[Any],
    bad: NDArray[np.bool_],
    frame_time_s: float,
    denoise: DenoiseOptions,
    fit: FitOptions,
    ensemble: Ensemble,
    *,
    flat: NDArray[np.float64] | None = None,
    flux: NDArray[np.float64] | None = None,
    c2: NDArray[np.float32] | None = None,
    known: KnownWindows | None = None,
    doubtful: NDArray[np.bool_] | None = None,
    excursions: NDArray[np.bool_] | None = None,
) -> RoiResult:
    """Correlate, denoise and fit one ROI.

    Parameters
    ----------
    pixels : (N, P) array, counts
    bad : (N,) array, True where a frame is left out
    frame_time_s : time between two rows of `pixels`, s
    flat : (P,) static image by which counts are divided; None: nothing
    flux : (N,) incident flux in place of the frames' own means; None: these
    c2 : (N, N) two-time correlation function where it is known already
    known : windows of a shorter one that were denoised before, see `Ensemble.denoise`
    doubtful : (N,) array, True where a frame may be left out as part of an excursion; None: none may
    excursions : (N,) array, those of `c2` where they were found before, to be left out; None: look for them
    """
    if c2 is None:
        c2 = two_time(pixels, bad=bad, flat=flat, flux=flux)
    if excursions is None:
        excursions = np.zeros(len(c2), bool) if doubtful is None else find_excursions(c2) & doubtful
    if excursions.any():
        bad = bad | excursions
        c2 = c2.copy()
        c2[excursions] = c2[:, excursions] = np.nan
    contrast, contrast_error = contrast_from_counts(pixels[~bad])
    relative = pixels if flat is None else (pixels / flat).astype(np.float32)
    raw = _raw_curve(c2, relative, bad, frame_time_s, fit)
    refusal = _cannot_denoise(len(c2), denoise, ensemble)
    denoised_c2 = None if refusal else _denoise(c2, raw, frame_time_s, denoise, ensemble, known)
    denoised = None if denoised_c2 is None else _denoised_curve(denoised_c2, frame_time_s, fit, ensemble)
    raw_ages = _age_fits(c2, raw, fit, frame_time_s)
    measured = Measured(
        len(c2), int((~bad).sum()), frame_time_s, raw.lag, raw.g2, raw.covariance, (contrast, contrast_error)
    )
    estimates = estimate_whole(measured, raw.fits, fit, ensemble.estimator)
    estimates_age = None if raw_ages is None else estimate_ages(measured, raw_ages, fit, ensemble.estimator)
    # Errors of denoised fits were calibrated on what the models say: the curve and its ages stay theirs.
    denoised_ages = _denoised_age_fits(denoised_c2, denoised, fit, frame_time_s, ensemble)
    if denoised_c2 is not None and denoised is not None:
        refusal = _distrust(denoised_c2, denoised)
        if known is None:  # A scan that still runs shows the band of the models.
            denoised_c2 = _consistent(denoised_c2, raw, pixels[~bad], frame_time_s)
    return RoiResult(
        c2=c2,
        excursions=excursions,
        contrast=contrast,
        contrast_error=contrast_error,
        route=two_time_route(pixels, flat=flat),
        multi_tau=multi_tau(pixels, bad=bad, flat=flat),
        raw=raw,
        raw_variants=tuple((kind, _variant(kind, raw, frame_time_s, fit)) for kind in fit.variants),
        raw_ages=raw_ages,
        denoised_c2=denoised_c2,
        denoised=denoised,
        denoised_ages=denoised_ages,
        refusal=refusal,
        estimates=estimates,
        estimates_age=estimates_age,
    )


def warm_up(ensemble: Ensemble) -> None:
    """Compile and load, on next to no data, what the first ROI of a process would wait for: some 15 s of a core."""
    counts = np.random.default_rng(1).poisson(1.0, (ensemble.window + 10, 20)).astype(np.uint8)
    analyse_roi(counts, np.zeros(len(counts), bool), 1.0, DenoiseOptions(), FitOptions(), ensemble)


def _raw_curve(
    c2: NDArray[np.float32], pixels: NDArray[Any], bad: NDArray[np.bool_], frame_time_s: float, fit: FitOptions
) -> Curve:
    """Fit of the measured curve; its error is the scatter over the pixels of the ROI."""
    longest = min(max(4, int(LONGEST_LAG * len(c2))), len(c2) - 1)
    lag = fitted_lags(longest)
    g2 = one_time(c2, max_lag=longest).g2[lag - 1]
    covariance = pixel_covariance(pixels, lag, bad=bad)
    error = np.sqrt(np.diag(covariance))
    return Curve(lag, g2, error, covariance, _fit(lag, g2, error, covariance, frame_time_s, fit))


def fitted_lags(longest: int) -> NDArray[np.int64]:
    """Lags at which curves are shown and fitted: all of them, or in long scans ever wider steps beyond the first 100.

    Examples
    --------
    >>> len(fitted_lags(300)), len(fitted_lags(15_000)), int(fitted_lags(15_000)[-1])
    (300, 400, 15000)
    """
    if longest <= MOST_LAGS:
        return np.arange(1, longest + 1)
    wide = np.rint(np.geomspace(DENSE_LAGS, longest, MOST_LAGS - DENSE_LAGS + 1)).astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, DENSE_LAGS + 1), wide]))


def _denoise(
    c2: NDArray[np.float32],
    raw: Curve,
    frame_time_s: float,
    denoise: DenoiseOptions,
    ensemble: Ensemble,
    known: KnownWindows | None,
) -> DenoisedTwoTime:
    rate = float(raw.fits.relaxation_rate[0]) * frame_time_s
    guess = rate if np.isfinite(rate) and rate > 0 else None
    stride = ensemble.stride(len(c2), guess) if denoise.stride == "auto" else denoise.stride
    reusable = known if denoise.contrast != "global" and stride == 1 else None
    return ensemble.denoise(
        c2,
        contrast=denoise.contrast,
        # Of a scan that still runs the band is shown: it needs only the new windows.
        whole=known is None,
        stride=stride,
        rate_per_frame=guess,
        known=reusable,
    )


def _consistent(
    denoised: DenoisedTwoTime, raw: Curve, sound_pixels: NDArray[Any], frame_time_s: float
) -> DenoisedTwoTime:
    """Moved to the measured curve where that is certain."""
    per_frame = raw.fits.in_unit(1 / frame_time_s)
    measured = measured_curve(raw.lag, raw.g2, raw.covariance, per_frame, sound_pixels, len(denoised.values))
    values, spread = consistent(denoised.values, denoised.spread, denoised.scale, measured)
    return replace(denoised, values=values, spread=spread)


def _denoised_curve(denoised: DenoisedTwoTime, frame_time_s: float, fit: FitOptions, ensemble: Ensemble) -> Curve:
    """Unweighted fit of the denoised curve, as the models' errors were calibrated.

    The curve's own error joins scatter over ages and disagreement of the models.
    """
    c2 = np.where(denoised.mask, denoised.values, np.nan)
    disagreement = np.cov(denoised.g2_members, rowvar=False)
    covariance = one_time_covariance(c2, denoised.lag) + disagreement
    g2 = np.asarray(denoised.g2, float)
    fits = _fit(denoised.lag, g2, None, disagreement, frame_time_s, fit)
    calibrated = _calibrated(fits, denoised, frame_time_s, denoised.windows, ensemble)
    return Curve(denoised.lag, g2, np.sqrt(np.diag(covariance)), covariance, calibrated)


def _variant(kind: Variant, raw: Curve, frame_time_s: float, fit: FitOptions) -> VariantFit:
    sigma = raw.error if fit.weighted else None
    return fit_variant(kind, raw.lag * frame_time_s, raw.g2, sigma, covariance=raw.covariance)


def _fit(
    lag: NDArray[np.int64],
    g2: NDArray[np.float64],
    error: NDArray[np.float64] | None,
    covariance: NDArray[np.float64],
    frame_time_s: float,
    fit: FitOptions,
) -> DecayFits:
    return fit_decay(
        lag * frame_time_s,
        g2[None],
        sigma=error[None] if fit.weighted and error is not None else None,
        fixed={str(name): value for name, value in fit.fixed.items()},
        bounds={str(name): value for name, value in fit.bounds.items()},
        covariance=covariance[None],
    )


def _calibrated(
    fits: DecayFits, denoised: DenoisedTwoTime, frame_time_s: float, windows: float, ensemble: Ensemble
) -> DecayFits:
    """Fits whose errors are those that the models make on experiments they have not seen; fixed parameters stay exact.

    Correlations between the parameters stay as the disagreement of the models gives them.
    """
    if ensemble.calibration is None:
        return fits
    errors = ensemble.calibration.errors(
        fits.relaxation_rate * frame_time_s * denoised.stride,
        np.full(len(fits), denoised.noise),
        relative_errors(fits),
        windows,
    )
    units = np.stack([fits.relaxation_rate, fits.beta, fits.beta, np.ones(len(fits))], axis=1)
    before = np.sqrt(np.diagonal(fits.covariance, axis1=1, axis2=2))
    growth = np.divide(errors * units, before, out=np.where(np.isnan(before), np.nan, 0.0), where=before > 0)
    covariance = fits.covariance * growth[:, :, None] * growth[:, None, :]
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return _with_covariance(fits, covariance, error)


def _age_fits(c2: NDArray[np.float32], curve: Curve, fit: FitOptions, frame_time_s: float) -> AgeFits | None:
    """Fits at constant age, at the lags of the whole curve.

    The covariance of a cut is that of the whole curve, grown by the share of pairs that the cut holds: the scatter
    inside a cut would count frames that share their speckle as independent.
    """
    if fit.ages == 0:
        return None
    width = None if fit.age_width is None else min(fit.age_width, float(len(c2)))
    cuts = age_cuts(c2, min(fit.ages, len(c2)), width=width, max_lag=int(curve.lag[-1]))
    own = np.isin(cuts.lag, curve.lag)
    pairs = cuts.pairs[:, own].astype(float)
    whole = age_cuts(c2, 1, max_lag=int(curve.lag[-1])).pairs[0, own]
    growth = np.sqrt(np.divide(whole, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0))
    error = np.sqrt(np.diagonal(curve.covariance) * growth * growth)
    cuts = AgeCuts(cuts.age, cuts.lag[own], cuts.g2[:, own], error, cuts.pairs[:, own])

    def fitted(fixed: dict[str, float]) -> DecayFits:
        return fit_decay(
            cuts.lag * frame_time_s,
            cuts.g2,
            sigma=error if fit.weighted else None,
            fixed=fixed,
            bounds={str(name): value for name, value in fit.bounds.items() if name not in fixed},
            covariance=curve.covariance,
            growth=growth,
        )

    given = {str(name): value for name, value in fit.fixed.items()}
    baseline, baseline_error = float(curve.fits.baseline[0]), float(curve.fits.baseline_error[0])
    known = fit.age_baseline == "whole" and curve.fits.trusted[0] and "baseline" not in given
    if not known:
        return AgeFits(cuts, fitted(given))
    fits = fitted({**given, "baseline": baseline})
    up, down = (fitted({**given, "baseline": baseline + sign * baseline_error}) for sign in (1, -1))
    return AgeFits(cuts, _with_baseline_error(fits, up, down, baseline_error))


def _with_baseline_error(fits: DecayFits, up: DecayFits, down: DecayFits, baseline_error: float) -> DecayFits:
    """Errors with what the error of a fixed baseline does to the others: half of what moving it by that changes."""
    moved = np.stack([(getattr(up, name) - getattr(down, name)) / 2 for name in DECAY_PARAMETERS], axis=1)
    moved[:, 2] = baseline_error
    covariance = fits.covariance + np.nan_to_num(moved)[:, :, None] * np.nan_to_num(moved)[:, None, :]
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return _with_covariance(fits, covariance, error)


def _with_covariance(fits: DecayFits, covariance: NDArray[np.float64], error: NDArray[np.float64]) -> DecayFits:
    return replace(
        fits,
        covariance=covariance,
        relaxation_rate_error=error[:, 0],
        beta_error=error[:, 1],
        baseline_error=error[:, 2],
        alpha_error=error[:, 3],
    )


def _denoised_age_fits(
    denoised: DenoisedTwoTime | None, curve: Curve | None, fit: FitOptions, frame_time_s: float, ensemble: Ensemble
) -> AgeFits | None:
    if denoised is None or curve is None:
        return None
    unweighted = fit.model_copy(update={"weighted": False})
    ages = _age_fits(np.where(denoised.mask, denoised.values, np.nan), curve, unweighted, frame_time_s)
    if ages is None:
        return None
    calibrated = _calibrated(ages.fits, denoised, frame_time_s, denoised.windows / len(ages.fits), ensemble)
    return AgeFits(ages.cuts, calibrated)


def _cannot_denoise(n_frames: int, denoise: DenoiseOptions, ensemble: Ensemble) -> str:
    if not denoise.enabled:
        return "denoising is switched off in the recipe"
    stride = 1 if denoise.stride == "auto" else denoise.stride
    if n_frames // stride < ensemble.window:
        return f"{n_frames} frames with denoise.stride {stride} are fewer than the {ensemble.window} the models need"
    return ""


def _distrust(denoised: DenoisedTwoTime, curve: Curve) -> str:
    reasons = list(denoised.applicability.reasons)
    own = f"of the denoised curve, {curve.fits.reason[0]}"
    if not curve.fits.trusted[0] and own not in reasons:
        reasons.append(own)
    return "; ".join(reasons)
