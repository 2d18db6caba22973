"""The report of an analysis on paper: the same content as `twotime.export.report`, as PDF."""

from functools import partial
from pathlib import Path

from twotime.export.pages import DOUBT, QUIET, Pages
from twotime.export.report_pictures import draw_dynamics, draw_roi, draw_scattering
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

ROI_HEIGHT, DYNAMICS_HEIGHT, SCATTERING_HEIGHT = 2.25, 2.4, 2.5
"""Of the pictures, inches on paper."""


def write_pdf(path: Path, analysis: Analysis) -> None:
    """Write the report as PDF, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    name = title(analysis)
    versions = ", ".join(f"{name} {version}" for name, version in analysis.versions.items())
    about = {"Title": f"XPCS of {name}", "Subject": "X-ray photon correlation spectroscopy", "Creator": versions}
    report_pages(analysis).save(draft, about)
    draft.replace(path)


def report_pages(analysis: Analysis) -> Pages:
    """Header, numbers with errors and flags, warnings, pictures, recipe with sources and citation."""
    pages = Pages(f"XPCS of {title(analysis)}, run {str(analysis.resolved.get('raw_uid', ''))[:8]}")
    pages.title(title(analysis), "X-ray photon correlation spectroscopy")
    pages.paragraph(" ".join(verdict_sentences(analysis)), size=11)
    pages.facts(facts(analysis))
    _numbers(pages, analysis)
    pages.heading("Warnings")
    _list(pages, analysis.warnings)
    if not analysis.warnings:
        pages.paragraph("None.")
    pages.heading("Dependence on q and age", DYNAMICS_HEIGHT)
    pages.picture(partial(draw_dynamics, analysis=analysis), DYNAMICS_HEIGHT, DYNAMICS_CAPTION)
    _list(pages, [*q_sentences(analysis), *steadiness(analysis)])
    _rois(pages, analysis)
    pages.heading("Scattering", SCATTERING_HEIGHT + 0.4)
    pages.picture(partial(draw_scattering, analysis=analysis), SCATTERING_HEIGHT, SCATTERING_CAPTION)
    add_recipe(pages, analysis, CITATION)
    return pages


def add_recipe(pages: Pages, analysis: Analysis, citation: str) -> None:
    """The end of a report: recipe with the source of each value, and how to cite."""
    pages.heading("Recipe")
    pages.table(ORIGINS, origins(analysis))
    pages.heading("All of the recipe, as it was resolved")
    pages.listing(recipe_text(analysis))
    pages.heading("How to cite")
    pages.paragraph(citation)


def _numbers(pages: Pages, analysis: Analysis) -> None:
    pages.heading("Fits", 1.0)
    header, rows = headline_table(analysis)
    pages.table(header, rows, doubtful=[not one for one in analysis.tables["fits"]["trusted"]])
    for mark, sentence in flag_sentences(analysis):
        pages.paragraph(sentence, size=8, colour=DOUBT, mark=mark, indent=0.2)
    pages.paragraph(MODEL, size=8, colour=QUIET)


def _rois(pages: Pages, analysis: Analysis) -> None:
    numbers, words = drawn_rois(analysis)
    pages.heading("Two-time and one-time correlation functions", ROI_HEIGHT + 0.4)
    pages.paragraph(f"{ROI_CAPTION[0].upper()}{ROI_CAPTION[1:]} {words}", size=8, colour=QUIET)
    for number in numbers:
        pages.picture(partial(draw_roi, analysis=analysis, number=number), ROI_HEIGHT)


def _list(pages: Pages, sentences: list[str]) -> None:
    for sentence in sentences:
        pages.paragraph(sentence, mark="•", indent=0.15)
