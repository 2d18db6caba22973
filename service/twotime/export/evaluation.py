"""The evaluation of an ensemble as a report: tables in Markdown, figures as PNG."""

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnn_ed.evaluate import Comparison

RAW_COLOUR, DENOISED_COLOUR = "#7a7a7a", "#c2410c"
LABELS = {
    "one_time_mse": "MSE(1TCF)",
    "rate_mean_relative_error": "mean relative error of Γ",
    "rate_median_relative_error": "median relative error of Γ",
    "beta_mse": "MSE of β",
    "baseline_mse": "MSE of C∞",
    "alpha_mse": "MSE of α",
    "not_converged": "fits without a value",
    "on_bound": "fits that end on a bound",
}
_PARAMETERS = (("relaxation_rate", "Γ (1/frame)"), ("beta", "β"), ("baseline", "C∞"), ("alpha", "α"))


def report_markdown(found: dict[str, Any]) -> str:
    """The whole report; its figures lie beside it."""
    lines = [f"# Ensemble {found['version']} on {found['data']}", ""]
    lines += [
        f"{found['windows']} windows with a well-determined truth. Curves are at contrast 1; rates per frame.",
        "",
    ]
    for table in found["tables"]:
        alpha = "free α" if table["alpha"] == "free" else "α = 1"
        lines += [
            f"## Against the {table['against']}, {alpha}, rates: {table['rates']} ({table['windows']} windows)",
            "",
        ]
        lines += [*_table(["", "raw", "denoised"], _rows(table["raw"], table["denoised"])), ""]
    lines += ["## Rivals, against the honest truth with free α", ""]
    lines += ["Strengths are those with the smallest MSE(1TCF) on these very windows, which flatters the rivals.", ""]
    names = ["raw", *found["rivals"], "denoised"]
    columns = [found["raw"], *found["rivals"].values(), found["denoised"]]
    lines += [*_table(["", *names], _rows(*columns)), ""]
    lines += ["## How many frames denoising saves", "", gain_sentence(found["gain"]), ""]
    for name, caption in (
        ("example", "One window before and after each filter (as Fig. 7 of the paper)."),
        ("parameters", "Fitted parameters against those of the target, free α (as Fig. 10 and 12)."),
        ("parameters_alpha_1", "The same with α = 1 (as Fig. 11)."),
        ("error", "Relative error of Γ over rate and noise (as Fig. 13 and 14): medians and middle halves."),
        ("gain", "Averaging raw windows against denoising one."),
        *(
            [("coverage", "Right as often as claimed? Over the windows with a known truth.")]
            if found["coverage"]
            else []
        ),
    ):
        lines += [f"![{caption}]({name}.png)", "", f"*{caption}*", ""]
    return "\n".join(lines)


def example_picture(panels: dict[str, NDArray[np.float32]]) -> bytes:
    """Windows (W, W) side by side, all on the colours of the target."""
    figure = Figure(figsize=(2.3 * len(panels), 2.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    target = panels["target"]
    low, high = np.quantile(target, [0.02, 0.98])
    for panel, (name, window) in zip(axes, panels.items(), strict=True):
        image = panel.imshow(window, origin="lower", vmin=low, vmax=high, cmap="viridis")
        panel.set_title(name, fontsize=10)
        panel.set(xlabel="frame", yticks=[])
    figure.colorbar(image, ax=axes, label="$C_2$ at contrast 1", shrink=0.8)
    return _png(figure)


def parameters_picture(comparison: Comparison) -> bytes:
    """Parameters of raw and of denoised windows against those of their truths, one panel each."""
    names = [pair for pair in _PARAMETERS if not (pair[0] == "alpha" and comparison.alpha == "1")]
    figure = Figure(figsize=(4 * len(names), 3.9), layout="constrained")
    sound = np.array([not bound for bound in comparison.truth.on_bound])
    for panel, (name, label) in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        truth = getattr(comparison.truth, name)[sound]
        for fits, colour, kind in (
            (comparison.raw, RAW_COLOUR, "raw"),
            (comparison.denoised, DENOISED_COLOUR, "denoised"),
        ):
            panel.plot(
                truth,
                getattr(fits, name)[sound],
                ".",
                color=colour,
                markersize=2,
                alpha=0.35,
                label=kind,
                rasterized=True,
            )
        low, high = np.quantile(truth, [0.005, 0.995])
        margin = 0.3 * (high - low)
        edges = (low / 2, high * 2) if name == "relaxation_rate" else (low - margin, high + margin)
        panel.plot(edges, edges, color="black", linewidth=0.8)
        panel.set(xlabel=f"{label}, {comparison.against}", ylabel=f"{label}, fitted", xlim=edges, ylim=edges)
        if name == "relaxation_rate":
            panel.set(xscale="log", yscale="log")
            panel.legend(frameon=False, markerscale=6)
        _plain(panel)
    return _png(figure)


def error_picture(comparison: Comparison, noise: NDArray[np.float64]) -> bytes:
    """Relative error of the rate against the true rate, against the noise (E,) of the input, and over both."""
    figure = Figure(figsize=(13, 3.9), layout="constrained")
    by_rate, by_noise, both = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    rate = comparison.truth.relaxation_rate
    for fits, colour, kind in ((comparison.raw, RAW_COLOUR, "raw"), (comparison.denoised, DENOISED_COLOUR, "denoised")):
        error = np.abs(fits.relaxation_rate - rate) / rate
        for panel, values in ((by_rate, rate), (by_noise, noise)):
            _binned(panel, values, error, colour, kind)
    by_rate.set(xscale="log", xlabel="true Γ (1/frame)")
    by_noise.set(xlabel="input noise at contrast 1")
    by_rate.set_xticks([0.02, 0.05, 0.1], ["0.02", "0.05", "0.1"])
    for panel in (by_rate, by_noise):
        panel.set(ylabel="relative error of Γ", yscale="log")
        panel.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
        panel.minorticks_off()
        panel.legend(frameon=False)
        _plain(panel)
    error = np.abs(comparison.denoised.relaxation_rate - rate) / rate
    points = both.scatter(rate, noise, c=np.clip(error, 0.02, 2), s=6, cmap="cividis", norm=LogNorm(0.02, 2))
    both.set(xscale="log", xlabel="true Γ (1/frame)", ylabel="input noise at contrast 1", title="denoised")
    figure.colorbar(points, ax=both, label="relative error of Γ")
    _plain(both)
    return _png(figure)


def gain_picture(gain: dict[str, Any]) -> bytes:
    """Error of the rate against the number of raw windows averaged, and that of one denoised window."""
    figure = Figure(figsize=(5.5, 3.9), layout="constrained")
    panel = figure.subplots()
    number = [int(n) for n in gain["raw"]]
    for measure, style in (("mean", "o-"), ("median", "s--")):
        panel.plot(
            number, [row[measure] for row in gain["raw"].values()], style, color=RAW_COLOUR, label=f"raw, {measure}"
        )
        panel.axhline(
            gain["denoised"][measure],
            color=DENOISED_COLOUR,
            linestyle=style[1:],
            label=f"one denoised window, {measure}",
        )
    panel.set(xlabel="raw windows of 50 frames averaged", ylabel="relative error of Γ", xscale="log", ylim=(0, None))
    panel.set_xticks(number, [str(n) for n in number])
    panel.minorticks_off()
    panel.legend(frameon=False)
    _plain(panel)
    return _png(figure)


def gain_sentence(gain: dict[str, Any]) -> str:
    """What `cnn_ed.gain.frames_saved` found, in words."""
    one, denoised = gain["raw"]["1"], gain["denoised"]
    said = []
    for measure in ("mean", "median"):
        number = gain[f"windows_{measure}"]
        enough = f"{number:.1f} raw windows" if number else "more raw windows than were averaged here"
        said.append(
            f"by the {measure} error ({one[measure]:.3f} raw, {denoised[measure]:.3f} denoised) one denoised window of "
            f"50 frames is worth {enough}"
        )
    return f"Over {denoised['number']} windows: {'; '.join(said)}."


def coverage_picture(found: dict[str, Any]) -> bytes:
    """Share of truths inside the intervals that claim a share, as `cnn_ed.calibrate.coverage` found it."""
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    panel = figure.subplots()
    claimed = [float(level) for level in found["curve"]]
    panel.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="right as often as claimed")
    panel.plot(claimed, list(found["curve"].values()), "o-", color=DENOISED_COLOUR, markersize=4, label="found")
    panel.set(xlabel="claimed share", ylabel="share of truths inside", xlim=(0, 1), ylim=(0, 1))
    panel.legend(frameon=False)
    _plain(panel)
    return _png(figure)


def _binned(panel: Axes, values: NDArray[np.float64], error: NDArray[np.float64], colour: str, label: str) -> None:
    edges = np.quantile(values, np.linspace(0, 1, 9))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, 7)
    quartiles = np.array([np.nanquantile(error[place == k], [0.25, 0.5, 0.75]) for k in range(8)])
    middle = np.array([np.median(values[place == k]) for k in range(8)])
    panel.plot(middle, quartiles[:, 1], "o-", color=colour, markersize=4, label=label)
    panel.fill_between(middle, quartiles[:, 0], quartiles[:, 2], color=colour, alpha=0.2, linewidth=0)


def _rows(*columns: dict[str, float]) -> list[list[str]]:
    rows = [[label, *(f"{column[name]:.4f}" for column in columns)] for name, label in LABELS.items()]
    if any("strength" in column for column in columns):
        rows.append(["strength", *(f"{column['strength']:g}" if "strength" in column else "" for column in columns)])
    return rows


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _plain(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    png = BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return png.getvalue()
