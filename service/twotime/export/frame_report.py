"""Denoised frames as a page, on paper, and as text: verdict, counts of regions, peaks, pictures, recipe."""

from functools import partial
from html import escape
from pathlib import Path

from twotime.export.frame_pictures import COUNTS_HEIGHT, FRAME_HEIGHT, draw_counts, draw_frame
from twotime.export.frame_words import (
    CITATION,
    COUNTS_CAPTION,
    FRAME_CAPTION,
    SUBJECT,
    TRUST,
    drawn_frames,
    frame_facts,
    frame_title,
    peak_table,
    region_table,
    shortened,
)
from twotime.export.logbook import columns
from twotime.export.pages import QUIET, Pages
from twotime.export.report import STYLE, figure_html, recipe_html, warnings_html
from twotime.export.report_pdf import add_recipe
from twotime.export.report_pictures import png
from twotime.export.words import title
from twotime.results import Analysis

PAPER_HEIGHT = 2.2
"""Of the pictures, inches on paper."""


def write_frame_report(path: Path, analysis: Analysis) -> None:
    """Write `frame_report_html` as UTF-8, whole or not at all."""
    _write(path, frame_report_html(analysis))


def write_frame_text(path: Path, analysis: Analysis) -> None:
    """Write `frame_report_text` as UTF-8, whole or not at all."""
    _write(path, frame_report_text(analysis))


def write_frame_pdf(path: Path, analysis: Analysis) -> None:
    """Write the report as PDF, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    versions = ", ".join(f"{name} {version}" for name, version in analysis.versions.items())
    about = {"Title": f"{SUBJECT} of {title(analysis)}", "Subject": SUBJECT, "Creator": versions}
    frame_report_pages(analysis).save(draft, about)
    draft.replace(path)


def frame_report_html(analysis: Analysis) -> str:
    """Verdict, facts, counts, peaks, pictures, warnings, recipe with sources and citation, in one HTML page."""
    name = escape(title(analysis))
    facts = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in frame_facts(analysis))
    numbers, words = drawn_frames(analysis)
    frames = "".join(
        figure_html(png(partial(draw_frame, analysis=analysis, number=one), FRAME_HEIGHT), _named(analysis, one))
        for one in numbers
    )
    counts = figure_html(png(partial(draw_counts, analysis=analysis), COUNTS_HEIGHT), COUNTS_CAPTION)
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{SUBJECT} of {name}</title>',
        f"<style>{STYLE}</style></head>\n<body>",
        f'<h1>{name}</h1><p class=quiet>{SUBJECT}</p><p class="verdict">{escape(" ".join(_verdict(analysis)))}</p>',
        f"<dl>{facts}</dl>",
        f"<h2>Frames</h2><p class=quiet>{escape(_caption(words))}</p>{frames}",
        f"<h2>{_counts_heading(analysis)}</h2>{counts}{_table(*region_table(analysis))}",
        f"<h2>Peaks</h2>{_table(*peak_table(analysis))}",
        warnings_html(analysis),
        f'<h2>What these numbers are</h2><p class="quiet">{escape(TRUST)}</p>',
        recipe_html(analysis),
        f"<h2>How to cite</h2><p>{escape(CITATION)}</p>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def frame_report_text(analysis: Analysis) -> str:
    """The same without pictures, in columns of a fixed-width font."""
    lines = [f"{SUBJECT} of {title(analysis)}", "", *_verdict(analysis), ""]
    lines += [f"{name:<12} {value}" for name, value in frame_facts(analysis)]
    for heading, (header, rows) in (
        (_counts_heading(analysis), region_table(analysis)),
        ("Peaks", peak_table(analysis)),
    ):
        shown, words = shortened(rows)
        lines += ["", heading, "", *(columns(header, shown) if shown else ["none"]), *([words] if words else [])]
    if analysis.warnings:
        lines += ["", "Warnings", *(f"- {warning}" for warning in analysis.warnings)]
    return "\n".join([*lines, "", TRUST, "", f"Please cite {CITATION}", ""])


def frame_report_pages(analysis: Analysis) -> Pages:
    """The same as `frame_report_html` on sheets of A4."""
    pages = Pages(f"{SUBJECT} of {title(analysis)}, run {str(analysis.resolved.get('raw_uid', ''))[:8]}")
    pages.title(title(analysis), SUBJECT)
    pages.paragraph(" ".join(_verdict(analysis)), size=11)
    pages.facts(frame_facts(analysis))
    numbers, words = drawn_frames(analysis)
    pages.heading("Frames", PAPER_HEIGHT + 0.4)
    pages.paragraph(_caption(words), size=8, colour=QUIET)
    for number in numbers:
        pages.picture(partial(draw_frame, analysis=analysis, number=number), PAPER_HEIGHT, _named(analysis, number))
    pages.heading(_counts_heading(analysis), PAPER_HEIGHT + 0.4)
    pages.picture(partial(draw_counts, analysis=analysis), PAPER_HEIGHT, COUNTS_CAPTION)
    _rows(pages, *region_table(analysis))
    pages.heading("Peaks", 1.0)
    _rows(pages, *peak_table(analysis))
    pages.heading("Warnings")
    for warning in analysis.warnings or ["None."]:
        pages.paragraph(warning)
    pages.heading("What these numbers are")
    pages.paragraph(TRUST, size=8, colour=QUIET)
    add_recipe(pages, analysis, CITATION)
    return pages


def _verdict(analysis: Analysis) -> list[str]:
    return [str(one["sentence"]) for one in analysis.resolved.get("verdict", [])]


def _named(analysis: Analysis, number: int) -> str:
    words = frame_title(analysis, number)
    return f"{words[0].upper()}{words[1:]}"


def _counts_heading(analysis: Analysis) -> str:
    return "Counts of regions" if "regions" in analysis.tables else "Counts of whole frames"


def _caption(words: str) -> str:
    return f"{FRAME_CAPTION[0].upper()}{FRAME_CAPTION[1:]} {words}".rstrip()


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    shown, words = shortened(rows)
    if not shown:
        return "<p>None.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in shown)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + (f'<p class="quiet">{words}</p>' if words else "")


def _rows(pages: Pages, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    shown, words = shortened(rows)
    if not shown:
        pages.paragraph("None.")
        return
    pages.table(header, shown)
    if words:
        pages.paragraph(words, size=8, colour=QUIET)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
