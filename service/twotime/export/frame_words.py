"""What an analysis of denoised frames found, in words and cells that its report and its text share."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from twotime.export.tables import with_error
from twotime.results import Analysis

CITATION = (
    "J. Oppliger et al., Weak signal extraction enabled by deep neural network denoising of diffraction data, Nature "
    "Machine Intelligence 6, 180-186 (2024), for the method; network and training are those of twotime."
)
SUBJECT = "Denoised detector frames"
TRUST = (
    "Rates are posterior means of the expected counts, with standard errors; they are estimates, and must not be "
    "correlated. Counts of peaks and their significance come from the raw counts. All counts are those of the exposure "
    "of one frame, or of the frames that were added to one."
)
FRAME_CAPTION = (
    "raw counts and denoised rate with the same colours, the standard error of the rate, and what denoising took away "
    "in standard deviations. Circles: peaks. Lines: regions."
)
COUNTS_CAPTION = "Counts with standard errors: open points raw, filled ones denoised."
MOST_FRAMES = 4
"""That are drawn."""
MOST_ROWS = 40
"""Of a table; all rows stand in the published tables."""


def frame_facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Names and values that say which data these are and what computed them."""
    resolved = analysis.resolved
    frames, mask = analysis.tables["frames"], np.asarray(analysis.arrays["mask"], bool)
    summed = int(frames["frames_summed"].max())
    each = f", each the sum of {summed}" if summed > 1 else ""
    variable = resolved.get("scan_variable")
    found = [
        ("sample", str(resolved.get("sample") or "unnamed")),
        ("scan", str(resolved.get("scan_id") if resolved.get("scan_id") is not None else "without number")),
        ("uid", str(resolved.get("raw_uid", ""))),
        ("detector", str(resolved.get("detector", ""))),
        ("frames", f"{len(frames)}{each}, of {mask.shape[0]} x {mask.shape[1]} pixels, {int((~mask).sum())} masked"),
    ]
    if variable is not None:
        values = frames["scan_value"].dropna()
        span = f" from {values.iloc[0]:.5g} to {values.iloc[-1]:.5g} {variable['unit']}" if len(values) else ""
        found.append(("scanned", f"{variable['name']}{span}"))
    if resolved.get("finished_time"):
        found.append(("analysed", f"{datetime.fromtimestamp(resolved['finished_time'], UTC):%Y-%m-%d %H:%M} UTC"))
    return [*found, ("computed by", ", ".join(f"{name} {version}" for name, version in analysis.versions.items()))]


def scanned(analysis: Analysis) -> str:
    """Name and unit of the scan variable; empty where there is none."""
    variable = analysis.resolved.get("scan_variable")
    if variable is None:
        return ""
    return f"{variable['name']} ({variable['unit']})" if variable["unit"] else str(variable["name"])


def region_table(analysis: Analysis) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the counts of regions; of whole frames where there are no regions."""
    place = ("frame", scanned(analysis)) if scanned(analysis) else ("frame",)
    regions = analysis.tables.get("regions")
    if regions is None:
        rows = analysis.tables["frames"].to_dict("records")
        return (*place, "peaks", "raw counts", "denoised"), [
            (*_place(row, place), str(row["n_peaks"]), f"{row['counts']:.0f}", f"{row['counts_denoised']:.0f}")
            for row in rows
        ]
    return (*place, "region", "raw counts", "denoised"), [
        (*_place(row, place), str(row["region"]), *(_counts(row, name) for name in ("counts", "counts_denoised")))
        for row in regions.to_dict("records")
    ]


def peak_table(analysis: Analysis) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the peaks, the most significant first."""
    place = ("frame", scanned(analysis)) if scanned(analysis) else ("frame",)
    peaks = analysis.tables["peaks"].sort_values("significance", ascending=False)
    header = (*place, "σ", "row", "column", "width (pixel)", "raw counts", "denoised")
    return header, [
        (
            *_place(row, place),
            f"{row['significance']:.3g}",
            *(_counts(row, name) for name in ("row", "column", "width", "counts", "counts_denoised")),
        )
        for row in peaks.to_dict("records")
    ]


def shortened(rows: list[tuple[str, ...]]) -> tuple[list[tuple[str, ...]], str]:
    """The first rows of a table, and a sentence where these are not all."""
    if len(rows) <= MOST_ROWS:
        return rows, ""
    return rows[:MOST_ROWS], f"{MOST_ROWS} of {len(rows)} rows are shown."


def drawn_frames(analysis: Analysis) -> tuple[list[int], str]:
    """Numbers of the frames that are drawn, evenly over the scan, and a sentence where these are not all."""
    number = len(analysis.tables["frames"])
    if number <= MOST_FRAMES:
        return list(range(number)), ""
    chosen = [round(k * (number - 1) / (MOST_FRAMES - 1)) for k in range(MOST_FRAMES)]
    return chosen, f"{MOST_FRAMES} of {number} frames are drawn: {', '.join(map(str, chosen))}."


def frame_title(analysis: Analysis, number: int) -> str:
    """Number of a frame and where the scan was."""
    row = analysis.tables["frames"].iloc[number]
    variable = analysis.resolved.get("scan_variable")
    if variable is None or np.isnan(row["scan_value"]):
        return f"frame {number}"
    return f"frame {number}, {variable['name']} {row['scan_value']:.5g} {variable['unit']}".rstrip()


def _place(row: dict[Any, Any], place: tuple[str, ...]) -> tuple[str, ...]:
    own = (str(row["frame"]),)
    return own if len(place) == 1 else (*own, "-" if np.isnan(row["scan_value"]) else f"{row['scan_value']:.5g}")


def _counts(row: dict[Any, Any], name: str) -> str:
    return with_error(row[name], row[f"{name}_error"])
