"""What the intensity says of beam and sample: interruptions, drift, and changes with dose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2 as chi2_distribution

from twotime.verdict.evidence import Evidence
from twotime.verdict.statements import Quantity, Statement

BLOCKS = 20
FEWEST_FRAMES = 40
SIGNIFICANT = 5.0
"""Errors from which a change of the intensity is believed."""
SMALLEST_DRIFT, SMALLEST_SWING, SMALLEST_SCATTER = 0.03, 0.05, 0.05
"""Relative changes of the intensity below which nothing is said: over the scan, of parts of it, from frame to frame."""
MANY_BAD = 0.01
"""Share of frames left out from which the beam is called unstable."""
SMALLEST_SHAPE = 0.05
RARE = 1e-4


@dataclass(frozen=True)
class Intensity:
    """Relative intensity over time, in blocks of frames.

    Attributes
    ----------
    time_s : (B,) middle of each block
    total : (B,) of all ROIs together, mean 1
    rois : (B, R) of each ROI, mean 1
    floor : what speckle alone changes the total by
    roi_floor : (R,) the same of each ROI
    scatter, scatter_error : from frame to frame, beyond counting
    """

    time_s: NDArray[np.float64]
    total: NDArray[np.float64]
    rois: NDArray[np.float64]
    floor: float
    roi_floor: NDArray[np.float64]
    scatter: float
    scatter_error: float


def intensity_of(evidence: Evidence) -> Intensity | None:
    """Blocks of the frames that count; None of scans shorter than 40 frames.

    Speckle makes the mean of P pixels fluctuate by √(β/P) for as long as the speckles live, so the change of a scan of
    slow dynamics is uncertain by that much twice, whatever the scatter within it.
    """
    good = np.flatnonzero(~evidence.bad)
    if len(good) < FEWEST_FRAMES:
        return None
    counts = evidence.intensity[good]
    mean = counts.mean(axis=0)
    use = mean > 0
    pixels = evidence.column("n_pixels")
    relative = np.full(counts.shape, np.nan)
    relative[:, use] = counts[:, use] / mean[use]
    weight = np.where(use, pixels * mean, 0.0)
    total = np.nan_to_num(relative) @ weight / weight.sum()
    contrast = np.fmax(np.nan_to_num(evidence.column("contrast"), nan=0.0), 0.0)
    roi_floor = np.sqrt(contrast / np.maximum(pixels, 1))
    steps = np.diff(total)[np.diff(good) == 1]
    variance = float(np.median(np.abs(steps)) / 0.6745) ** 2 / 2
    known = 1 / float(weight.sum()) + float((weight**2 * roi_floor**2).sum() / weight.sum() ** 2)
    scatter = float(np.sqrt(max(variance - known, 0.0)))
    edges = [part for part in np.array_split(np.arange(len(good)), BLOCKS) if len(part)]
    return Intensity(
        time_s=np.array([(good[part].mean() + 0.5) * evidence.frame_time_s for part in edges]),
        total=np.array([total[part].mean() for part in edges]),
        rois=np.array([relative[part].mean(axis=0) for part in edges]),
        floor=float(np.sqrt((weight**2 * roi_floor**2).sum()) / weight.sum()),
        roi_floor=roi_floor,
        scatter=scatter,
        scatter_error=float(np.sqrt(max(variance, 1e-12) / max(len(steps), 1))) * 1.2,
    )


def unstable(evidence: Evidence, seen: Intensity | None) -> list[Statement]:
    """Frames left out, swings and flicker of the intensity of all ROIs together, and when.

    Said where more than 1 % of the frames were left out; or a twentieth of the scan lies more than 5 % (and 5 errors)
    from the line through all twenty; or neighbouring frames scatter by more than 5 % beyond counting and speckle. The
    time is that of the first frame left out, or of the block that lies farthest away.
    """
    number, total = int(evidence.bad.sum()), len(evidence.bad)
    half = 0.5 * evidence.frame_time_s
    statements = []
    if number > max(1.0, MANY_BAD * total):
        first, last = (float(k) * evidence.frame_time_s for k in np.flatnonzero(evidence.bad)[[0, -1]])
        values = {
            "number": Quantity(number, 0.0),
            "total": Quantity(total, 0.0),
            "first": Quantity(first, half, "s"),
            "last": Quantity(last, half, "s"),
        }
        statements.append(Statement("frames_lost", "mind", values, evidence.rois, "intensity"))
    if seen is None:
        return statements
    rest = seen.total - np.polyval(np.polyfit(seen.time_s, seen.total, 1), seen.time_s)
    error = max(_robust(rest), seen.floor)
    far = int(np.argmax(np.abs(rest)))
    half_block = 0.5 * evidence.duration_s / len(seen.time_s)
    if abs(rest[far]) > max(SMALLEST_SWING, SIGNIFICANT * error):
        values = {
            "swing": Quantity(float(rest[far]), error),
            "when": Quantity(float(seen.time_s[far]), half_block, "s"),
        }
        statements.append(Statement("beam_unstable", "mind", values, evidence.rois, "intensity"))
    elif seen.scatter > max(SMALLEST_SCATTER, SIGNIFICANT * seen.scatter_error):
        values = {"scatter": Quantity(seen.scatter, seen.scatter_error)}
        statements.append(Statement("beam_flickers", "mind", values, evidence.rois, "intensity"))
    return statements


def drift(evidence: Evidence, seen: Intensity | None) -> list[Statement]:
    """A steady change of the intensity of all ROIs together over the scan, beyond 3 % and 5 errors."""
    if seen is None:
        return []
    change, error = _change(seen.time_s, seen.total, seen.floor)
    if abs(change) < max(SMALLEST_DRIFT, SIGNIFICANT * error):
        return []
    return [Statement("drift", "note", {"change": Quantity(change, error)}, evidence.rois, "intensity")]


def scattering_changes(evidence: Evidence, seen: Intensity | None) -> list[Statement]:
    """ROIs whose intensity changes unlike that of the others: the scattering itself changes, not the beam.

    Said where a common change has a χ² with a probability below 10⁻⁴ and one ROI differs from it by more than 5 % and
    5 errors.
    """
    if seen is None or seen.rois.shape[1] < 2:
        return []
    changes = [_change(seen.time_s, seen.rois[:, r], float(seen.roi_floor[r])) for r in range(seen.rois.shape[1])]
    change, error = np.array(changes).T
    own = np.isfinite(change) & (error > 0)
    if own.sum() < 2:
        return []
    weight = 1 / error[own] ** 2
    common = float((weight * change[own]).sum() / weight.sum())
    rest = change - common
    chi2 = float((weight * rest[own] ** 2).sum())
    apart = own & (np.abs(rest) > np.maximum(SMALLEST_SHAPE, SIGNIFICANT * error))
    if chi2_distribution.sf(chi2, own.sum() - 1) > RARE or not apart.any():
        return []
    most = int(np.argmax(np.where(apart, np.abs(rest), 0.0)))
    values = {
        "change": Quantity(float(change[most]), float(error[most])),
        "common": Quantity(common, float(1 / np.sqrt(weight.sum()))),
    }
    rois = tuple(roi for roi, one in zip(evidence.rois, apart, strict=True) if one)
    return [Statement("scattering_changes", "mind", values, rois, "intensity")]


def damage(rate: list[Statement], intensity: list[Statement]) -> list[Statement]:
    """Likely beam damage: the rate rises with dose, or changes together with the intensity.

    Samples that age by themselves slow down as a rule; heating and broken bonds speed them up. Dose is taken as
    proportional to time. Said where `ages` finds the rate faster, or slower or unsteady while the intensity of all or
    of some ROIs changes too.
    """
    moved = next((one for one in rate if one.code in ("faster", "slower", "unsteady")), None)
    if moved is None or (moved.code != "faster" and not intensity):
        return []
    values = {"rate": moved.values["change"]} if "change" in moved.values else {}
    if intensity:
        values["intensity"] = intensity[0].values["change"]
    return [Statement("damage", "mind", values, moved.rois, "age")]


def _change(time_s: NDArray[np.float64], values: NDArray[np.float64], floor: float) -> tuple[float, float]:
    """Relative change of a line from the first to the last frame, and its error, at least that of speckle."""
    span = float(np.ptp(time_s)) * len(time_s) / (len(time_s) - 1)
    slope, level = np.polyfit(time_s - time_s.mean(), values, 1)
    rest = values - level - slope * (time_s - time_s.mean())
    error = float(np.sqrt((rest**2).sum() / (len(time_s) - 2) / ((time_s - time_s.mean()) ** 2).sum()))
    return float(slope * span), float(np.hypot(error * span, 2 * floor))


def _robust(values: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(values - np.median(values))) / 0.6745)
