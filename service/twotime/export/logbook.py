"""The numbers of an analysis as plain text for a logbook."""

from pathlib import Path

from twotime.export.words import (
    CITATION,
    HEADLINE,
    facts,
    flag_sentences,
    headline_rows,
    q_sentences,
    steadiness,
    title,
    verdict_sentences,
)
from twotime.results import Analysis


def write_logbook(path: Path, analysis: Analysis) -> None:
    """Write `logbook_text` as UTF-8, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(logbook_text(analysis), encoding="utf-8")
    draft.replace(path)


def logbook_text(analysis: Analysis) -> str:
    """Header, verdict, fits with errors and flags, D, steadiness and warnings, in columns of a fixed-width font."""
    known = facts(analysis)
    lines = [f"XPCS of {title(analysis)}", "", *verdict_sentences(analysis), ""]
    lines += [f"{name:<12} {value}" for name, value in known]
    lines += ["", *columns(HEADLINE, headline_rows(analysis)), ""]
    lines += [*(f"({mark}) {sentence}" for mark, sentence in flag_sentences(analysis)), ""]
    lines += [*q_sentences(analysis), *steadiness(analysis)]
    if analysis.warnings:
        lines += ["", "Warnings", *(f"- {warning}" for warning in analysis.warnings)]
    return "\n".join([*lines, "", f"Please cite {CITATION}", ""])


def columns(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Cells under their headers, all but the last padded to the widest of their column.

    >>> columns(("a", "b"), [("12", "x")])
    ['a   b', '12  x']
    """
    table = [header, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(header) - 1)]
    return ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in table]
