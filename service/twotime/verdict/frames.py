"""What denoised frames say: peaks, regions that change, and frames that are not to be believed."""

from typing import Any

import numpy as np
import pandas as pd

from twotime.verdict.statements import Level, Picture, Quantity, Statement, Verdict

CHANGES_CHI2 = 3.0
"""χ² per degree of freedom above which the counts of a region are said to change."""
ROUGH_RESIDUAL = 1.3
"""Standard deviation of the residual above which a denoised frame is said to miss something."""


def frame_verdict(tables: dict[str, pd.DataFrame], variable: str, unit: str) -> Verdict:
    """What the tables of denoised frames say.

    Parameters
    ----------
    tables : ``frames``, ``peaks`` and, where there are regions, ``regions``
    variable, unit : of the scan; empty where there is none

    Notes
    -----
    A region changes where a constant rate per frame fits its raw counts with χ² per degree of freedom above 3.
    """
    against = f" with {variable}" if variable else ""
    found = [*_doubts(tables["frames"]), *_peaks(tables), *_regions(tables.get("regions"), against, unit)]
    return Verdict(tuple(one for one, _ in found), tuple(sentence for _, sentence in found))


def _doubts(frames: pd.DataFrame) -> list[tuple[Statement, str]]:
    found = []
    unlike = frames[frames["unlike"] != ""]
    if len(unlike):
        text = (
            f"{_of(len(unlike), len(frames))} unlike those the denoiser was trained on ({unlike['unlike'].iloc[0]}); "
            "believe the raw counts there."
        )
        found.append((_statement("frames_unlike", "mind", {"frames": Quantity(len(unlike), 0.0)}, "frames"), text))
    rough = frames[frames["residual_deviation"] > ROUGH_RESIDUAL]
    if len(rough):
        worst = float(rough["residual_deviation"].max())
        text = (
            f"The residual of {len(rough)} frames scatters more than counting does (up to {worst:.2g} times); "
            "the denoised frames miss something there."
        )
        found.append((_statement("residual", "mind", {"deviation": Quantity(worst, 0.0)}, "frames"), text))
    return found


def _peaks(tables: dict[str, pd.DataFrame]) -> list[tuple[Statement, str]]:
    peaks, n_frames = tables["peaks"], len(tables["frames"])
    values = {"peaks": Quantity(len(peaks), 0.0)}
    if not len(peaks):
        return [(_statement("no_peaks", "note", values, "peaks"), "No peak stands out of any frame.")]
    strongest = peaks.iloc[int(peaks["significance"].argmax())]
    own = f"{len(peaks)} peaks stand out in {peaks['frame'].nunique()} of {n_frames} frames"
    text = (
        f"{own}, the most significant ({strongest['significance']:.3g} σ) at row "
        f"{strongest['row']:.1f} ± {strongest['row_error']:.1g}, "
        f"column {strongest['column']:.1f} ± {strongest['column_error']:.1g} of frame {int(strongest['frame'])}."
    )
    return [(_statement("peaks", "good", values, "peaks"), text)]


def _regions(regions: pd.DataFrame | None, against: str, unit: str) -> list[tuple[Statement, str]]:
    found: list[tuple[Statement, str]] = []
    for number, own in [] if regions is None else regions.groupby("region"):
        if len(own) < 2:
            continue
        region = int(str(number))
        chi2, degrees = _chi2_of_constant(own), len(own) - 1
        values = {"chi2": Quantity(chi2 / degrees, 0.0)}
        if chi2 / degrees <= CHANGES_CHI2:
            text = f"The counts of region {region} stay the same (χ² {chi2 / degrees:.2g} per degree of freedom)."
            found.append((_statement("region_constant", "note", values, "regions", region), text))
            continue
        rate = own["counts"] / own["frames_summed"]
        low, high = own.iloc[int(rate.argmin())], own.iloc[int(rate.argmax())]
        text = (
            f"The counts of region {region} change{against}: from {_counts(low, unit)} to {_counts(high, unit)} "
            f"(χ² {chi2 / degrees:.3g} per degree of freedom for no change)."
        )
        found.append((_statement("region_changes", "good", values, "regions", region), text))
    return found


def _chi2_of_constant(rows: pd.DataFrame) -> float:
    """χ² of one rate per frame for all counts of a region; errors are those of the expected counts."""
    counts, exposure = rows["counts"].to_numpy(float), rows["frames_summed"].to_numpy(float)
    expected = np.maximum(counts.sum() / exposure.sum() * exposure, 1.0)
    return float(((counts - expected) ** 2 / expected).sum())


def _counts(row: "pd.Series[Any]", unit: str) -> str:
    place = "" if np.isnan(row["scan_value"]) else f" at {row['scan_value']:.4g}{f' {unit}' if unit else ''}"
    return f"{row['counts']:.0f} ± {row['counts_error']:.0f}{place}"


def _of(some: int, number: int) -> str:
    if some == number:
        return "All frames are" if number > 1 else "The frame is"
    return f"{some} of {number} frames {'are' if some > 1 else 'is'}"


def _statement(
    code: str, level: Level, values: dict[str, Quantity], picture: Picture, region: int | None = None
) -> Statement:
    return Statement(code, level, values, () if region is None else (region,), picture)
