"""One-time correlation functions as a fixed set of numbers, whatever their length, contrast and noise."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs import DecayFits

EDGES = np.unique(np.concatenate([np.arange(1, 9), np.rint(np.geomspace(8, 1537, 26)).astype(np.int64)]))
"""First lags of the bins, and one past the last: single lags up to 8, then steps of 22 %."""
BINS = len(EDGES) - 1
LAST_USED = BINS - 2
"""The last bin that training scans reach; longer lags are counted there, for the baseline they tell."""
LONGEST = int(EDGES[LAST_USED + 1]) - 1
MOST_FRAMES = 1600
"""Longer scans are told to the networks as being so long: their errors say what more they know."""
PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
SMALLEST_RATE = 1e-5
"""Per frame; slower is indistinguishable from no decay in any scan that can be recorded."""


@dataclass(frozen=True)
class BinnedCurves:
    """Curves averaged over bins of lags, with the least-squares fit of each; rates per frame.

    Attributes
    ----------
    value : (M, B), g2 - 1; NaN where a bin holds no lag
    error : (M, B), standard errors
    fit : (M, 4), parameters of the weighted least-squares fit; NaN where there is none
    fit_error : (M, 4); NaN where unknown, as for a parameter on a bound
    frames : (M,), of the scan
    contrast, contrast_error : (M,), from the statistics of single frames; NaN where no counts are at hand
    share : (M,), of the scan's pairs that the curve was averaged over; 1 but for cuts at constant age
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    fit: NDArray[np.float64]
    fit_error: NDArray[np.float64]
    frames: NDArray[np.float64]
    contrast: NDArray[np.float64]
    contrast_error: NDArray[np.float64]
    share: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.value)

    def rows(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "BinnedCurves":
        """Some of the curves: numbers, a mask or a slice."""
        return BinnedCurves(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @staticmethod
    def joined(parts: "list[BinnedCurves]") -> "BinnedCurves":
        """Curves one below the other."""
        return BinnedCurves(
            **{name.name: np.concatenate([getattr(part, name.name) for part in parts]) for name in fields(BinnedCurves)}
        )


def bin_matrix(lag: NDArray[np.int64], known: NDArray[np.bool_], pairs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weights (B, L) that average lags within each bin by their numbers of pairs; zero rows where a bin is empty.

    Lags beyond the last bin belong to it: in scans that long they only tell the baseline, or `bin_curves` counts in
    larger units.
    """
    number = np.clip(np.searchsorted(EDGES, lag, side="right") - 1, 0, LAST_USED)
    weights = np.zeros((BINS, len(lag)))
    weights[number, np.arange(len(lag))] = np.where(known & (lag >= 1), pairs, 0.0)
    total = weights.sum(axis=1, keepdims=True)
    averages: NDArray[np.float64] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return averages


def bin_curves(
    lag: NDArray[np.int64],
    g2: NDArray[np.float64],
    covariance: NDArray[np.float64],
    fits: DecayFits,
    n_frames: int,
    *,
    growth: NDArray[np.float64] | None = None,
    contrast: tuple[float, float] = (np.nan, np.nan),
    share: float = 1.0,
) -> tuple[BinnedCurves, int]:
    """Average curves of one scan over bins of lags.

    Parameters
    ----------
    lag : (L,) frames, rising
    g2 : (M, L); NaN where unknown
    covariance : (L, L) of g2 between lags, one for all curves
    fits : M rows, rates per frame
    n_frames : N
    growth : (M, L), how many times more each curve errs at each lag than `covariance` says; None: as it says
    contrast : and its standard error, from counts
    share : of the scan's pairs in each curve

    Returns
    -------
    BinnedCurves, and the unit: how many frames one step of the bins, and the time of the rates, stands for. It exceeds
    1 only in scans of more than 1600 frames that do not decay within the first 1200 lags.
    """
    rate = fits.relaxation_rate
    slow = not np.nanmedian(rate) * LONGEST > 3 if np.isfinite(rate).any() else True
    unit = -(-int(lag[-1]) // LONGEST) if slow and lag[-1] > LONGEST else 1
    known = np.isfinite(np.diagonal(covariance))
    spread = np.where(known[:, None] & known, covariance, 0.0)
    value, error = np.full((len(g2), BINS), np.nan), np.full((len(g2), BINS), np.nan)
    pairs = np.maximum(n_frames - lag, 1).astype(float)
    for m, curve in enumerate(g2):
        own = known & np.isfinite(curve)
        grown = np.ones(len(lag)) if growth is None else growth[m]
        own &= np.isfinite(grown)
        weights = bin_matrix(lag // unit, own, pairs)
        full = weights.sum(axis=1) > 0
        value[m, full] = (weights @ np.where(own, curve - 1, 0.0))[full]
        lever = weights * np.where(own, grown, 0.0)
        variance = np.einsum("bl,lk,bk->b", lever, spread, lever, optimize=True)
        error[m, full] = np.sqrt(np.maximum(variance, 0.0))[full]
    columns = np.stack([getattr(fits, name) for name in PARAMETERS], axis=1)
    errors = np.stack([getattr(fits, f"{name}_error") for name in PARAMETERS], axis=1)
    columns[:, 0] *= unit
    errors[:, 0] *= unit
    each = np.ones(len(g2))
    binned = BinnedCurves(
        value,
        error,
        columns,
        errors,
        each * (n_frames / unit),
        each * contrast[0],
        each * contrast[1],
        each * share,
    )
    return binned, unit


def significance(curves: BinnedCurves) -> NDArray[np.float64]:
    """By how many standard errors (M,) the start of each curve exceeds 1, over as many bins as make it most."""
    return _most_significant(curves)[0]


def amplitude(curves: BinnedCurves) -> NDArray[np.float64]:
    """The scale (M,) of each curve: its mean over the first bins, as many as make it most significant.

    Values, contrast and baseline are told to the networks in this unit, so that they know no absolute contrast. It is
    never below the error of what it is taken from.
    """
    scale = np.fmax(*_most_significant(curves)[1:])
    return np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)


def _most_significant(
    curves: BinnedCurves,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean over the first bins by its error, the mean, its error (M,)."""
    variance = np.where(np.isfinite(curves.value) & (curves.error > 0), curves.error, np.inf) ** 2
    weight = 1 / variance
    total = np.cumsum(weight, axis=1)
    mean = np.cumsum(weight * np.nan_to_num(curves.value), axis=1)
    mean = np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)
    error = np.divide(1, np.sqrt(total), out=np.full_like(total, np.inf), where=total > 0)
    first = np.argmax(np.where(np.isfinite(error), mean / error, -np.inf), axis=1)
    rows = np.arange(len(mean))
    chosen, its_error = mean[rows, first], error[rows, first]
    return chosen / its_error, chosen, its_error


def features(curves: BinnedCurves, scale: NDArray[np.float64]) -> NDArray[np.float32]:
    """What the networks see of each curve (M, F): values and errors in units of `scale`, its fit, the scan."""
    unit = scale[:, None]
    known = np.isfinite(curves.value) & (curves.error > 0)
    value = np.arcsinh(2 * np.where(known, curves.value / unit, 0.0)) / 2
    error = _log(np.where(known, curves.error / unit, np.nan), -6, 3, 3.0)
    fit, fit_error = fit_in_units(curves, scale)
    relative = curves.contrast / scale
    seen = np.isfinite(relative) & (curves.contrast_error > 0)
    extra = [
        np.log(scale),
        np.log(np.minimum(curves.frames, MOST_FRAMES)) - 5,
        np.log(curves.share),
        seen.astype(float),
        np.where(seen, np.arcsinh(2 * np.where(seen, relative, 0.0)) / 2, 0.0),
        _log(np.where(seen, curves.contrast_error / scale, np.nan), -6, 3, 3.0),
    ]
    on_bound = ~np.isfinite(curves.fit_error)
    columns = [value, error, known.astype(float), fit, fit_error, on_bound.astype(float), np.stack(extra, axis=1)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def fit_in_units(curves: BinnedCurves, scale: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fits (M, 4) as `in_units` has parameters, and the logarithms (M, 4) of their errors there."""
    rate, beta, alpha = curves.fit[:, 0], curves.fit[:, 1], curves.fit[:, 3]
    known = np.asarray(np.isfinite(curves.fit).all(axis=1))
    values = in_units(np.where(known[:, None], curves.fit, [0.05, 1.0, 1.0, 1.0]), np.where(known, scale, 1.0))
    units = np.stack([rate, beta, scale, alpha], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = _log(curves.fit_error / units, -6, 3, 3.0)
    return values, errors


def in_units(parameters: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Parameters (M, 4) as the networks tell them: log Γ, log(β / scale), (C∞ - 1) / scale, log α."""
    rate, beta, baseline, alpha = parameters[:, 0], parameters[:, 1], parameters[:, 2], parameters[:, 3]
    return np.stack(
        [
            np.log(np.maximum(rate, SMALLEST_RATE)),
            np.log(np.clip(beta / scale, 1e-3, 1e2)),
            np.clip((baseline - 1) / scale, -5, 5),
            np.log(np.clip(alpha, 0.1, 5.0)),
        ],
        axis=1,
    )


def _log(values: NDArray[np.float64], low: float, high: float, missing: float) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.clip(np.log(values), low, high)
    return np.where(np.isfinite(values), np.nan_to_num(logs, nan=missing, neginf=low), missing)
