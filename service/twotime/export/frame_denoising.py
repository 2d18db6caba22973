"""The evaluation of the frame denoiser as a report: tables in Markdown, figures as PNG."""

from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from frame_denoiser import FrameDenoiser
from frame_denoiser.rivals import gaussian
from frame_denoiser.simulation import SimulatedFrame, SimulatedPeak, counts_for, peak_image

RAW_COLOUR, RIVAL_COLOUR, DENOISED_COLOUR = "#7a7a7a", "#2563a8", "#c2410c"
EXAMPLE_EDGE = 192


def report_markdown(found: dict[str, Any], *, figures: bool = True) -> str:
    """The whole report; its figures lie beside it."""
    lines = [f"# Frame denoiser {found['version']}", ""]
    lines += [f"Seed {found['seed']}, {found['count']} simulated frames of each level.", ""]
    if figures:
        lines += ["![One frame before and after](example.png)", ""]
    lines += [*_rates(found["rates"]), *_coverage(found["rates"])]
    if figures:
        lines += ["![Coverage of the errors](coverage.png)", ""]
    lines += _detection(found["detection"])
    if figures:
        lines += ["![Detection of weak satellites](detection.png)", ""]
    lines += _peaks(found["peaks"], found["false_peaks_per_megapixel"])
    lines += _regions(found["regions"])
    if found["measured"]:
        lines += _measured(found["measured"], found["measured_file"])
    return "\n".join(lines) + "\n"


def example_picture(denoiser: FrameDenoiser, seed: int) -> bytes:
    """A weak pair of satellites beside a Bragg peak: truth, counts, Gaussian filter, rate, error and residual."""
    frame = _example(np.random.default_rng([seed, 7]))
    found = denoiser.denoise(frame.counts, frame.mask)
    smooth = np.where(frame.mask, gaussian(frame.counts, frame.mask, 2.0), np.nan)
    rates = LogNorm(frame.rate.min() * 0.8, frame.rate.max() * 0.03)
    counted = np.where(frame.mask, np.maximum(frame.counts, rates.vmin or 0), np.nan)
    panels: tuple[tuple[str, NDArray[Any], Normalize, str], ...] = (
        ("true rate", frame.rate, rates, "viridis"),
        ("raw counts", counted, rates, "viridis"),
        ("Gaussian filter, 2 pixels", smooth, rates, "viridis"),
        ("denoised rate", found.rate, rates, "viridis"),
        ("its relative error", found.error / found.rate, Normalize(0, 0.6), "magma"),
        ("residual, standard deviations", found.residual, Normalize(-4, 4), "coolwarm"),
    )
    figure = Figure(figsize=(10.2, 6.6), layout="constrained")
    for panel, (title, image, norm, colours) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        drawn = panel.imshow(image, norm=norm, cmap=colours, interpolation="nearest")
        panel.set_title(title, fontsize=11)
        panel.set(xticks=[], yticks=[])
        figure.colorbar(drawn, ax=panel, shrink=0.85)
    return _png(figure)


def coverage_picture(rates: list[dict[str, Any]]) -> bytes:
    """Fractions of pixels whose true rate lies within one and 1.96 errors, over the level."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    levels = [one["level"] for one in rates]
    for name, marker, label in (("one", "o", "within 1 error"), ("two", "s", "within 1.96 errors")):
        axes.plot(levels, [one["coverage"][name] for one in rates], marker=marker, color=DENOISED_COLOUR, label=label)
        near = [one["coverage"][f"peak_{name}"] for one in rates]
        axes.plot(levels, near, marker=marker, color=RIVAL_COLOUR, ls="--", label=f"{label}, at peaks")
    for right in (0.683, 0.95):
        axes.axhline(right, color=RAW_COLOUR, lw=0.8)
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="photons per pixel of the background", ylabel="fraction of pixels")
    axes.legend(fontsize=8, loc="lower right")
    return _png(figure)


def detection_picture(detections: list[dict[str, Any]]) -> bytes:
    """True-positive rate of raw counts over the exposure, beside that of one denoised exposure and the best filter."""
    figure = Figure(figsize=(10.2, 4.8), layout="constrained")
    columns = (len(detections) + 1) // 2
    for number, (panel, one) in enumerate(zip(figure.subplots(2, columns, sharey=True).flat, detections, strict=False)):
        raw, case = one["raw"], one["case"]
        panel.plot([float(key) for key in raw], list(raw.values()), ".-", color=RAW_COLOUR, label="raw counts")
        panel.axhline(one["found"]["denoised"], color=DENOISED_COLOUR, label="denoised, 1 exposure")
        best = max(rate for name, rate in one["found"].items() if name != "denoised")
        panel.axhline(best, color=RIVAL_COLOUR, ls="--", label="best filter, 1 exposure")
        ground = "structured" if case["structured"] else "flat"
        panel.set_title(f"{case['level']:g} photons, FWHM {case['width']:g}, {ground}", fontsize=9)
        panel.set(xscale="log", ylim=(0, 1.03))
        if number >= columns:
            panel.set_xlabel("exposure of the raw frame")
        if number % columns == 0:
            panel.set_ylabel("satellites found")
        if number == 0:
            panel.legend(fontsize=7, loc="lower right")
    return _png(figure)


def _rates(rates: list[dict[str, Any]]) -> list[str]:
    lines = ["## Rates", "", "Filters have the strength that is best for each number on these very frames.", ""]
    names = list(rates[0]["methods"])
    for key, title, form in (
        ("relative_error", "Median relative error of the rate", "{:.3f}"),
        ("exposure", "Multiple of the exposure whose raw counts come as near to the true rate", "{:.2g}"),
        ("psnr", "PSNR of square roots, dB", "{:.1f}"),
        ("ms_ssim", "MS-SSIM of square roots", "{:.3f}"),
    ):
        rows = [[name, *(form.format(one["methods"][name][key]) for one in rates)] for name in names]
        lines += [f"{title}:", "", *_table(["photons per pixel", *(f"{one['level']:g}" for one in rates)], rows), ""]
    return lines


def _coverage(rates: list[dict[str, Any]]) -> list[str]:
    labels = {
        "one": "within 1 error (68 %)",
        "two": "within 1.96 errors (95 %)",
        "peak_one": "the same at peaks (68 %)",
        "peak_two": "the same at peaks (95 %)",
    }
    rows = [[label, *(f"{100 * one['coverage'][key]:.0f} %" for one in rates)] for key, label in labels.items()]
    head = ["photons per pixel", *(f"{one['level']:g}" for one in rates)]
    return ["## Errors", "", "True rates of pixels that lie within", "", *_table(head, rows), ""]


def _detection(detections: list[dict[str, Any]]) -> list[str]:
    names = list(detections[0]["found"])
    rows = []
    for one in detections:
        case = one["case"]
        ground = "structured" if case["structured"] else "flat"
        limit = ">" if one["exposure"] >= max(float(key) for key in one["raw"]) else ""
        rows.append(
            [
                f"{case['level']:g} photons, FWHM {case['width']:g}, {ground}",
                f"{next(iter(one['raw'].values())):.2f}",
                *(f"{one['found'][name]:.2f}" for name in names),
                f"{limit}{one['exposure']:.0f}",
            ]
        )
    head = ["satellite", "raw counts", *names, "raw exposure that finds as many"]
    return [
        "## Weak satellites",
        "",
        "Satellites found at 5 % false peaks; their counts are four times the noise that a matched filter sees:",
        "",
        *_table(head, rows),
        "",
    ]


def _peaks(peaks: list[dict[str, Any]], false: float) -> list[str]:
    head = ["significance", *(f"{one['significance']:g}" for one in peaks)]
    rows = [
        ["found", *(f"{one['found']:.2f}" for one in peaks)],
        ["bias of raw counts", *(_percent(one["counts_bias"], one["counts_bias_error"]) for one in peaks)],
        ["bias of denoised counts", *(f"{100 * one['counts_denoised_bias']:+.1f} %" for one in peaks)],
        ["raw counts within their error (68 %)", *(f"{100 * one['within']:.0f} %" for one in peaks)],
        ["rows within their error (68 %)", *(f"{100 * one['position_within']:.0f} %" for one in peaks)],
        ["bias of the width", *(f"{100 * one['width_bias']:+.1f} %" for one in peaks)],
    ]
    sentence = f"Frames without a peak: {false:.2g} false peaks of five standard deviations for each million pixels."
    return ["## Peaks", "", *_table(head, rows), "", sentence, ""]


def _regions(regions: list[dict[str, Any]]) -> list[str]:
    head = [
        "photons per pixel",
        "radius",
        "within 1 error (68 %)",
        "within 1.96 (95 %)",
        "raw within 1",
        "raw exposure as near",
    ]
    rows = [
        [
            f"{one['lowest']:g} to {one['highest']:g}",
            str(one["radius"]),
            *(f"{100 * one[key]:.0f} %" for key in ("within_one", "within_two", "raw_within_one")),
            f"{one['exposure']:.1f}",
        ]
        for one in regions
    ]
    return ["## Regions", "", "Sums of denoised rates over discs, against the true sums:", "", *_table(head, rows), ""]


def _measured(measured: list[dict[str, Any]], name: str) -> list[str]:
    methods = list(measured[0]["exposure"])
    head = ["sum of frames", *(str(one["frames"]) for one in measured)]
    rows = [["counts per pixel seen", *(f"{one['level']:.3g}" for one in measured)]]
    rows += [
        [f"{method}: raw exposure as near", *(f"{one['exposure'][method]:.1f}" for one in measured)]
        for method in methods
    ]
    rows += [["mean square deviation (1)", *(f"{one['scatter']:.2f}" for one in measured)]]
    rows += [["within 1 deviation (68 %)", *(f"{100 * one['within_one']:.0f} %" for one in measured)]]
    rows += [["within 1.96 deviations (95 %)", *(f"{100 * one['within_two']:.0f} %" for one in measured)]]
    return [
        f"## Measured frames ({name})",
        "",
        "A tenth of the photons is seen, the others are held out. Deviations: held-out sums of 4 x 4 pixels",
        "against what the denoised frame predicts.",
        "",
        *_table(head, rows),
        "",
    ]


def _percent(value: float, error: float) -> str:
    return f"{100 * value:+.1f} ± {100 * error:.1f} %"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _example(rng: np.random.Generator) -> SimulatedFrame:
    """A Bragg peak with two satellites on a ring and diffuse scattering, seen through a gap; 0.1 photons per pixel."""
    shape = (EXAMPLE_EDGE, EXAMPLE_EDGE)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    radius = np.hypot(rows + 40, columns + 60)
    rate = 0.1 * (1 + 3 / (1 + (radius / 60) ** 2) + 1.2 * np.exp(-0.5 * ((radius - 190) / 5) ** 2))
    peaks = []
    for row, column, width, significance in ((100, 90, 2.5, 60.0), (100, 130, 3.0, 6.0), (100, 50, 3.0, 6.0)):
        counts = counts_for(significance, float(rate[row, column]), width)
        rate += counts * peak_image(shape, row, column, (width, width), 0.0)
        peaks.append(SimulatedPeak(row, column, 2.3548 * width, counts))
    mask = np.ones(shape, np.bool_)
    mask[:, 60:66] = False
    return SimulatedFrame(np.where(mask, rng.poisson(rate), 0.0), rate, mask, tuple(peaks), 0.1)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
