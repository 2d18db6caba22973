"""An analysis as one page that needs nothing else: to read, to print, to send."""

from base64 import b64encode
from html import escape
from pathlib import Path

import yaml

from twotime.export.report_pictures import dynamics_picture, roi_picture, scattering_picture
from twotime.export.words import CITATION, HEADLINE, facts, headline_rows, q_sentences, steadiness, title
from twotime.results import Analysis

MOST_ROIS = 8
"""Of which two-time functions are drawn; more make a page that no browser likes."""
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1f2933; margin: 0 auto;
  max-width: 1080px; padding: 28px 32px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p, ul { margin: 6px 0; } .quiet { color: #52606d; }
  pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 14px 0 0; }
dt { color: #52606d; } dd { margin: 0; }
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
        _warnings(analysis),
        _dynamics(analysis),
        _rois(analysis),
        _scattering(analysis),
        _recipe(analysis),
        f"<h2>How to cite</h2><p>{escape(CITATION)}</p>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _header(analysis: Analysis) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(analysis))
    return f"<h1>{escape(title(analysis))}</h1><p class=quiet>X-ray photon correlation spectroscopy</p><dl>{rows}</dl>"


def _numbers(analysis: Analysis) -> str:
    trusted = [bool(one) for one in analysis.tables["fits"]["trusted"]]
    rows = headline_rows(analysis)
    # A column of φ says nothing where no ROI has one.
    shown = [k for k, name in enumerate(HEADLINE) if name != "φ (°)" or any(row[k] != "-" for row in rows)]
    head = "".join(f"<th>{escape(HEADLINE[k])}</th>" for k in shown)
    body = "".join(
        f'<tr class="{"" if sound else "doubt"}">' + "".join(f"<td>{escape(row[k])}</td>" for k in shown) + "</tr>"
        for row, sound in zip(rows, trusted, strict=True)
    )
    return (
        f"<h2>Fits</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        '<p class="quiet">g₂(t) = C∞ + β exp(−2 (Γ t)^α); values with standard errors. "From": the curve whose fit '
        "leads, measured (raw) or denoised.</p>"
    )


def _warnings(analysis: Analysis) -> str:
    return "<h2>Warnings</h2>" + (_list(analysis.warnings) if analysis.warnings else "<p>None.</p>")


def _dynamics(analysis: Analysis) -> str:
    caption = "Filled points count for D, open ones do not. Lines: weighted fits of Γ = D q², with the error of D."
    said = _list([*q_sentences(analysis), *steadiness(analysis)])
    return f"<h2>Dependence on q and age</h2>{_figure(dynamics_picture(analysis), caption)}{said}"


def _rois(analysis: Analysis) -> str:
    numbers = [int(number) for number in analysis.tables["fits"]["roi"]]
    parts = ["<h2>Two-time and one-time correlation functions</h2>"]
    if len(numbers) > MOST_ROIS:
        chosen = [numbers[round(k * (len(numbers) - 1) / (MOST_ROIS - 1))] for k in range(MOST_ROIS)]
        parts.append(f"<p>{MOST_ROIS} of {len(numbers)} ROIs are drawn: {', '.join(map(str, chosen))}.</p>")
        numbers = chosen
    parts += [
        _figure(roi_picture(analysis, number), f"ROI {number}: points with standard errors, lines are fits.")
        for number in numbers
    ]
    return "".join(parts)


def _scattering(analysis: Analysis) -> str:
    caption = "Mean of the analysed frames on a logarithmic scale; masked pixels are white."
    return f"<h2>Scattering</h2>{_figure(scattering_picture(analysis), caption)}"


def _recipe(analysis: Analysis) -> str:
    rows = "".join(
        f"<tr><td>{escape(row['name'])}</td><td>{float(row['value']):.6g} {escape(row['unit'])}</td>"
        f"<td>{escape(row['source'])}</td></tr>"
        for row in analysis.resolved["geometry"]
    )
    known = {f"geometry.{row['name']}" for row in analysis.resolved["geometry"]}
    rows += "".join(
        f"<tr><td>{escape(name)}</td><td></td><td>{escape(str(source))}</td></tr>"
        for name, source in analysis.resolved.get("sources", {}).items()
        if name not in known
    )
    text = yaml.safe_dump(analysis.resolved["recipe"], sort_keys=False, allow_unicode=True)
    head = "<tr><th>field</th><th>value</th><th>source</th></tr>"
    return (
        f"<h2>Recipe</h2><table><thead>{head}</thead><tbody>{rows}</tbody></table>"
        f"<p>All of it, as it was resolved:</p><pre>{escape(text)}</pre>"
    )


def _list(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _figure(png: bytes, caption: str) -> str:
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<figure><img alt="{escape(caption)}" src="{source}"><figcaption>{escape(caption)}</figcaption></figure>'
