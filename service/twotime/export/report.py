"""An analysis as one page that needs nothing else: to read, to print, to send."""

from base64 import b64encode
from functools import partial
from html import escape
from pathlib import Path

from twotime.export.report_pictures import (
    DYNAMICS_HEIGHT,
    ROI_HEIGHT,
    SCATTERING_HEIGHT,
    draw_dynamics,
    draw_roi,
    draw_scattering,
    png,
)
from twotime.export.words import (
    CITATION,
    DYNAMICS_CAPTION,
    MODEL,
    ORIGINS,
    ROI_CAPTION,
    SCATTERING_CAPTION,
    drawn_rois,
    facts,
    flag_sentences,
    headline_table,
    origins,
    q_sentences,
    recipe_text,
    steadiness,
    title,
    verdict_sentences,
)
from twotime.results import Analysis

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1f2933; margin: 0 auto;
  max-width: 1080px; padding: 28px 32px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p, ul { margin: 6px 0; } .quiet { color: #52606d; }
  pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.verdict { font-size: 17px; margin: 12px 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 14px 0 0; }
dt { color: #52606d; } dd { margin: 0; } .flags { gap: 0 10px; margin-top: 8px; font-size: 13.5px; color: #9a3412; }
.flags dt { color: inherit; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: #52606d; border-bottom: 2px solid #9aa5b1; padding: 4px 14px 4px 0; }
td { border-bottom: 1px solid #e4e7eb; padding: 4px 14px 4px 0; vertical-align: top; white-space: nowrap; }
td:last-child { white-space: normal; } tr.doubt td:last-child { color: #9a3412; }
figure { margin: 10px 0; } img { width: 100%; height: auto; } figcaption { color: #52606d; font-size: 13px; }
pre { background: #f5f7fa; padding: 12px 14px; font-size: 12px; line-height: 1.4; white-space: pre-wrap; }
ul { padding-left: 20px; }
@page { size: A4; margin: 14mm; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } table { font-size: 8pt; }
  h1 { font-size: 18pt; } h2 { font-size: 13pt; margin-top: 18pt; break-after: avoid; }
  figure, tr { break-inside: avoid; } td, th { padding-right: 7pt; } pre { font-size: 7.5pt; } }
"""


def write_report(path: Path, analysis: Analysis) -> None:
    """Write `report_html` as UTF-8, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(report_html(analysis), encoding="utf-8")
    draft.replace(path)


def report_html(analysis: Analysis) -> str:
    """Header, numbers with errors and flags, pictures, warnings, recipe with sources and citation, in one HTML page."""
    name = escape(title(analysis))
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>XPCS of {name}</title>',
        f"<style>{STYLE}</style></head>\n<body>",
        _header(analysis),
        _numbers(analysis),
        warnings_html(analysis),
        _dynamics(analysis),
        _rois(analysis),
        _scattering(analysis),
        recipe_html(analysis),
        f"<h2>How to cite</h2><p>{escape(CITATION)}</p>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _header(analysis: Analysis) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(analysis))
    said = escape(" ".join(verdict_sentences(analysis)))
    return (
        f"<h1>{escape(title(analysis))}</h1><p class=quiet>X-ray photon correlation spectroscopy</p>"
        f'<p class="verdict">{said}</p><dl>{rows}</dl>'
    )


def _numbers(analysis: Analysis) -> str:
    fits = analysis.tables["fits"]
    header, rows = headline_table(analysis)
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f'<tr title="{escape(flag)}"{"" if sound else " class=doubt"}>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row, sound, flag in zip(rows, fits["trusted"], fits["flag"], strict=True)
    )
    legend = "".join(f"<dt>{mark}</dt><dd>{escape(sentence)}</dd>" for mark, sentence in flag_sentences(analysis))
    return (
        f"<h2>Fits</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (f'<dl class="flags">{legend}</dl>' if legend else "")
        + f'<p class="quiet">{escape(MODEL)}</p>'
    )


def warnings_html(analysis: Analysis) -> str:
    """Heading and warnings."""
    return "<h2>Warnings</h2>" + (list_html(analysis.warnings) if analysis.warnings else "<p>None.</p>")


def _dynamics(analysis: Analysis) -> str:
    picture = png(partial(draw_dynamics, analysis=analysis), DYNAMICS_HEIGHT)
    said = list_html([*q_sentences(analysis), *steadiness(analysis)])
    return f"<h2>Dependence on q and age</h2>{figure_html(picture, DYNAMICS_CAPTION)}{said}"


def _rois(analysis: Analysis) -> str:
    numbers, words = drawn_rois(analysis)
    parts = ["<h2>Two-time and one-time correlation functions</h2>", f"<p>{words}</p>" if words else ""]
    for number in numbers:
        picture = png(partial(draw_roi, analysis=analysis, number=number), ROI_HEIGHT)
        parts.append(figure_html(picture, f"ROI {number}: {ROI_CAPTION}"))
    return "".join(parts)


def _scattering(analysis: Analysis) -> str:
    picture = png(partial(draw_scattering, analysis=analysis), SCATTERING_HEIGHT)
    return f"<h2>Scattering</h2>{figure_html(picture, SCATTERING_CAPTION)}"


def recipe_html(analysis: Analysis) -> str:
    """Heading, sources of values, and all of the recipe."""
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in origins(analysis))
    head = "".join(f"<th>{name}</th>" for name in ORIGINS)
    return (
        f"<h2>Recipe</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>All of it, as it was resolved:</p><pre>{escape(recipe_text(analysis))}</pre>"
    )


def list_html(sentences: list[str]) -> str:
    """Sentences as a list."""
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def figure_html(picture: bytes, caption: str) -> str:
    """A PNG picture within the page."""
    source = f"data:image/png;base64,{b64encode(picture).decode()}"
    return f'<figure><img alt="{escape(caption)}" src="{source}"><figcaption>{escape(caption)}</figcaption></figure>'
