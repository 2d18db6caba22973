"""The fits of an analysis as text that people read."""

import math
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from twotime.export.flags import flags, marks


def with_error(value: float, error: float) -> str:
    """Value and standard error, both to the error's second significant digit.

    >>> with_error(12.3456, 0.0321)
    '12.346 ± 0.032'
    >>> with_error(1234.5, 67.0)
    '1234 ± 67'
    >>> with_error(5.0, float("nan"))
    '5 ± ?'
    >>> with_error(float("nan"), 0.1)
    '-'
    """
    if not math.isfinite(value):
        return "-"
    if not math.isfinite(error) or error <= 0:
        return f"{value:.4g} ± ?"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    if decimals > 6:
        return f"{value:.4g} ± {error:.1e}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def fits_text(fits: pd.DataFrame, truth: dict[int, float] | None = None) -> Table:
    """The table of fits for a terminal, one row per ROI, the sentences of their flags below.

    Parameters
    ----------
    fits : published table ``fits``
    truth : by ROI, the true relaxation rate where it is known, 1/s
    """
    found = flags(dict(zip(fits["roi"], fits["flag"], strict=True)))
    legend = "\n".join(f"({one.mark}) {one.sentence}" for one in found)
    table = Table(show_edge=False, pad_edge=False, caption=Text(legend) if found else None, caption_justify="left")
    for name in (
        "ROI",
        "q (1/Å)",
        *(["Γ true (1/s)"] if truth else []),
        "Γ estimate (1/s)",
        "Γ raw (1/s)",
        "Γ denoised (1/s)",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("β", "C∞", "α"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("flag", overflow="fold")
    for row in fits.to_dict("records"):
        cells = [str(row["roi"]), f"{row['q']:.5f}"]
        if truth:
            cells.append(f"{truth[row['roi']]:.3f}" if row["roi"] in truth else "-")
        cells += [rate_with_error(row, kind) for kind in ("estimate", "raw", "denoised")]
        cells += [with_error(row[name], row[f"{name}_error"]) for name in ("beta", "baseline", "alpha")]
        own = marks(found, row["roi"])
        trust = f"{row['headline']}, {'trusted' if row['trusted'] else 'not trusted'}"
        table.add_row(*cells, trust + (f" ({own})" if own else ""))
    return table


def rate_with_error(row: dict[Any, Any], kind: str) -> str:
    """Rate of one kind in a row of ``fits``; one that ended on a bound is no measurement and is not shown as one."""
    if f"{kind}_on_bound" not in row:
        return "-"
    if "relaxation_rate" in row[f"{kind}_on_bound"]:
        return "at bound"
    return with_error(row[f"{kind}_relaxation_rate"], row[f"{kind}_relaxation_rate_error"])
