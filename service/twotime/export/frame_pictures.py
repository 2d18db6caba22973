"""The pictures of a report of denoised frames."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from twotime.export.frame_words import scanned
from twotime.export.picture import DENOISED_COLOUR, RAW_COLOUR
from twotime.results import Analysis, shrink

FRAME_HEIGHT, COUNTS_HEIGHT = 3.4, 3.8
"""Of the pictures, inches on a screen."""
LONGEST_EDGE = 600
DECADES = 4.0
MOST_PEAKS = 50
PEAK_COLOUR = "#ff5a4d"
COLOURS = ("#c2410c", "#2563a8", "#15803d", "#7a1fa2", "#a16207", "#0f766e")


def draw_frame(figure: FigureBase, analysis: Analysis, number: int) -> None:
    """Raw counts, rate, error and residual of one frame side by side, with its peaks and the regions."""
    mask = np.asarray(analysis.arrays["mask"], bool)
    raw, rate, error, residual = (
        np.asarray(analysis.arrays[name][number], float) for name in ("frames_raw", "rate", "rate_error", "residual")
    )
    counts, errors = _logarithmic(rate), _logarithmic(error)
    panels: tuple[tuple[str, NDArray[Any], Normalize, str], ...] = (
        ("raw counts", np.where(mask, np.maximum(raw, counts.vmin or 0), np.nan), counts, "viridis"),
        ("denoised rate", np.maximum(rate, counts.vmin or 0), counts, "viridis"),
        ("standard error", error, errors, "magma"),
        ("residual, standard deviations", residual, Normalize(-4, 4), "coolwarm"),
    )
    for place, (panel, (title, image, norm, colours)) in enumerate(zip(figure.subplots(1, 4), panels, strict=True)):
        small, step = shrink(image, LONGEST_EDGE)
        extent = (-0.5, small.shape[1] * step - 0.5, small.shape[0] * step - 0.5, -0.5)
        drawn = panel.imshow(small, norm=norm, cmap=colours, extent=extent, interpolation="nearest")
        panel.set_facecolor("#d4d4d4")
        panel.set(title=title, xlabel="column", ylabel="row" if place == 0 else "")
        bar = panel.figure.colorbar(drawn, ax=panel, orientation="horizontal", shrink=0.9, pad=0.04)
        _label(bar, norm)
        _outlines(panel, analysis, step)
        if place == 1:
            _circles(panel, analysis.tables["peaks"], number)


def draw_counts(figure: FigureBase, analysis: Analysis) -> None:
    """Counts of each region, or of whole frames, against the scan variable or the number of the frame."""
    panel = figure.subplots(1, 1)
    axis = scanned(analysis)
    along = "scan_value" if axis and analysis.tables["frames"]["scan_value"].notna().any() else "frame"
    regions = analysis.tables.get("regions")
    if regions is None:
        frames = analysis.tables["frames"]
        for kind, colour, face in (
            ("counts", RAW_COLOUR, "none"),
            ("counts_denoised", DENOISED_COLOUR, DENOISED_COLOUR),
        ):
            panel.plot(
                frames[along], frames[kind], "o", color=colour, markerfacecolor=face, label=kind.replace("_", ", ")
            )
    else:
        for place, (region, own) in enumerate(regions.groupby("region")):
            _draw_region(panel, own, along, COLOURS[place % len(COLOURS)], f"region {region}")
    panel.set(xlabel=axis if along == "scan_value" else "frame", ylabel="counts")
    panel.legend(frameon=False, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_region(panel: Axes, own: pd.DataFrame, along: str, colour: str, label: str) -> None:
    for kind, face, size, said in (("counts", "none", 8, f"{label}, raw"), ("counts_denoised", colour, 4, label)):
        panel.errorbar(
            own[along],
            own[kind],
            own[f"{kind}_error"],
            fmt="o",
            color=colour,
            markerfacecolor=face,
            markersize=size,
            linewidth=1,
            label=said,
        )


def _logarithmic(values: NDArray[np.float64]) -> Normalize:
    """Colours for the bulk of the positive values, over `DECADES` at most."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return Normalize(0, 1)
    low, high = (float(end) for end in np.percentile(positive, [1, 99.9]))
    low = max(low, high / 10**DECADES)
    return LogNorm(low, high) if high > 1.01 * low else LogNorm(low / 2, 2 * high)


def _label(bar: Colorbar, norm: Normalize) -> None:
    """Few ticks in plain numbers: matplotlib's own overlap on short logarithmic bars."""
    if isinstance(norm, LogNorm):
        low, high = float(norm.vmin or 1), float(norm.vmax or 1)
        ticks = np.geomspace(low, high, 4)
        bar.set_ticks(list(ticks), labels=[f"{tick:.2g}" for tick in ticks], minor=False)
        bar.minorticks_off()


def _outlines(panel: Axes, analysis: Analysis, step: int) -> None:
    labels = analysis.arrays.get("roi_labels")
    if labels is None:
        return
    small = labels[step // 2 :: step, step // 2 :: step]
    x, y = (np.arange(edge) * step + step // 2 for edge in small.shape[::-1])
    for number in range(1, int(small.max(initial=0)) + 1):
        own = small == number
        if min(own.shape) > 1 and 0 < own.sum() < own.size:
            panel.contour(x, y, own, levels=[0.5], colors="#9ca3af", linewidths=0.9)


def _circles(panel: Axes, peaks: pd.DataFrame, number: int) -> None:
    own = peaks[peaks["frame"] == number].nlargest(MOST_PEAKS, "significance")
    panel.plot(
        own["column"], own["row"], "o", markersize=9, markerfacecolor="none", color="#ff5a4d", markeredgewidth=1.3
    )
