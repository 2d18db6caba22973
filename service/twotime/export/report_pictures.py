"""The pictures of a report."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, FigureBase

from twotime.export.picture import DENOISED_COLOUR, ESTIMATE_COLOUR, RAW_COLOUR, draw_before_and_after
from twotime.export.tables import rate_with_error
from twotime.export.words import with_power
from twotime.results import Analysis, shrink

COLOURS = {"estimate": ESTIMATE_COLOUR, "raw": RAW_COLOUR, "denoised": DENOISED_COLOUR}
NAMES = {"estimate": "estimate", "raw": "measured", "denoised": "denoised"}
BAD_COLOUR = "#b91c1c"
MOST_NUMBERS = 8
WIDTH = 13
ROI_HEIGHT, DYNAMICS_HEIGHT, SCATTERING_HEIGHT = 4.3, 4.3, 4.6
"""Of the pictures, inches on a screen."""
LONGEST_EDGE = 600
"""Points of the mean frame; more than a page shows, and outlines of many ROIs take their time."""


def png(draw: Callable[[FigureBase], None], height: float) -> bytes:
    """What `draw` puts on a figure, as PNG of the width of a page and this height, both in inches of the screen."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    draw(figure)
    lay_out(figure)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def lay_out(figure: Figure) -> None:
    """Find the places of all parts once; left to matplotlib, that is done twice and everything drawn twice."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")


def rates(row: dict[Any, Any], *, denoised: bool) -> str:
    """What a row of ``fits`` says of q and Γ, for the line above a picture."""
    kinds = ("estimate", "raw", "denoised") if denoised else ("estimate", "raw")
    found = ", ".join(f"{NAMES[kind]} {rate_with_error(row, kind)}" for kind in kinds)
    return f"q = {row['q']:.5f} 1/Å, Γ (1/s): {found}"


def draw_roi(figure: FigureBase, analysis: Analysis, number: int) -> None:
    """Two-time function before and after denoising, and the one-time curves with fits and errors, of ROI `number`."""
    place = number - 1
    row = analysis.tables["fits"].to_dict("records")[place]
    g2 = analysis.tables["g2"]
    denoised, mask = (analysis.arrays.get(name) for name in ("two_time_denoised", "denoised_mask"))
    was_denoised = denoised is not None and mask is not None and row["denoised_stride"] > 0
    draw_before_and_after(
        figure,
        analysis.arrays["two_time"][place],
        denoised[place] if denoised is not None and was_denoised else None,
        mask[place] if mask is not None and was_denoised else None,
        g2[g2["roi"] == number],
        float(analysis.resolved["frame_time_s"]),
        f"ROI {number}, {rates(row, denoised=was_denoised)}",
    )


def draw_dynamics(figure: FigureBase, analysis: Analysis) -> None:
    """Γ against q² with the line of D, and Γ against age."""
    by_q, by_age = figure.subplots(1, 2)
    _draw_q(by_q, analysis.tables["fits"], analysis.tables["q_fit"])
    _draw_ages(by_age, analysis.tables["fits"], analysis.tables["fits_age"])


def draw_scattering(figure: FigureBase, analysis: Analysis) -> None:
    """Mean frame with the outlines of the ROIs, and the intensity of each frame with those that were left out."""
    frame, intensity = figure.subplots(1, 2, width_ratios=(1, 1.4))
    _draw_frame(frame, analysis)
    _draw_intensity(intensity, analysis)


def _draw_q(panel: Axes, fits: pd.DataFrame, q_fit: pd.DataFrame) -> None:
    square = fits["q"].to_numpy() ** 2
    for kind, colour in COLOURS.items():
        if f"{kind}_trusted" not in fits:
            continue  # Results older than the estimate.
        rate, error = (fits[f"{kind}_relaxation_rate{end}"].to_numpy(float) for end in ("", "_error"))
        trusted = fits[f"{kind}_trusted"].to_numpy(bool)
        if kind == "denoised":
            trusted = trusted & fits["denoised_usable"].to_numpy(bool)
        # A rate on a bound is no measurement; the table says so in words.
        free = np.array(["relaxation_rate" not in bounds for bounds in fits[f"{kind}_on_bound"]]) & np.isfinite(rate)
        for chosen, face, said in ((trusted, colour, ""), (~trusted, "none", ", does not count")):
            own = chosen & free
            if own.any():
                panel.errorbar(
                    square[own],
                    rate[own],
                    error[own],
                    fmt="o",
                    color=colour,
                    markerfacecolor=face,
                    markersize=5,
                    linewidth=1,
                    label=NAMES[kind] + said,
                )
        row = q_fit[q_fit["kind"] == kind]
        if len(row) and np.isfinite(row["diffusion"].iloc[0]):
            value, spread = float(row["diffusion"].iloc[0]), float(row["diffusion_error"].iloc[0])
            line = np.linspace(0, square.max() * 1.05, 50)
            panel.plot(line, value * line, color=colour, linewidth=1, label=f"D = {with_power(value, spread)} Å²/s")
            if np.isfinite(spread):
                panel.fill_between(line, (value - spread) * line, (value + spread) * line, color=colour, alpha=0.15)
    trusted_rates = fits["relaxation_rate"][fits["trusted"]]
    if len(trusted_rates):
        panel.set_ylim(0, 1.6 * float(trusted_rates.max()))
    panel.set(xlabel="q² (1/Å²)", ylabel="Γ (1/s)", title="relaxation rate against q²", xlim=(0, None))
    panel.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    _finish(panel)


def _draw_ages(panel: Axes, fits: pd.DataFrame, ages: pd.DataFrame) -> None:
    panel.set(xlabel="age (s)", ylabel="Γ (1/s)", title="relaxation rate against age, leading fit of each ROI")
    if ages.empty:
        panel.text(0.5, 0.5, "no fits at constant age were asked for", ha="center", transform=panel.transAxes)
        _finish(panel)
        return
    leads = dict(zip(fits["roi"], fits["headline"], strict=True))
    for place, (number, own) in enumerate(ages.groupby("roi")):
        kind = leads[number]
        rate, error = (own[f"{kind}_relaxation_rate{end}"] for end in ("", "_error"))
        sound = own[f"{kind}_trusted"].to_numpy(bool)
        label = f"ROI {number}" if place < 8 else None
        points = panel.errorbar(
            own["age_s"][sound], rate[sound], error[sound], fmt="o", markersize=4, linewidth=1, label=label
        )
        trend, spread = (own[f"{kind}_trend_relaxation_rate{end}"].to_numpy(float) for end in ("", "_error"))
        colour = points.lines[0].get_color()
        panel.plot(own["age_s"], trend, color=colour, linewidth=1)
        panel.fill_between(own["age_s"], trend - spread, trend + spread, color=colour, alpha=0.12, linewidth=0)
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, 0.0), high + 0.2 * (high - low))  # Room for the legend.
    _finish(panel)


def _draw_frame(panel: Axes, analysis: Analysis) -> None:
    frame, step = shrink(np.where(analysis.arrays["mask"], analysis.arrays["mean_frame"], np.nan), LONGEST_EDGE)
    extent = (-0.5, frame.shape[1] * step - 0.5, -0.5, frame.shape[0] * step - 0.5)
    positive = frame[np.isfinite(frame) & (frame > 0)]
    norm = LogNorm(*np.quantile(positive, [0.01, 0.999])) if positive.size and positive.min() < positive.max() else None
    image = panel.imshow(frame, norm=norm, cmap="viridis", origin="lower", extent=extent)
    panel.figure.colorbar(image, ax=panel, label="counts", shrink=0.85)
    labels = analysis.arrays["roi_labels"][step // 2 :: step, step // 2 :: step]
    x, y = (np.arange(edge) * step + step // 2 for edge in labels.shape[::-1])
    last = int(labels.max())
    named = range(1, last + 1, -(-last // MOST_NUMBERS) or 1)
    for number in range(1, last + 1):
        own = labels == number
        rows, columns = np.nonzero(own)
        if min(own.shape) > 1 and 0 < rows.size < own.size:
            panel.contour(x, y, own, levels=[0.5], colors="white", linewidths=0.9)
        if rows.size and number in named:
            middle = rows.size // 2
            panel.annotate(
                str(number),
                (x[columns[middle]], y[rows[middle]]),
                ha="center",
                va="center",
                fontsize=9,
                bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    panel.set(title="mean frame and ROIs", xlabel="column", ylabel="row")


def _draw_intensity(panel: Axes, analysis: Analysis) -> None:
    number, bad = analysis.arrays["frame_number"], analysis.arrays["bad_frames"]
    mean = analysis.arrays["intensity"].astype(float).mean(axis=1)
    panel.plot(number[~bad], mean[~bad], ".", color="#1d4ed8", markersize=3, label="mean over the ROIs")
    if bad.any():
        panel.plot(number[bad], mean[bad], "x", color=BAD_COLOUR, markersize=6, label=f"left out ({int(bad.sum())})")
    panel.set(title="intensity", xlabel="frame", ylabel="counts per pixel", ylim=(0, None))
    _finish(panel)


def _finish(panel: Axes) -> None:
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
