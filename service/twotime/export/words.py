"""What an analysis found, in words and cells that the reports and the logbook share."""

import math
from datetime import UTC, datetime
from typing import Any

import yaml

from twotime.export.flags import Flag, flags, marks
from twotime.export.tables import with_error
from twotime.results import Analysis
from twotime.verdict import Evidence, verdict

CITATION = (
    "T. Konstantinova et al., Noise reduction in X-ray photon correlation spectroscopy with convolutional neural "
    "networks encoder-decoder models, Sci. Rep. 11, 14756 (2021), and the data published with it, "
    "DOI 10.11578/dc.20210704.1."
)
HEADLINE = ("ROI", "q (1/Å)", "φ (°)", "Γ (1/s)", "β", "C∞", "α", "contrast", "from", "trust")


MODEL = (
    'g₂(t) = C∞ + β exp(−2 (Γ t)^α); values with standard errors. "From": the estimate (a posterior learned from '
    "simulated scans, given the measured curve), or raw (a least-squares fit) where a scan is too short for it."
)
DYNAMICS_CAPTION = (
    "Filled points count for D, open ones do not. Lines: weighted fits of Γ = D q², with the error of D. Against age: "
    "points from frames near that age, lines with their error from all ages together."
)
ROI_CAPTION = "points with standard errors, lines are fits."
SCATTERING_CAPTION = "Mean of the analysed frames on a logarithmic scale; masked pixels are white."
ORIGINS = ("field", "value", "source")
MOST_ROIS = 8
"""Of which two-time functions are drawn; more make a report that nobody opens."""


def headline_table(analysis: Analysis) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """`HEADLINE` and `headline_rows`, without the column of φ where no ROI has one."""
    rows = headline_rows(analysis)
    shown = [k for k, name in enumerate(HEADLINE) if name != "φ (°)" or any(row[k] != "-" for row in rows)]
    return tuple(HEADLINE[k] for k in shown), [tuple(row[k] for k in shown) for row in rows]


def headline_rows(analysis: Analysis) -> list[tuple[str, ...]]:
    """One row per ROI under `HEADLINE`: values with standard errors, the curve they come from, and its flags."""
    found = _flags(analysis)
    return [_row(row, marks(found, int(row["roi"]))) for row in analysis.tables["fits"].to_dict("records")]


def flag_sentences(analysis: Analysis) -> list[tuple[str, str]]:
    """Letters of the flags in `headline_rows` and what they mean, with the ROIs that have them."""
    return [(one.mark, f"{one.sentence} (ROI {', '.join(map(str, one.rois))})") for one in _flags(analysis)]


def verdict_sentences(analysis: Analysis) -> list[str]:
    """What the numbers say of sample and beam: as it was published, or made now of results older than verdicts."""
    published = analysis.resolved.get("verdict")
    if published is not None:
        return [str(one["sentence"]) for one in published]
    return list(verdict(Evidence.of(analysis)).sentences)


def title(analysis: Analysis) -> str:
    """Sample and scan, as far as they are known."""
    scan = analysis.resolved.get("scan_id")
    return f"{analysis.resolved.get('sample') or 'unnamed sample'}" + ("" if scan is None else f", scan {scan}")


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Names and values that say which data these are and what computed them."""
    resolved, frame_time_s = analysis.resolved, float(analysis.resolved["frame_time_s"])
    n_frames, n_bad = len(analysis.arrays["bad_frames"]), int(analysis.arrays["bad_frames"].sum())
    found = [
        ("sample", str(resolved.get("sample") or "unnamed")),
        ("scan", str(resolved.get("scan_id") if resolved.get("scan_id") is not None else "without number")),
        ("uid", str(resolved.get("raw_uid", ""))),
        ("detector", str(resolved.get("detector", ""))),
        ("frames", f"{n_frames} of {frame_time_s:g} s, together {n_frames * frame_time_s:.4g} s; {n_bad} left out"),
    ]
    if resolved.get("finished_time"):
        found.append(("analysed", f"{datetime.fromtimestamp(resolved['finished_time'], UTC):%Y-%m-%d %H:%M} UTC"))
    return [*found, ("computed by", ", ".join(f"{name} {version}" for name, version in analysis.versions.items()))]


def q_sentences(analysis: Analysis) -> list[str]:
    """D and the exponent of Γ(q) for each kind of fit, or why there is none."""
    return [_q_sentence(row) for row in analysis.tables["q_fit"].to_dict("records")]


def steadiness(analysis: Analysis) -> list[str]:
    """What the fits at constant age say of each ROI."""
    fits = analysis.tables["fits"]
    return [f"ROI {row['roi']}: {row['stationarity']}." for row in fits.to_dict("records") if row["stationarity"]]


def drawn_rois(analysis: Analysis) -> tuple[list[int], str]:
    """Numbers of the ROIs whose two-time functions are drawn, and a sentence where these are not all."""
    numbers = [int(number) for number in analysis.tables["fits"]["roi"]]
    if len(numbers) <= MOST_ROIS:
        return numbers, ""
    chosen = [numbers[round(k * (len(numbers) - 1) / (MOST_ROIS - 1))] for k in range(MOST_ROIS)]
    return chosen, f"{MOST_ROIS} of {len(numbers)} ROIs are drawn: {', '.join(map(str, chosen))}."


def origins(analysis: Analysis) -> list[tuple[str, str, str]]:
    """Rows under `ORIGINS`: the geometry and whatever else the recipe left to be found, and where it was found."""
    geometry = analysis.resolved["geometry"]
    known = {f"geometry.{row['name']}" for row in geometry}
    sources = analysis.resolved.get("sources", {})
    return [
        *((row["name"], f"{float(row['value']):.6g} {row['unit']}", row["source"]) for row in geometry),
        *((name, "", str(source)) for name, source in sources.items() if name not in known),
    ]


def recipe_text(analysis: Analysis) -> str:
    """All of the recipe as it was resolved, as YAML."""
    return yaml.safe_dump(analysis.resolved["recipe"], sort_keys=False, allow_unicode=True)


def with_power(value: float, error: float) -> str:
    """Value and standard error with a common power of ten, for numbers that have many digits before the point.

    >>> with_power(597820.0, 17997.0), with_power(12.3456, 0.0321), with_power(5e6, float("nan"))
    ('(5.98 ± 0.18)·10⁵', '12.346 ± 0.032', '(5 ± ?)·10⁶')
    """
    if not math.isfinite(value) or 1e-3 <= abs(value) < 1e4 or value == 0:
        return with_error(value, error)
    power = math.floor(math.log10(abs(value)))
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"({with_error(value / 10**power, error / 10**power)})·10{raised}"


def _flags(analysis: Analysis) -> list[Flag]:
    fits = analysis.tables["fits"]
    return flags({int(roi): str(flag) for roi, flag in zip(fits["roi"], fits["flag"], strict=True)})


def _row(row: dict[Any, Any], own: str) -> tuple[str, ...]:
    bounds = str(row[f"{row['headline']}_on_bound"]).split(", ")
    cells = [
        "at bound" if name in bounds else with_error(row[name], row[f"{name}_error"])
        for name in ("relaxation_rate", "beta", "baseline", "alpha")
    ]
    phi = f"{row['phi']:.1f}" if math.isfinite(row["phi"]) else "-"
    contrast = with_error(row["contrast"], row["contrast_error"])
    trust = ("trusted" if row["trusted"] else "not trusted") + (f" ({own})" if own else "")
    return (str(row["roi"]), f"{row['q']:.5f}", phi, *cells, contrast, str(row["headline"]), trust)


def _q_sentence(row: dict[Any, Any]) -> str:
    name = {"headline": "Of the leading values", "raw": "Of the measured curves", "denoised": "Of the denoised curves"}
    if not math.isfinite(row["diffusion"]):
        return f"{name[row['kind']]}: no D, {row['reason'] or 'no value'}."
    said = f"{name[row['kind']]}: D = {with_power(row['diffusion'], row['diffusion_error'])} Å²/s (Γ = D q²"
    chi2 = f", χ² {row['diffusion_chi2']:.2g}" if math.isfinite(row["diffusion_chi2"]) else ""
    power = f"; Γ ∝ q^({with_error(row['exponent'], row['exponent_error'])})" if math.isfinite(row["exponent"]) else ""
    return f"{said}{chi2}, {row['n_rois']} ROIs){power}." + (f" {row['reason']}" if row["reason"] else "")
