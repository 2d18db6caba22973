"""What the rates say: their dependence on q and on age, how many are precise, and curves that no decay describes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.verdict.curves import Shape
from twotime.verdict.evidence import Evidence
from twotime.verdict.statements import Quantity, Statement
from twotime.xpcs.decay import INCOMPLETE
from twotime.xpcs.quality import stationarity
from twotime.xpcs.trend import rate_trend

PRECISE = 0.10
"""Relative error of Γ up to which an ROI is good to 10 %."""
ALIKE, APART = 2.0, 3.0
"""Errors within which an exponent is that of a law, and beyond which it is not that of the other one."""
BINNING = 0.05
"""Exponents are not told apart by less: rings have widths."""
FEWEST_AGES = 3
SMALLEST_CHANGE = 0.05
"""Changes of the rate over a scan by less are not spoken of, however certain."""
CLEAR_CHANGE = 3.0
"""Errors by which the last age must differ from the first to have a direction."""
KNOWN_STEADY = 0.25
"""Error of the change above which "steady" would say nothing."""
STRANGE = 1.0
"""Misfit above which a curve deviates more than 99.5 % of simulated decays do."""


def law_of_q(evidence: Evidence) -> list[Statement]:
    """Diffusive (Γ = D q²), ballistic (Γ = v q), another exponent, or undecided.

    A law is named where the fitted exponent lies within 2 errors (and 0.05) of its own and more than 3 errors from
    the other's. Where neither holds and the error is below 1/3, the exponent itself is said; else it is open.
    """
    row = next((one for one in evidence.q_fit.to_dict("records") if one["kind"] == "headline"), None)
    if row is None or not np.isfinite(row["exponent"]):
        return []
    power, error = float(row["exponent"]), float(row["exponent_error"])
    rois = tuple(int(one) for one in str(row["rois"]).split(", ") if one)
    values = {"exponent": Quantity(power, error)}
    if _is(power, error, 2.0, 1.0):
        values["diffusion"] = Quantity(float(row["diffusion"]), float(row["diffusion_error"]), "Å²/s")
        return [Statement("diffusive", "good", values, rois, "dispersion")]
    if _is(power, error, 1.0, 2.0):
        values["velocity"] = _velocity(evidence, rois)
        return [Statement("ballistic", "good", values, rois, "dispersion")]
    code = "exponent" if error < 1 / APART else "exponent_open"
    return [Statement(code, "note", values, rois, "dispersion")]


def ages(evidence: Evidence) -> list[Statement]:
    """Slower or faster with age, up and down, or steady, from the rates of all ROIs at constant age.

    The logarithms of the trusted rates are a sum of one value for each ROI and one for each age (weighted least
    squares; errors grow with √χ² where that exceeds 1). The ages' values are not constant where χ² has a probability
    below 0.1 % (`twotime.xpcs.quality.stationarity`); `twotime.xpcs.trend.rate_trend` says by how much they change.
    That has a direction from 3 errors and 5 % on. Steady is said where the change is known to 25 %.
    """
    found = _common_ages(evidence)
    if found is None:
        return []
    age_s, log_rate, log_error, rois = found
    rate = np.exp(log_rate)
    use = np.ones(len(age_s), bool)
    steady = stationarity(age_s, rate, rate * log_error, use)
    trend = rate_trend(age_s, rate, rate * log_error, use)
    moved = float(np.expm1(trend.change))
    values = {
        "change": Quantity(moved, (1 + moved) * trend.change_error),
        "over": Quantity(float(np.ptp(age_s)), 0.0, "s"),
    }
    if steady.stationary:
        known = trend.change_error < KNOWN_STEADY
        return [Statement("steady", "good", values, rois, "age")] if known else []
    if abs(trend.change) > CLEAR_CHANGE * trend.change_error and abs(moved) > SMALLEST_CHANGE:
        return [Statement("slower" if moved < 0 else "faster", "note", values, rois, "age")]
    low, high = int(np.argmin(trend.rate)), int(np.argmax(trend.rate))
    ratio = float(trend.rate[high] / trend.rate[low])
    error = ratio * float(np.hypot(*(trend.rate_error[k] / trend.rate[k] for k in (low, high))))
    if ratio - 1 < max(SMALLEST_CHANGE, CLEAR_CHANGE * error):
        return []
    return [Statement("unsteady", "mind", {"ratio": Quantity(ratio, error), "over": values["over"]}, rois, "age")]


def precision(evidence: Evidence) -> list[Statement]:
    """How many ROIs have a trusted rate whose standard error is at most 10 %."""
    rate, error = evidence.column("relaxation_rate"), evidence.column("relaxation_rate_error")
    trusted = np.asarray(evidence.fits["trusted"], bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        good = trusted & (error <= PRECISE * rate)
    number, total = int(good.sum()), len(good)
    rois = tuple(roi for roi, one in zip(evidence.rois, good, strict=True) if one)
    values = {"number": Quantity(number, 0.0), "total": Quantity(total, 0.0)}
    if total == 1 and trusted[0]:
        values["rate"] = Quantity(float(rate[0]), float(error[0]), "1/s")
        return [Statement("rate", "good" if number else "note", values, evidence.rois, "table")]
    level = "good" if 2 * number >= total else "note" if trusted.any() else "mind"
    return [Statement("precise", level, values, rois, "table")]  # type: ignore[arg-type]  # a Level, as written


def unfinished(evidence: Evidence, found: list[Shape], explained: set[int]) -> list[Statement]:
    """ROIs whose decay leaves more than a tenth of its contrast at the last lag, by the leading fit."""
    rate, error, alpha = (evidence.column(name) for name in ("relaxation_rate", "relaxation_rate_error", "alpha"))
    parts: list[tuple[float, float, float, int]] = []
    for k, one in enumerate(found):
        if not one.lit or one.roi in explained:
            continue
        lag, _, _ = evidence.curve(one.roi)
        end_s = float(lag[-1]) * evidence.frame_time_s if len(lag) else np.nan
        with np.errstate(over="ignore", invalid="ignore"):
            depth = float(2 * (rate[k] * end_s) ** alpha[k])
            left = float(np.exp(-depth))
        left_error = left * depth * float(alpha[k] * error[k] / rate[k])
        if left - left_error > INCOMPLETE:
            parts.append((left, left_error, end_s, one.roi))
    if not parts:
        return []
    left, left_error, end_s, _ = max(parts)
    values = {"left": Quantity(left, left_error), "within": Quantity(end_s, 0.0, "s")}
    return [Statement("unfinished", "mind", values, tuple(roi for *_, roi in parts), "g2")]


def unlike(evidence: Evidence, found: list[Shape], explained: set[int]) -> list[Statement]:
    """Curves that deviate from every single decay, where nothing else explains them.

    Said where the misfit of the estimate exceeds the 99.5th percentile of simulated decays in at least half of the
    ROIs whose curve exceeds noise.
    """
    misfit = evidence.column("estimate_misfit")
    own = np.array([one.lit and one.roi not in explained for one in found], bool) & np.isfinite(misfit)
    strange = own & (misfit > STRANGE)
    if not strange.any() or 2 * strange.sum() < own.sum():
        return []
    typical = float(np.median(misfit[own]))
    error = float(misfit[own].std() / np.sqrt(own.sum())) if own.sum() > 1 else np.nan
    rois = tuple(one.roi for one, use in zip(found, strange, strict=True) if use)
    return [Statement("unlike", "mind", {"misfit": Quantity(typical, error)}, rois, "g2")]


def _is(power: float, error: float, own: float, other: float) -> bool:
    return abs(power - own) < ALIKE * error + BINNING and abs(power - other) > APART * error


def _velocity(evidence: Evidence, rois: tuple[int, ...]) -> Quantity:
    """v of Γ = v q, weighted, its error grown by √χ² where that exceeds 1."""
    own = np.isin(evidence.rois, rois)
    q, rate, error = (evidence.column(name)[own] for name in ("q", "relaxation_rate", "relaxation_rate_error"))
    weight = 1 / error**2
    velocity = float((weight * q * rate).sum() / (weight * q * q).sum())
    chi2 = float((weight * (rate - velocity * q) ** 2).sum() / max(len(q) - 1, 1))
    return Quantity(velocity, float(np.sqrt(max(1.0, chi2) / (weight * q * q).sum())), "Å/s")


Ages = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]


def _common_ages(evidence: Evidence) -> Ages | None:
    """Ages (s), what is common to all ROIs in log rate, its errors, and the ROIs; None where there are too few."""
    kinds = dict(zip(evidence.fits["roi"], evidence.fits["headline"], strict=True))
    parts: list[tuple[int, float, float, float]] = []
    for row in evidence.fits_age.to_dict("records"):
        point = _point(row, str(kinds.get(row["roi"], "estimate")))
        if point is not None:
            parts.append((int(row["roi"]), float(row["age_s"]), *point))
    numbers = [roi for roi, *_ in parts]
    parts = [part for part in parts if numbers.count(part[0]) >= FEWEST_AGES]
    if not parts:
        return None
    roi, age, log_rate, error = (np.array(column) for column in zip(*parts, strict=True))
    rois, roi_place = np.unique(roi, return_inverse=True)
    age_s, age_place = np.unique(age, return_inverse=True)
    if len(age_s) < FEWEST_AGES:
        return None
    design = np.zeros((len(parts), len(rois) + len(age_s)))
    design[np.arange(len(parts)), roi_place] = 1.0
    design[np.arange(len(parts)), len(rois) + age_place] = 1.0
    scaled = design / error[:, None]
    inverse = np.linalg.pinv(scaled.T @ scaled)  # One level is free: the ages' mean is 0.
    solution = inverse @ scaled.T @ (log_rate / error)
    freedom = len(parts) - len(rois) - len(age_s) + 1
    chi2 = float((((log_rate - design @ solution) / error) ** 2).sum() / freedom) if freedom > 0 else 1.0
    common = solution[len(rois) :]
    weight = np.bincount(age_place, 1 / error**2)
    return age_s, common - common.mean(), np.sqrt(max(1.0, chi2) / weight), tuple(int(one) for one in rois)


def _point(row: dict[Any, Any], kind: str) -> tuple[float, float] | None:
    """Log rate and its error at one age of one ROI; None where it is not trusted."""
    rate, error = row.get(f"{kind}_relaxation_rate"), row.get(f"{kind}_relaxation_rate_error")
    if rate is None or error is None or not row.get(f"{kind}_trusted"):
        return None
    if not (np.isfinite(rate) and np.isfinite(error) and rate > 0 and error > 0):
        return None
    return float(np.log(rate)), float(error / rate)
