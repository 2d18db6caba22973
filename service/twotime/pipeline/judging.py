"""Estimate, raw and denoised fits of simulated scans against their known dynamics, by the route of an analysis."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnn_ed import Ensemble
from cnn_ed.posterior.scans import Dynamics, counted, from_fields, intensity
from twotime.pipeline.one_roi import RoiResult, analyse_roi
from twotime.pipeline.tables import stationarity_of
from twotime.recipe import DECAY_PARAMETERS, DenoiseOptions, FitOptions
from twotime.xpcs.decay import DecayFits
from twotime.xpcs.trend import rate_trend

Row = dict[str, Any]
RAMP, STEP = 3.0, 2.0
"""Factors by which the rate changes over the scans that age or step."""


def judge_estimates(
    ensemble: Ensemble, scans: int, seed: int, progress: Callable[[float], None]
) -> dict[str, list[Row]]:
    """Tables by title, one dict per row.

    Parameters
    ----------
    ensemble : its models and its estimator
    scans : of the random set; the others have a share of it
    seed : of all random numbers
    progress : told the fraction done
    """
    few = max(4, scans // 6)
    tables: dict[str, list[Row]] = {}
    tables["random scans"] = _random(ensemble, scans, seed, lambda done: progress(0.5 * done))
    tables["grid: median error of the rate"] = _grid(ensemble, max(2, scans // 40), seed + 1)
    progress(0.65)
    tables["low contrast: 350 frames, Γ 0.025, β 0.07, C∞ 1.027, α 0.77"] = _low_contrast(ensemble, few, seed + 2)
    progress(0.75)
    tables["rates that change with age"] = _with_age(ensemble, few, seed + 3)
    progress(0.9)
    tables["not a single decay"] = _strange(ensemble, few, seed + 4)
    progress(1.0)
    return tables


def analysed(relative: NDArray[np.float32], counts: float, ensemble: Ensemble, rng: np.random.Generator) -> RoiResult:
    """The analysis of one ROI of given relative intensity (N, P); rates per frame."""
    pixels = counted(relative, counts, rng)
    none, all_frames = np.zeros(len(pixels), bool), np.ones(len(pixels), bool)
    return analyse_roi(pixels, none, 1.0, DenoiseOptions(), FitOptions(), ensemble, doubtful=all_frames)


def beamline_like(rng: np.random.Generator) -> Dynamics:
    """120 frames, 500 to 2500 pixels, 0.02 to 1 photons, β 0.06 to 0.3, Γ 0.005 to 0.3 per frame, α 0.5 to 1.9."""

    def log_even(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return Dynamics(
        frames=120,
        pixels=int(rng.integers(500, 2501)),
        counts=log_even(0.02, 1),
        rate=log_even(0.005, 0.3),
        beta=log_even(0.06, 0.3),
        baseline=1.0,
        alpha=float(rng.uniform(0.5, 1.9)),
    )


def _random(ensemble: Ensemble, scans: int, seed: int, progress: Callable[[float], None]) -> list[Row]:
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for number in range(scans):
        dynamics = beamline_like(rng)
        truths.append(dynamics.truth)
        results.append(analysed(intensity(dynamics, rng), dynamics.counts, ensemble, rng))
        progress((number + 1) / scans)
    truth = np.array(truths)
    inside = (truth[:, 0] > 0.01) & (truth[:, 0] < 0.15)
    rows = []
    for own, which in ((np.ones(scans, bool), "all"), (inside, "Γ 0.01 to 0.15")):
        for kind in ("estimate", "raw", "denoised"):
            fits = [_fits(one, kind) for one in results]
            rows.append({"scans": which, "number": int(own.sum()), "kind": kind} | _errors(fits, truth, own))
    return rows


def _fits(result: RoiResult, kind: str) -> DecayFits | None:
    if kind == "estimate":
        return result.estimates
    if kind == "raw":
        return result.raw.fits
    return None if result.denoised is None or result.refusal else result.denoised.fits


def _errors(fits: list[DecayFits | None], truth: NDArray[np.float64], own: NDArray[np.bool_]) -> Row:
    """Of the trusted ones among `own`: relative errors of the rate, and how often intervals hold the truth."""
    known = np.array([one is not None for one in fits])
    trusted = own & np.array([one is not None and bool(one.trusted[0]) for one in fits])
    value = np.array([[np.nan] * 4 if one is None else [getattr(one, n)[0] for n in DECAY_PARAMETERS] for one in fits])
    error = np.array(
        [[np.nan] * 4 if one is None else [getattr(one, f"{n}_error")[0] for n in DECAY_PARAMETERS] for one in fits]
    )
    relative = value[:, 0] / truth[:, 0] - 1
    row: Row = {
        "mean, all": float(np.nanmean(np.abs(relative[own & known]))) if (own & known).any() else np.nan,
        "median, all": float(np.nanmedian(np.abs(relative[own & known]))) if (own & known).any() else np.nan,
        "trusted": float(trusted.sum() / own.sum()),
    }
    if not trusted.any():
        return row | dict.fromkeys(("mean", "median", "bias", "rms of log Γ", "68 %", "95 %"), np.nan)
    row |= {
        "mean": float(np.mean(np.abs(relative[trusted]))),
        "median": float(np.median(np.abs(relative[trusted]))),
        "bias": float(np.median(relative[trusted])),
        "rms of log Γ": float(np.sqrt(np.mean(np.log1p(relative[trusted]) ** 2))),
    }
    for number, name in enumerate(("Γ", "β", "C∞", "α")):
        low, high = _interval(fits, value, error, number, trusted)
        row[f"{name} 68 %"] = float(np.mean((truth[trusted, number] >= low[0]) & (truth[trusted, number] <= high[0])))
        row[f"{name} 95 %"] = float(np.mean((truth[trusted, number] >= low[1]) & (truth[trusted, number] <= high[1])))
    return row


def _interval(
    fits: list[DecayFits | None], value: NDArray[Any], error: NDArray[Any], number: int, own: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends (2, n) of the 68 and 95 % intervals: those of the posterior, or of normal errors."""
    widths = np.array([[1.0], [1.96]])
    low, high = value[own, number] - widths * error[own, number], value[own, number] + widths * error[own, number]
    for place, m in enumerate(np.flatnonzero(own)):
        one = fits[m]
        for row, name in enumerate(("interval_68", "interval_95")):
            if hasattr(one, name):
                low[row, place], high[row, place] = getattr(one, name)[0, number]
    return low, high


def _grid(ensemble: Ensemble, repeats: int, seed: int) -> list[Row]:
    """Cells of frames, photons and rate; raw and estimate over the same scans, where most raw fits are trusted."""
    rows = []
    rng = np.random.default_rng(seed)
    for frames in (60, 200, 600, 2000):
        for counts in (0.05, 0.5, 5.0):
            for rate in (0.02, 0.1):
                dynamics = Dynamics(frames, 1000 if frames < 1000 else 400, counts, rate, 0.15, 1.0, 1.0)
                errors, raw_trusted, trusted = [], [], []
                for _ in range(repeats):
                    result = analysed(intensity(dynamics, rng), counts, ensemble, rng)
                    pair = [_fits(result, kind) for kind in ("estimate", "raw")]
                    errors.append([np.nan if one is None else abs(one.relaxation_rate[0] / rate - 1) for one in pair])
                    raw_trusted.append(bool(result.raw.fits.trusted[0]))
                    trusted.append(pair[0] is not None and bool(pair[0].trusted[0]))
                own = np.array(errors)[raw_trusted] if np.mean(raw_trusted) >= 0.5 else np.full((1, 2), np.nan)
                rows.append(
                    {
                        "frames": frames,
                        "photons": counts,
                        "Γ": rate,
                        "estimate": float(np.median(np.array(errors)[:, 0])),
                        "raw": float(np.median(np.array(errors)[:, 1])),
                        "trusted": float(np.mean(trusted)),
                        "raw trusted": float(np.mean(raw_trusted)),
                        "estimate, raw trusted": float(np.mean(own[:, 0])),
                        "raw, raw trusted": float(np.mean(own[:, 1])),
                    }
                )
    return rows


def _low_contrast(ensemble: Ensemble, scans: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    dynamics = Dynamics(350, 400, 0.5, 0.025, 0.064, 1.027, 0.77)
    results = [analysed(intensity(dynamics, rng), dynamics.counts, ensemble, rng) for _ in range(scans)]
    truth = np.tile(dynamics.truth, (scans, 1))
    rows = []
    for kind in ("estimate", "raw", "denoised"):
        fits = [_fits(one, kind) for one in results]
        known = [one for one in fits if one is not None]
        medians = (
            {n: float(np.median([getattr(one, n)[0] for one in known])) for n in DECAY_PARAMETERS} if known else {}
        )
        rows.append({"kind": kind} | {f"median {n}": medians.get(n, np.nan) for n in DECAY_PARAMETERS})
        rows[-1] |= _errors(fits, truth, np.ones(scans, bool))
    return rows


def _clocked(dynamics: Dynamics, clock: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative intensity whose rate is the slope of `clock` (N,)."""
    covariance = np.exp(-(np.abs(clock[:, None] - clock) ** dynamics.alpha))
    covariance[np.diag_indices_from(covariance)] += 1e-6
    return from_fields(np.linalg.cholesky(covariance).astype(np.float32), dynamics, rng)


def _with_age(ensemble: Ensemble, scans: int, seed: int) -> list[Row]:
    """Rates at constant age against the truth there, and how often scans are called not stationary."""
    rng = np.random.default_rng(seed)
    base = Dynamics(400, 1500, 0.5, 0.05, 0.15, 1.0, 1.0)
    number = np.arange(base.frames)
    rates = {
        "stationary": np.full(base.frames, base.rate),
        "ageing by 3": base.rate * RAMP ** (0.5 - number / base.frames),
        "step by 2": base.rate * np.where(number < base.frames / 2, np.sqrt(STEP), 1 / np.sqrt(STEP)),
    }
    rows = []
    for name, rate in rates.items():
        errors: dict[str, list[NDArray[np.float64]]] = {"estimate": [], "raw": [], "trend of estimates": []}
        inside: list[NDArray[np.bool_]] = []
        called = 0
        for _ in range(scans if name != "stationary" else 2 * scans):
            result = analysed(_clocked(base, np.cumsum(rate), rng), base.counts, ensemble, rng)
            assert result.raw_ages is not None
            assert result.estimates_age is not None
            truth = rate[np.rint(result.raw_ages.cuts.age).astype(int)]
            for kind, fits in (("estimate", result.estimates_age), ("raw", result.raw_ages.fits)):
                errors[kind].append(np.abs(fits.relaxation_rate / truth - 1))
            ages = result.estimates_age
            trend = rate_trend(result.raw_ages.cuts.age, ages.relaxation_rate, ages.relaxation_rate_error, ages.trusted)
            errors["trend of estimates"].append(np.abs(trend.rate / truth - 1))
            inside.append(np.abs(trend.rate - truth) < trend.rate_error)
            called += stationarity_of(result).stationary is False
        rows.append(
            {"scans": name, "number": len(errors["raw"]), "called not stationary": called / len(errors["raw"])}
            | {f"mean error at constant age, {kind}": float(np.nanmean(own)) for kind, own in errors.items()}
            | {"trend 68 %": float(np.mean(inside))}
        )
    return rows


def _strange(ensemble: Ensemble, scans: int, seed: int) -> list[Row]:
    """How often a rate is trusted that no single decay has."""
    rng = np.random.default_rng(seed)
    base = Dynamics(300, 1500, 1.0, 0.03, 0.2, 1.0, 1.0)
    lag = np.abs(np.arange(base.frames)[:, None] - np.arange(base.frames))
    fields = {
        "one decay": np.exp(-base.rate * lag),
        "oscillating": np.exp(-0.02 * lag) * np.cos(0.5 * lag),
        "static": np.ones(lag.shape),
        "two decays, 40 times apart": 0.5 * np.exp(-0.2 * lag) + 0.5 * np.exp(-0.005 * lag),
    }
    rows = []
    for name, covariance in fields.items():
        factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(base.frames)).astype(np.float32)
        results = [analysed(from_fields(factor, base, rng), base.counts, ensemble, rng) for _ in range(scans)]
        rows.append({"two-time function": name} | _trusted_shares(results))
    flat = np.ones((base.frames, base.pixels), np.float32)
    noise = [analysed(flat, base.counts, ensemble, rng) for _ in range(scans)]
    faint = replace(base, beta=0.004, rate=0.02)
    weak = [analysed(intensity(faint, rng), 0.05, ensemble, rng) for _ in range(scans)]
    return [
        *rows,
        {"two-time function": "noise alone"} | _trusted_shares(noise),
        {"two-time function": "a decay lost in noise"} | _trusted_shares(weak),
    ]


def _trusted_shares(results: list[RoiResult]) -> Row:
    row: Row = {"scans": len(results)}
    for kind in ("estimate", "raw", "denoised"):
        fits = [_fits(one, kind) for one in results]
        row[f"trusted, {kind}"] = float(np.mean([one is not None and bool(one.trusted[0]) for one in fits]))
    return row
