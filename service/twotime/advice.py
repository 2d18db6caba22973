"""What to measure next: how the error of a rate would fall with more frames, repeats, flux, or another frame time."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from twotime.verdict.words import duration
from twotime.xpcs.decay import INCOMPLETE
from twotime.xpcs.precision import LONGEST_LAG, Exposure, blurred, relative_error

Change = Literal["frames", "repeats", "flux", "frame_time"]
FACTORS: dict[Change, tuple[float, ...]] = {
    "frames": (0.5, 1, 2, 4, 8, 16, 32),
    "repeats": (1, 2, 4, 8, 16, 32),
    "flux": (0.3, 1, 3, 10, 30),
    "frame_time": (0.125, 0.25, 0.5, 1, 2, 4, 8),
}
"""By how much each is changed; `frame_time` at the same flux and length of the scan, so that frames get fewer."""
MOST_GAIN = 2.0
"""An error found larger than that of the model scales what is predicted, by so much at most."""
VAGUE = 0.5
"""Relative error of Γ above which the rate is not known well enough to say more than a direction."""
TOO_LONG = 0.5
"""Contrast left after one frame, below which frames are too long for the rate."""
NO_LOSS = 1.05
FEWEST_FRAMES = 50


@dataclass(frozen=True)
class Option:
    """One way to measure the same again.

    Attributes
    ----------
    change : what differs from the scan that was analysed
    factor : by how much
    n_frames, frame_time_s, photons : of that scan; `n_frames` in each repeat, `photons` per pixel and frame
    relative_error : predicted standard error of Γ / Γ
    """

    change: Change
    factor: float
    n_frames: int
    frame_time_s: float
    photons: float
    relative_error: float


@dataclass(frozen=True)
class Advice:
    """How the relative error of the rate of one ROI would change, and what it takes to reach a target.

    Attributes
    ----------
    roi : number
    relative_error : of the leading rate as it is
    target : relative error that is asked for
    options : all that was tried, by kind and factor
    needed : the least change of each kind that reaches the target; kinds that cannot are missing
    sentence : `needed` in words
    notes : what to mind, in words
    """

    roi: int
    relative_error: float
    target: float
    options: tuple[Option, ...]
    needed: tuple[Option, ...]
    sentence: str
    notes: tuple[str, ...]


def advice(row: dict[Any, Any], n_frames: int, frame_time_s: float, target: float = 0.05) -> Advice:
    """Predict errors of the rate of one ROI from its row of the table `fits`.

    Parameters
    ----------
    row : of `fits`
    n_frames : that were analysed and not left out
    frame_time_s : between two of them
    target : relative error that is wanted

    Returns
    -------
    Advice
        Errors by `twotime.xpcs.precision.relative_error`. Where this scan's error is larger than the model's, all are
        larger by the same factor (at most 2); where it is smaller, the difference is information that the estimate
        has beside the curve, and is added to that of each. Of several repeats the rates are averaged. With another
        frame time, frames and photons change so that flux and length of the scan stay; the contrast is blurred over the
        exposure as a simple exponential blurs it. Without a rate there are no options, and the notes say so.

    Raises
    ------
    ValueError
        If `target` is not above 0 and below 1.
    """
    if not 0 < target < 1:
        raise ValueError(f"relative_error is {target:g}, expected above 0 and below 1, such as 0.05.")
    roi = int(row["roi"])
    found = float(row["relaxation_rate_error"]) / float(row["relaxation_rate"]) if row["relaxation_rate"] else math.nan
    now = _exposure(row, n_frames, frame_time_s)
    if now is None or not (math.isfinite(found) and found > 0):
        words = f"ROI {roi} has no rate to plan with: measure with more photons or frames first."
        return Advice(roi, math.nan, target, (), (), words, ())
    own = relative_error(now)
    gain = min(max(found / own, 1.0), MOST_GAIN)
    plan = _Plan(now, frame_time_s, gain, max(1 / found**2 - 1 / own**2, 0.0))
    options = tuple(
        plan.option(change, factor)
        for change, factors in FACTORS.items()
        for factor in factors
        if plan.possible(change, factor)
    )
    needed = tuple(one for change in FACTORS if (one := plan.least(change, options, target)) is not None)
    return Advice(
        roi, found, target, options, needed, _sentence(roi, found, target, needed), _notes(row, now, plan, options)
    )


@dataclass(frozen=True)
class _Plan:
    """Predictions from one scan."""

    now: Exposure
    frame_time_s: float
    gain: float
    beside: float
    """Information on log Γ that does not come from the curve."""

    def option(self, change: Change, factor: float) -> Option:
        """What a scan changed by `factor` would give."""
        changed = self._changed(change, factor)
        information = 1 / (self.gain * relative_error(changed)) ** 2 + self.beside
        error = 1 / math.sqrt(information * (factor if change == "repeats" else 1.0))
        time_s = self.frame_time_s * (factor if change == "frame_time" else 1.0)
        return Option(change, factor, round(changed.n_frames), time_s, changed.counts, error)

    def possible(self, change: Change, factor: float) -> bool:
        """Whether enough frames are left for an estimate."""
        fewer = {"frames": factor, "frame_time": 1 / factor}.get(change, 1.0)
        return self.now.n_frames * fewer >= FEWEST_FRAMES

    def least(self, change: Change, options: tuple[Option, ...], target: float) -> Option | None:
        """The change nearest to none that reaches the target, between the options that were tried."""
        own = [one for one in options if one.change == change]
        logs = np.log([one.factor for one in own])
        fine = np.linspace(logs[0], logs[-1], 200)
        error = np.exp(np.interp(fine, logs, np.log([one.relative_error for one in own])))
        reached = np.flatnonzero((error <= target) & ((fine >= 0) | (change == "frame_time")))
        if not len(reached) or any(one.factor == 1 and one.relative_error <= target for one in own):
            return None
        factor = float(np.exp(fine[reached[np.argmin(np.abs(fine[reached]))]]))
        return self.option(change, math.ceil(factor) if change == "repeats" else float(f"{factor:.2g}"))

    def _changed(self, change: Change, factor: float) -> Exposure:
        now = self.now
        if change == "frames":
            return replace(now, n_frames=now.n_frames * factor)
        if change == "flux":
            return replace(now, counts=now.counts * factor)
        if change == "frame_time":
            blur = blurred(now.rate * factor) / blurred(now.rate)
            return replace(
                now,
                n_frames=now.n_frames / factor,
                counts=now.counts * factor,
                rate=now.rate * factor,
                beta=now.beta * blur,
            )
        return now


def _exposure(row: dict[Any, Any], n_frames: int, frame_time_s: float) -> Exposure | None:
    values = [float(row[name]) for name in ("mean_counts", "relaxation_rate", "beta", "baseline", "alpha")]
    if not all(math.isfinite(one) and one > 0 for one in values) or n_frames < FEWEST_FRAMES:
        return None
    counts, rate, beta, baseline, alpha = values
    pixels = float(row["n_pixels"])
    return Exposure(n_frames, pixels, counts, rate * frame_time_s, beta, max(baseline, 1.0), min(alpha, 2.0))


def _sentence(roi: int, found: float, target: float, needed: tuple[Option, ...]) -> str:
    if found <= target:
        return f"ROI {roi} is known to {100 * found:.2g} %, which reaches {100 * target:.2g} %."
    if not needed:
        return f"ROI {roi} to {100 * target:.2g} %: no single change reaches it; combine more flux with more repeats."
    words = {
        "frames": lambda one: f"{one.n_frames} frames",
        "repeats": lambda one: f"{one.factor:.0f} repeats",
        "flux": lambda one: f"{one.factor:.2g} × the flux",
        "frame_time": lambda one: f"{duration(one.frame_time_s)} frames",
    }
    return f"ROI {roi} to {100 * target:.2g} %: {', or '.join(words[one.change](one) for one in needed)}."


def _notes(row: dict[Any, Any], now: Exposure, plan: _Plan, options: tuple[Option, ...]) -> tuple[str, ...]:
    notes = []
    if not row["trusted"] or row["relaxation_rate_error"] > VAGUE * row["relaxation_rate"]:
        notes.append("The rate itself is uncertain, and with it what is said here.")
    if math.exp(-2 * now.rate**now.alpha) < TOO_LONG:
        share = 100 * math.exp(-2 * now.rate**now.alpha)
        notes.append(f"The frame time is too long for the rate: {share:.0f} % of the contrast is left after one frame.")
    coarse = next((one for one in reversed(options) if one.change == "frame_time" and one.factor > 1), None)
    same = plan.option("frame_time", 1.0).relative_error
    if coarse is not None and coarse.n_frames > FEWEST_FRAMES and coarse.relative_error < NO_LOSS * same:
        notes.append(
            f"The frame time is shorter than the rate needs: frames of {duration(coarse.frame_time_s)} "
            "would give the same error from fewer data."
        )
    end = LONGEST_LAG * now.n_frames
    if math.exp(-2 * (now.rate * end) ** now.alpha) > INCOMPLETE:
        enough = (math.log(1 / INCOMPLETE) / 2) ** (1 / now.alpha) / now.rate / LONGEST_LAG
        if enough < 1e7:
            notes.append(f"The scan ends before the decay: {enough:.2g} frames, or longer ones, would see its end.")
    return tuple(notes)
