"""The published tables: every number with its error, unit and flag.

Units: q in 1/Å, relaxation rates in 1/s (``..._per_frame`` in 1/frame), lags and ages in s and frames, contrast,
baseline and alpha without unit, D in Å²/s.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cnn_ed.posterior import Estimates
from cnn_ed.posterior.scans import FEWEST_FRAMES
from twotime.columns import PLACE
from twotime.pipeline.estimating import AgeFits
from twotime.pipeline.one_roi import RoiResult
from twotime.pipeline.reading import Reading
from twotime.recipe import DECAY_PARAMETERS
from twotime.xpcs.decay import INCOMPLETE, DecayFits, decay
from twotime.xpcs.qdependence import fit_q_dependence
from twotime.xpcs.quality import Stationarity, stationarity
from twotime.xpcs.trend import Trend, rate_trend
from twotime.xpcs.types import Rois

KINDS = ("raw", "denoised")
INTERVALS = ("low_95", "low_68", "high_68", "high_95")
"""Ends of the posterior's intervals, as columns name them."""


def g2_table(rois: Rois, results: list[RoiResult], frame_time_s: float) -> pd.DataFrame:
    """One row per ROI and lag: measured and denoised values, errors and fitted curves; NaN where there is none."""
    return pd.concat(
        [_g2_rows(r + 1, rois.q[r], result, frame_time_s) for r, result in enumerate(results)], ignore_index=True
    )


def multi_tau_table(rois: Rois, results: list[RoiResult], frame_time_s: float) -> pd.DataFrame:
    """One row per ROI and quasi-logarithmic lag, straight from the counts."""
    parts = [
        pd.DataFrame(
            {
                "roi": r + 1,
                "q": rois.q[r],
                "lag_frames": result.multi_tau.lag,
                "lag_s": result.multi_tau.lag * frame_time_s,
                "g2": result.multi_tau.g2,
                "g2_error": result.multi_tau.error,
            }
        )
        for r, result in enumerate(results)
    ]
    return pd.concat(parts, ignore_index=True)


def fits_table(reading: Reading, results: list[RoiResult], frame_time_s: float) -> pd.DataFrame:
    """One row per ROI: the headline numbers, then estimate, raw and denoised fits side by side."""
    return pd.DataFrame([_fits_row(reading, r, result, frame_time_s) for r, result in enumerate(results)])


def fits_age_table(rois: Rois, results: list[RoiResult], frame_time_s: float) -> pd.DataFrame:
    """One row per ROI and age: estimate, raw and denoised fits; empty where no ages were asked for."""
    rows = [
        row
        for r, result in enumerate(results)
        if result.raw_ages is not None
        for row in _age_rows(r + 1, rois.q[r], result, result.raw_ages, frame_time_s)
    ]
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["roi", "q", "age_frames", "age_s"])


def fits_variant_table(rois: Rois, results: list[RoiResult]) -> pd.DataFrame:
    """One row per ROI, variant and parameter, of the measured curves; empty where none was asked for."""
    rows = [
        {
            "roi": r + 1,
            "q": float(rois.q[r]),
            "variant": kind,
            "parameter": name,
            "value": float(fit.values[k]),
            "error": float(fit.errors[k]),
            "unit": "1/s" if name in ("relaxation_rate", "frequency", "flow_velocity") else "1",
            "chi2": fit.chi2,
            "on_bound": name in fit.on_bound,
            "reason": fit.reason,
        }
        for r, result in enumerate(results)
        for kind, fit in result.raw_variants
        for k, name in enumerate(fit.names)
    ]
    columns = ("roi", "q", "variant", "parameter", "value", "error", "unit", "chi2", "on_bound", "reason")
    return pd.DataFrame(rows, columns=list(columns))


def q_fit_table(rois: Rois, results: list[RoiResult]) -> pd.DataFrame:
    """D q² and A q^p through the trusted rates: raw, denoised and headline."""
    return pd.DataFrame([_q_fit_row(kind, rois, results) for kind in (*KINDS, "headline")])


def headline(result: RoiResult) -> tuple[str, DecayFits]:
    """The numbers shown first: the estimate, or the raw fit of scans too short for one."""
    return ("raw", result.raw.fits) if result.estimates is None else ("estimate", result.estimates)


def _g2_rows(roi: int, q: float, result: RoiResult, frame_time_s: float) -> pd.DataFrame:
    lag = result.raw.lag
    rows: dict[str, Any] = {"roi": roi, "q": q, "lag_frames": lag, "lag_s": lag * frame_time_s}
    rows |= {"g2_raw": result.raw.g2, "g2_raw_error": result.raw.error}
    rows["g2_raw_fit"] = _fitted(result.raw.fits, lag * frame_time_s)
    estimates = result.estimates
    rows["g2_estimate"] = np.full(len(lag), np.nan) if estimates is None else _fitted(estimates, lag * frame_time_s)
    denoised = {name: np.full(len(lag), np.nan) for name in ("g2_denoised", "g2_denoised_error", "g2_denoised_fit")}
    if result.denoised is not None:
        own = np.isin(result.denoised.lag, lag)
        at = np.searchsorted(lag, result.denoised.lag[own])
        denoised["g2_denoised"][at] = result.denoised.g2[own]
        denoised["g2_denoised_error"][at] = result.denoised.error[own]
        denoised["g2_denoised_fit"] = _fitted(result.denoised.fits, lag * frame_time_s)
    return pd.DataFrame(rows | denoised)


def _fitted(fits: DecayFits, lag_s: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(decay(lag_s, *(getattr(fits, name)[0] for name in DECAY_PARAMETERS)), float)


def _fits_row(reading: Reading, r: int, result: RoiResult, frame_time_s: float) -> dict[str, Any]:
    rois = reading.rois
    kind, fits = headline(result)
    steady = stationarity_of(result)
    row: dict[str, Any] = {
        "roi": r + 1,
        "q": float(rois.q[r]),
        "q_inner": float(rois.q_inner[r]),
        "q_outer": float(rois.q_outer[r]),
        "phi": float(rois.phi[r]),
        "n_pixels": int(rois.n_pixels[r]),
        "mean_counts": float(reading.intensity[~reading.bad, r].mean()),
        "contrast": result.contrast,
        "contrast_error": result.contrast_error,
        "products": result.route,
        "headline": kind,
        **_parameters(fits, 0, ""),
        "trusted": bool(fits.trusted[0]),
        "flag": _flag(kind, fits, steady, float(result.raw.lag[-1]) * frame_time_s),
        "stationary": {True: "yes", False: "no", None: "unknown"}[steady.stationary],
        "stationarity_chi2": steady.chi2,
        "stationarity_probability": steady.probability,
        "stationarity": steady.verdict,
    }
    row |= _estimate_columns(result.estimates, 0, frame_time_s)
    row |= _kind_columns("raw", result.raw.fits, 0, frame_time_s)
    row |= _kind_columns("denoised", None if result.denoised is None else result.denoised.fits, 0, frame_time_s)
    return row | _denoiser_columns(result)


def stationarity_of(result: RoiResult) -> Stationarity:
    """Whether one rate holds for the whole scan, by the headline's kind of numbers at constant age."""
    ages = result.raw_ages
    if ages is None:
        return Stationarity(None, np.nan, np.nan, "no fits at constant age were asked for")
    fits = ages.fits if result.estimates_age is None else result.estimates_age
    return stationarity(ages.cuts.age, fits.relaxation_rate, fits.relaxation_rate_error, fits.trusted)


def _flag(kind: str, fits: DecayFits, steady: Stationarity, longest_lag_s: float) -> str:
    """Why the headline is not to be trusted, or does not hold for the whole scan; empty where all is well."""
    reasons = [str(fits.reason[0])] if fits.reason[0] else []
    with np.errstate(over="ignore"):
        left = float(np.exp(-2 * (fits.relaxation_rate[0] * longest_lag_s) ** fits.alpha[0]))
    if kind == "estimate" and left > INCOMPLETE:
        reasons.append(
            f"the decay is incomplete within the measured lags ({100 * left:.0f} % of the contrast is left) "
            "and the baseline poorly determined: the estimate leans on what baselines usually are"
        )
    if steady.stationary is False:
        reasons.append(f"{steady.verdict}: one rate does not hold for the whole scan, see fits_age")
    if kind == "raw":
        reasons.append(f"raw leads: fewer than the {FEWEST_FRAMES} frames that an estimate needs")
    return "; ".join(reasons)


def _denoiser_columns(result: RoiResult) -> dict[str, Any]:
    one = result.denoised_c2
    unknown = np.full(len(PLACE), np.nan)
    places, errors = (unknown, unknown) if one is None else (one.place, one.place_error)
    return {
        "denoised_usable": one is not None and not result.refusal,
        "denoised_refusal": result.refusal,
        "denoised_stride": 0 if one is None else one.stride,
        "denoised_input_noise": np.nan if one is None else one.noise,
        "denoised_latent_distance": np.nan if one is None else one.latent_distance,
        **dict(zip(PLACE, places, strict=True)),
        **dict(zip((f"{name}_error" for name in PLACE), errors, strict=True)),
    }


def _parameters(fits: DecayFits, row: int, prefix: str) -> dict[str, float]:
    columns = {}
    for name in DECAY_PARAMETERS:
        columns[f"{prefix}{name}"] = float(getattr(fits, name)[row])
        columns[f"{prefix}{name}_error"] = float(getattr(fits, f"{name}_error")[row])
    return columns


def _kind_columns(kind: str, fits: DecayFits | None, row: int, frame_time_s: float) -> dict[str, Any]:
    """Columns of one fit; all NaN and untrusted where there is none, so that every row has the same columns."""
    columns: dict[str, Any] = {}
    for name in DECAY_PARAMETERS:
        columns[f"{kind}_{name}"] = np.nan if fits is None else float(getattr(fits, name)[row])
        columns[f"{kind}_{name}_error"] = np.nan if fits is None else float(getattr(fits, f"{name}_error")[row])
    for suffix in ("", "_error"):
        rate = columns[f"{kind}_relaxation_rate{suffix}"]
        columns[f"{kind}_relaxation_rate_per_frame{suffix}"] = rate * frame_time_s
    for i, first in enumerate(DECAY_PARAMETERS):
        for j, second in enumerate(DECAY_PARAMETERS[: i + 1]):
            value = np.nan if fits is None else float(fits.covariance[row, i, j])
            columns[f"{kind}_covariance_{second}_{first}"] = value
    columns[f"{kind}_chi2"] = np.nan if fits is None else float(fits.chi2[row])
    columns[f"{kind}_r2"] = np.nan if fits is None else float(fits.r2[row])
    columns[f"{kind}_on_bound"] = "" if fits is None else ", ".join(fits.on_bound[row])
    columns[f"{kind}_trusted"] = fits is not None and bool(fits.trusted[row])
    none = "not denoised" if kind == "denoised" else "not estimated"
    columns[f"{kind}_reason"] = none if fits is None else str(fits.reason[row])
    return columns


def _estimate_columns(estimates: Estimates | None, row: int, frame_time_s: float) -> dict[str, Any]:
    """Columns of one posterior: as of a fit, and the ends of its intervals."""
    columns = _kind_columns("estimate", estimates, row, frame_time_s)
    for k, name in enumerate(DECAY_PARAMETERS):
        ends = np.full(4, np.nan)
        if estimates is not None:
            (low_68, high_68), (low_95, high_95) = estimates.interval_68[row, k], estimates.interval_95[row, k]
            ends = np.array([low_95, low_68, high_68, high_95])
        columns |= {f"estimate_{name}_{end}": float(value) for end, value in zip(INTERVALS, ends, strict=True)}
    columns["estimate_misfit"] = np.nan if estimates is None else float(estimates.misfit[row])
    return columns


def _age_rows(roi: int, q: float, result: RoiResult, raw: AgeFits, frame_time_s: float) -> list[dict[str, Any]]:
    rows = []
    denoised, estimates = result.denoised_ages, result.estimates_age
    estimated = None if estimates is None else AgeFits(raw.cuts, estimates)
    trends = {kind: _trend(ages) for kind, ages in (("estimate", estimated), ("raw", raw), ("denoised", denoised))}
    for a, age in enumerate(raw.cuts.age):
        row: dict[str, Any] = {"roi": roi, "q": q, "age_frames": float(age), "age_s": float(age) * frame_time_s}
        row |= _estimate_columns(estimates, a, frame_time_s)
        row |= _kind_columns("raw", raw.fits, a, frame_time_s)
        row |= _kind_columns("denoised", None if denoised is None else denoised.fits, a, frame_time_s)
        for kind, trend in trends.items():
            rate, error = (np.nan, np.nan) if trend is None else (trend.rate[a], trend.rate_error[a])
            row[f"{kind}_trend_relaxation_rate"], row[f"{kind}_trend_relaxation_rate_error"] = float(rate), float(error)
        rows.append(row)
    return rows


def _trend(ages: AgeFits | None) -> Trend | None:
    if ages is None:
        return None
    fits = ages.fits
    return rate_trend(ages.cuts.age, fits.relaxation_rate, fits.relaxation_rate_error, fits.trusted)


def _q_fit_row(kind: str, rois: Rois, results: list[RoiResult]) -> dict[str, Any]:
    fits = [_fits_of(kind, result) for result in results]
    rate = np.array([np.nan if one is None else one.relaxation_rate[0] for one in fits])
    error = np.array([np.nan if one is None else one.relaxation_rate_error[0] for one in fits])
    use = np.array([one is not None and bool(one.trusted[0]) for one in fits])
    found = fit_q_dependence(rois.q, rate, error, use)
    return {
        "kind": kind,
        "n_rois": int(np.count_nonzero(use)),
        "rois": ", ".join(str(r + 1) for r in np.flatnonzero(use)),
        "diffusion": found.diffusion,
        "diffusion_error": found.diffusion_error,
        "diffusion_chi2": found.chi2,
        "amplitude": found.amplitude,
        "amplitude_error": found.amplitude_error,
        "exponent": found.exponent,
        "exponent_error": found.exponent_error,
        "reason": found.reason,
        **_mean_over_q("alpha", fits, use),
        **_mean_over_q("beta", fits, use),
    }


def _mean_over_q(name: str, fits: list[DecayFits | None], use: NDArray[np.bool_]) -> dict[str, float]:
    """Weighted mean of a parameter over the trusted ROIs, and the χ² of its being the same at every q."""
    value = np.array([np.nan if one is None else getattr(one, name)[0] for one in fits])
    error = np.array([np.nan if one is None else getattr(one, f"{name}_error")[0] for one in fits])
    own = use & np.isfinite(value) & np.isfinite(error) & (error > 0)
    if not own.any():
        return {f"{name}_mean": np.nan, f"{name}_mean_error": np.nan, f"{name}_chi2": np.nan}
    weight = 1 / error[own] ** 2
    mean = float((weight * value[own]).sum() / weight.sum())
    n = int(np.count_nonzero(own))
    chi2 = float((weight * (value[own] - mean) ** 2).sum() / (n - 1)) if n > 1 else np.nan
    return {
        f"{name}_mean": mean,
        f"{name}_mean_error": float(np.sqrt(np.fmax(1.0, chi2) / weight.sum())),
        f"{name}_chi2": chi2,
    }


def _fits_of(kind: str, result: RoiResult) -> DecayFits | None:
    if kind == "headline":
        return headline(result)[1]
    if kind == "raw":
        return result.raw.fits
    if result.denoised is None or result.refusal:
        return None
    return result.denoised.fits
