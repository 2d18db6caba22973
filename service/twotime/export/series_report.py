"""A series as one page that needs nothing else: verdicts, pictures, laws, marks and settings of many scans."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from twotime.export.flags import flags
from twotime.export.report import STYLE
from twotime.export.report_pictures import png
from twotime.series import OF_ROIS, OF_SCANS, QUANTITIES, TIME, Law, LawFit, Series, laws_of
from twotime.series.table import UNITS
from twotime.verdict.words import with_error

HEIGHT = 4.6
_PARAMETERS = {"slope": "slope", "exponent": "exponent", "activation_energy": "activation energy"}


def write_series_report(path: Path, found: Series, y: str, law: Law | None, x_unit: str | None) -> None:
    """Write `series_report_html` as UTF-8."""
    path.write_text(series_report_html(found, y, law, x_unit), encoding="utf-8")


def series_report_html(
    found: Series, y: str = "relaxation_rate", law: Law | None = None, x_unit: str | None = None
) -> str:
    """Title, pictures of y and of what goes with it, laws, a line for each scan with its verdict, flags, settings.

    Parameters
    ----------
    y, law, x_unit : see `twotime.series.laws_of`
    """
    laws = [] if law is None else laws_of(found, y, law, x_unit=x_unit)
    name = escape(_title(found))
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>XPCS of {name}</title>',
        f"<style>{STYLE}</style></head>\n<body>",
        f"<h1>{name}</h1><p class=quiet>{escape(_span(found))}</p>",
        f"<h2>{escape(QUANTITIES[y])} and {escape(QUANTITIES[_beside(y)])} against {escape(_name(found))}</h2>",
        _picture(found, y, laws),
        _laws(found, laws),
        f"<h2>Scans</h2>{_scans(found)}",
        _flags(found),
        _settings(found),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _title(found: Series) -> str:
    samples = sorted({str(one) for one in found.scans["sample"] if one})
    shown = ", ".join(samples[:4]) + (f" and {len(samples) - 4} more" if len(samples) > 4 else "")
    return f"{shown or 'unnamed sample'}, {len(found.scans)} scans"


def _span(found: Series) -> str:
    times = found.scans["time"].dropna()
    begun = f"{_moment(times.min())} to {_moment(times.max())} UTC" if len(times) else "at unknown times"
    left = f"; {found.marked_bad} scans marked as bad are left out" if found.marked_bad else ""
    return f"X-ray photon correlation spectroscopy, runs started {begun}{left}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if np.isfinite(seconds) else "-"


def _name(found: Series) -> str:
    return {"scan_id": "scan number", TIME: "hours since the first scan"}.get(
        found.x.name, found.x.name.removeprefix("baseline.")
    )


def _picture(found: Series, y: str, laws: Sequence[tuple[int | None, LawFit]]) -> str:
    content = png(partial(_draw, found=found, y=y, laws=dict(laws)), HEIGHT)
    words = "Filled points are trusted, open ones are not. Bars: standard errors. Lines: the law, where one was fitted."
    source = f"data:image/png;base64,{b64encode(content).decode()}"
    return f'<figure><img alt="{escape(words)}" src="{source}"><figcaption>{escape(words)}</figcaption></figure>'


def _beside(y: str) -> str:
    """What is drawn beside y: D where y belongs to ROIs, else Γ."""
    return "diffusion" if y in OF_ROIS else "relaxation_rate"


def _draw(figure: FigureBase, found: Series, y: str, laws: dict[int | None, LawFit]) -> None:
    left, right = figure.subplots(1, 2)
    for panel, quantity in ((left, y), (right, _beside(y))):
        _panel(panel, found, quantity, laws if quantity == y else {})


def _panel(panel: Axes, found: Series, y: str, laws: dict[int | None, LawFit]) -> None:
    whole = y in OF_SCANS
    sets = [(None, found.scans)] if whole else [*found.rows.groupby("group")]
    for place, (group, own) in enumerate(sets):
        tint = colormaps["viridis"](0.88 * place / max(1, len(sets) - 1))
        label = None if group is None else f"q = {found.groups[int(group) - 1].q:.4g} 1/Å"
        trusted = np.ones(len(own), bool) if whole else own["trusted"].to_numpy(bool)
        for sound in (True, False):
            some = own[trusted == sound]
            panel.errorbar(
                _along(found, some["x"]),
                some[y],
                some[f"{y}_error"],
                fmt="o",
                color=tint,
                markersize=4.5,
                linewidth=1,
                markerfacecolor=tint if sound else "none",
                label=label if sound else None,
            )
        if group in laws and laws[group].x:
            panel.plot(_along(found, pd.Series(laws[group].x)), laws[group].y, color=tint, linewidth=1.4)
    unit = "" if UNITS[y] == "1" else f" ({UNITS[y]})"
    x_unit = "" if found.x.unit == "1" or found.x.name == TIME else f" ({found.x.unit})"
    panel.set(xlabel=f"{_name(found)}{x_unit}", ylabel=f"{QUANTITIES[y].replace('^p', 'ᵖ')}{unit}")
    if not whole:
        panel.legend(frameon=False, fontsize=8, ncols=2)


def _along(found: Series, x: "pd.Series[Any]") -> "pd.Series[Any]":
    return (x - found.x.low) / 3600 if found.x.name == TIME else x


def _laws(found: Series, laws: Sequence[tuple[int | None, LawFit]]) -> str:
    lines = []
    for group, fit in laws:
        where = "" if group is None else f"q = {found.groups[group - 1].q:.4g} 1/Å: "
        said = ", ".join(
            f"{words} {with_error(fit.values[name], fit.errors[name], fit.units[name])}"
            for name, words in _PARAMETERS.items()
            if name in fit.values
        )
        lines.append(f"{where}{fit.reason or f'{said} (χ² {fit.chi2:.2g}, {fit.n} scans)'}")
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in dict.fromkeys(lines)) + "</ul>" if lines else ""


def _scans(found: Series) -> str:
    head = ("scan", "started (UTC)", _name(found), "D (Å²/s)", "trusted ROIs", "mark", "verdict")
    rows = "".join(
        f"<tr{' class=doubt' if row['mark'] == 'bad' else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(found, row))
        + "</tr>"
        for row in found.scans.to_dict("records")
    )
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(found: Series, row: dict[Any, Any]) -> tuple[str, ...]:
    scan = row["analysis_id"] if pd.isna(row["scan_id"]) else str(row["scan_id"])
    x = (row["x"] - found.x.low) / 3600 if found.x.name == TIME else row["x"]
    diffusion = with_error(row["diffusion"], row["diffusion_error"]) if np.isfinite(row["diffusion"]) else "-"
    said = ": ".join(one for one in (row["mark"], row["note"]) if one)
    known = f"{row['n_trusted']} of {row['n_rois']}"
    return (scan, _moment(row["time"]), f"{x:.6g}", diffusion, known, said, row["verdict"] or "-")


def _flags(found: Series) -> str:
    rows = found.rows.to_dict("records")
    scans = [row["analysis_id"] if pd.isna(row["scan_id"]) else str(row["scan_id"]) for row in rows]
    lines = [
        f"{one.sentence} (scan {', '.join(dict.fromkeys(scans[place] for place in one.rois))})"
        for one in flags({place: str(row["flag"]) for place, row in enumerate(rows)})
    ]
    return f"<h2>Flags</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _settings(found: Series) -> str:
    lines = [
        f"recipe {recipe} with {software}: scans {', '.join(own['scan_id'].astype(str))}"
        for (recipe, software), own in found.scans.groupby(["recipe", "software"])
    ]
    return "<h2>Settings</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
