"""Posteriors of curves and windows as rows of numbers: medians, errors, intervals, and whether to trust them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.posterior.curves import (
    EDGES,
    PARAMETERS,
    BinnedCurves,
    amplitude,
    bin_curves,
    features,
    fit_in_units,
    in_units,
    significance,
)
from cnn_ed.posterior.measured import WindowCurves, no_fit, window_features
from cnn_ed.posterior.mixture import Mixture
from cnn_ed.posterior.network import PosteriorNetwork, Shape, together
from twotime.xpcs import DecayFits, decay

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = "e2"
BASELINE_FLOOR = 0.02
"""Of the scale of a curve, the least standard error of C∞: simulated baselines are exactly 1, measured ones drift."""
SHARES = (0.025, 0.16, 0.5, 0.84, 0.975)
WIDEST = 0.5
"""Half of the 68 % interval of log Γ above which a rate is too vague to decide on: a factor of 1.6 either way."""
FAINTEST = 4.5
"""Standard errors by which the start of a curve must exceed 1: noise alone does so less than once in a thousand."""
STRETCHED = 0.45
"""α below which a decay goes on over decades of time: several rates, or none, as two decays 40 times apart look."""
SCALES = (1, 3, 8)
"""Neighbouring bins over which the deviation of a curve from its estimate is averaged before it is judged."""
DRAWS = 4000
"""From the posterior, where a recipe bounds parameters."""
FEWEST_DRAWS = 40


@dataclass(frozen=True)
class Estimates(DecayFits):
    """Posterior medians in the place of fitted values: rows as `twotime.xpcs.fit_decay` returns them, with intervals.

    Errors are half of the 68 % interval; `chi2` compares the curve with the decay of the medians; `r2` is NaN. (A
    subclass, so that whoever reads rows of fits reads estimates too.)

    Attributes
    ----------
    interval_68, interval_95 : (M, 4, 2), equal tails, parameters in the order rate, beta, baseline, alpha
    structure : (M, S), deviations of the curve from the estimated decay, see `misfit_of`
    misfit : (M,), the largest of them in units of what is usual for a decay; above 1 not trusted
    """

    interval_68: NDArray[np.float64]
    interval_95: NDArray[np.float64]
    structure: NDArray[np.float64]
    misfit: NDArray[np.float64]

    def in_unit(self, unit: float) -> "Estimates":
        """The same with rates in 1/unit of time."""
        scale = np.array([1 / unit, 1.0, 1.0, 1.0])[:, None]
        same = super().in_unit(unit)
        return replace(same, interval_68=self.interval_68 * scale, interval_95=self.interval_95 * scale)


class Estimator:
    """Trained networks that tell what curves say of their decay.

    Parameters
    ----------
    networks : by kind ("scan", "two_time", "window"), some of each
    card : their description, as ``card.json`` holds it

    Notes
    -----
    "scan" reads curves whose errors come from the pixels, "two_time" those of a two-time correlation function alone,
    "window" windows of 50 frames at contrast 1. The posterior is that of the prior on which the networks were trained
    (`cnn_ed.posterior.scans.draw`; the measured windows for "window"), one stretched or compressed exponential.
    """

    def __init__(self, networks: Mapping[str, list[PosteriorNetwork]], card: dict[str, Any]) -> None:
        self.version: str = card["version"]
        self.card = card
        self._networks = networks
        self._usual = {kind: np.array(limits) for kind, limits in card["misfit"].items()}

    @classmethod
    def load(cls, version: str = SHIPPED, path: Path | None = None) -> "Estimator":
        """Load a version of the weights; without arguments the shipped one.

        Raises
        ------
        ValueError
            If there is no such version, or a file is missing or not the one that the card describes.
        """
        folder = path or WEIGHTS / version
        if not (folder / "card.json").is_file():
            raise ValueError(f"There is no estimator {folder.name}: {folder} holds no card.json.")
        card = json.loads((folder / "card.json").read_text())
        networks: dict[str, list[PosteriorNetwork]] = {}
        for name, sha256 in card["files"].items():
            content = (folder / name).read_bytes() if (folder / name).is_file() else b""
            if hashlib.sha256(content).hexdigest() != sha256:
                raise ValueError(f"{folder / name} is missing or not the file that card.json describes.")
            kind = name.rpartition("_")[0]
            network = PosteriorNetwork(Shape(**card["shapes"][kind])).eval()
            network.load_state_dict(torch.load(BytesIO(content), weights_only=True))
            networks.setdefault(kind, []).append(network)
        return cls(networks, card)

    def of_curves(
        self,
        lag: NDArray[np.int64],
        g2: NDArray[np.float64],
        covariance: NDArray[np.float64],
        fits: DecayFits,
        n_frames: int,
        *,
        kind: str = "scan",
        growth: NDArray[np.float64] | None = None,
        contrast: tuple[float, float] = (np.nan, np.nan),
        share: float = 1.0,
        fixed: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> Estimates:
        """Estimate the decays of curves of one scan; rates per frame.

        Parameters
        ----------
        lag, g2, covariance, fits, n_frames, growth, contrast, share : see `cnn_ed.posterior.curves.bin_curves`; `fits`
            is the weighted least-squares fit with all parameters free
        kind : "scan" where `covariance` comes from the pixels, "two_time" where from a two-time function alone
        fixed, bounds : what is known of parameters, rates per frame
        """
        curves, unit = bin_curves(lag, g2, covariance, fits, n_frames, growth=growth, contrast=contrast, share=share)
        known = {name: value * unit if name == "relaxation_rate" else value for name, value in (fixed or {}).items()}
        ends = {
            name: (low * unit, high * unit) if name == "relaxation_rate" else (low, high)
            for name, (low, high) in (bounds or {}).items()
        }
        return self.of_binned(curves, kind, fixed=known, bounds=ends).in_unit(float(unit))

    def of_binned(
        self,
        curves: BinnedCurves,
        kind: str = "scan",
        *,
        fixed: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> Estimates:
        """Estimate the decays of binned curves; rates per step of their bins."""
        scale = amplitude(curves)
        seen = torch.from_numpy(features(curves, scale))
        fit = torch.from_numpy(fit_in_units(curves, scale)[0].astype(np.float32))
        rows = self._rows(self._posterior(kind, seen, fit), scale, fixed or {}, bounds or {})
        structure, chi2 = misfit_of(curves, rows)
        misfit = (structure / self._usual[kind]).max(axis=1)
        return _judged(replace(rows, chi2=chi2, structure=structure, misfit=misfit), curves)

    def of_windows(self, windows: WindowCurves) -> Estimates:
        """Estimate the decays of windows at contrast 1; rates per frame."""
        seen = window_features(*(torch.from_numpy(own.astype(np.float32)) for own in (windows.g2, windows.noise)))
        scale = np.ones(len(windows.noise))
        rows = self._rows(self._posterior("window", seen, no_fit(len(seen))), scale, {}, {})
        structure = windows.misfit(rows)
        misfit = (structure / self._usual["window"]).max(axis=1)
        return _judged(replace(rows, chi2=structure[:, 0] ** 2, structure=structure, misfit=misfit), None)

    def _posterior(self, kind: str, seen: torch.Tensor, fit: torch.Tensor) -> Mixture:
        with torch.inference_mode():
            return together([network.mixture(seen, fit) for network in self._networks[kind]])

    def _rows(
        self,
        posterior: Mixture,
        scale: NDArray[np.float64],
        fixed: Mapping[str, float],
        bounds: Mapping[str, tuple[float, float]],
    ) -> Estimates:
        known = {}
        for name, value in fixed.items():
            place = PARAMETERS.index(name)
            row = np.ones((len(scale), 4))
            row[:, place] = value
            known[place] = torch.from_numpy(in_units(row, scale)[:, place].astype(np.float32))
        with torch.inference_mode():
            posterior = posterior.given(known)
            quantiles = posterior.quantiles(SHARES).numpy().astype(float)  # (M, 4, S)
            covariance = posterior.moments()[1].numpy().astype(float)
        if PARAMETERS.index("baseline") not in known:
            _widen_baseline(quantiles, covariance)
        excluded = np.zeros(len(scale), bool)
        if bounds:
            quantiles, covariance, excluded = _bounded(posterior, quantiles, covariance, scale, bounds)
        natural = np.stack([_natural(quantiles[:, :, k], scale) for k in range(len(SHARES))], axis=2)
        error = (natural[:, :, 3] - natural[:, :, 1]) / 2
        for place, own in known.items():
            error[:, place] = 0.0
            natural[:, place] = _natural_one(place, own.numpy(), scale)[:, None]
        deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-30))
        correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
        columns = dict(zip(PARAMETERS, natural[:, :, 2].T, strict=True))
        columns |= {f"{name}_error": own for name, own in zip(PARAMETERS, error.T, strict=True)}
        none = np.full(len(scale), np.nan)
        return Estimates(
            **columns,
            covariance=correlation * error[:, :, None] * error[:, None, :],
            chi2=none,
            r2=none,
            on_bound=[()] * len(scale),
            trusted=~excluded,
            reason=["the bounds leave out what the curve says" if out else "" for out in excluded],
            interval_68=natural[:, :, [1, 3]],
            interval_95=natural[:, :, [0, 4]],
            structure=np.full((len(scale), 1 + len(SCALES)), np.nan),
            misfit=none,
        )


def _widen_baseline(quantiles: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    """Let no baseline be known better than `BASELINE_FLOOR`, in place."""
    place = PARAMETERS.index("baseline")
    own = quantiles[:, place]  # (M, S), a view
    middle = own[:, 2].copy()
    for column, widths in zip((0, 1, 3, 4), (-1.96, -1.0, 1.0, 1.96), strict=True):
        least = middle + widths * BASELINE_FLOOR
        own[:, column] = np.fmin(own[:, column], least) if widths < 0 else np.fmax(own[:, column], least)
    deviation = np.sqrt(np.maximum(covariance[:, place, place], 1e-30))
    growth = np.fmax(1.0, BASELINE_FLOOR / deviation)
    covariance[:, place, :] *= growth[:, None]
    covariance[:, :, place] *= growth[:, None]


def misfit_of(curves: BinnedCurves, rows: DecayFits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far curves lie from the decays of their estimates.

    Returns
    -------
    (M, 1 + S) array, (M,) array
        The largest second difference between three neighbouring bins, and for each of `SCALES` the largest absolute
        mean deviation of so many bins, all in units of their own error; and χ² per bin. Errors of bins are taken as
        independent, so only the values that are usual for a decay give these a meaning (``card.json``, "misfit").
    """
    first = _bin_lags()
    values = [getattr(rows, name)[:, None] for name in PARAMETERS]
    values[2] = values[2] - 1
    with np.errstate(over="ignore"):  # Decays that are over at once.
        model = decay(first, *values)
    known = np.isfinite(curves.value) & (curves.error > 0)
    deviation = np.where(known, (curves.value - model) / np.where(known, curves.error, 1.0), 0.0)
    number = np.maximum(known.sum(axis=1), 1)
    structure = []
    for kernel in (np.array([1.0, -2.0, 1.0]) / np.sqrt(6), *(np.ones(scale) / np.sqrt(scale) for scale in SCALES)):
        smooth = np.stack([np.convolve(row, kernel, "valid") for row in deviation])
        structure.append(np.abs(smooth).max(axis=1))
    return np.stack(structure, axis=1), (deviation**2).sum(axis=1) / number


def _bin_lags() -> NDArray[np.float64]:
    """The lag (B,) at which a decay is compared with each bin: the geometric mean of its ends."""
    return np.sqrt(EDGES[:-1] * (EDGES[1:] - 1.0))


def _natural(values: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([_natural_one(place, values[:, place], scale) for place in range(4)], axis=1)


def _natural_one(place: int, values: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """A parameter as users know it, from the units of `in_units`."""
    if place == 1:
        return np.asarray(np.exp(values) * scale)
    if place == 2:
        return np.asarray(1 + values * scale)
    return np.asarray(np.exp(values))


def _bounded(
    posterior: Mixture,
    quantiles: NDArray[np.float64],
    covariance: NDArray[np.float64],
    scale: NDArray[np.float64],
    bounds: Mapping[str, tuple[float, float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Quantiles and covariance of the part of the posterior within bounds, and where next to nothing is left."""
    rng = np.random.default_rng(20261124)
    excluded = np.zeros(len(scale), bool)
    for m in range(len(scale)):
        which = rng.choice(posterior.weight.shape[1], DRAWS, p=_shares(posterior.weight[m].numpy().astype(float)))
        factor = np.linalg.cholesky(posterior.covariance[m].numpy() + 1e-12 * np.eye(4))
        drawn = posterior.mean[m].numpy()[which] + np.einsum(
            "nij,nj->ni", factor[which], rng.standard_normal((DRAWS, 4))
        )
        natural = _natural(drawn, np.full(DRAWS, scale[m]))
        inside = np.ones(DRAWS, bool)
        for name, (low, high) in bounds.items():
            own = natural[:, PARAMETERS.index(name)]
            inside &= (own >= low) & (own <= high)
        excluded[m] = np.count_nonzero(inside) < FEWEST_DRAWS
        if not excluded[m]:
            quantiles[m] = np.quantile(drawn[inside], SHARES, axis=0).T
            covariance[m] = np.cov(drawn[inside], rowvar=False)
    return quantiles, covariance, excluded


def _shares(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weight / weight.sum(), np.float64)


def _judged(rows: Estimates, curves: BinnedCurves | None) -> Estimates:
    """Rows with the reasons not to trust them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.diff(np.log(rows.interval_68[:, 0]), axis=1)[:, 0] / 2
    strength = None if curves is None else significance(curves)
    reasons = []
    for m, given in enumerate(rows.reason):
        told = [given] if given else []
        if curves is not None and not np.isfinite(curves.value[m]).any():
            told.append("no lag has a value")
        if strength is not None and not strength[m] >= FAINTEST:
            told.append(f"no contrast beyond the noise: it is {max(strength[m], 0):.1f} times its error")
        if not width[m] <= WIDEST:
            low, high = rows.interval_68[m, 0]
            told.append(f"the data leave the rate open: 68 % between factors {_factors(rows, m, low, high)}")
        if rows.alpha[m] < STRETCHED and rows.alpha_error[m] > 0:
            told.append(f"the decay goes on over decades of time (α {rows.alpha[m]:.2f}): no single rate describes it")
        if not rows.misfit[m] <= 1:
            told.append(
                f"the curve is not a single decay: it deviates {rows.misfit[m]:.1f} times as much as decays usually do"
            )
        reasons.append("; ".join(told))
    return replace(rows, reason=reasons, trusted=np.array([not one for one in reasons], bool))


def _factors(rows: Estimates, m: int, low: float, high: float) -> str:
    rate = rows.relaxation_rate[m]
    return f"{low / rate:.2g} and {high / rate:.2g} of the value shown"
