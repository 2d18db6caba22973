"""Numbers of denoised frames as text, for terminals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

MOST_ROWS = 60
"""Frames or region counts that are printed; all of them stand in the published tables."""


def frames_text(
    tables: Mapping[str, pd.DataFrame], statements: Sequence[Mapping[str, Any]], variable: Mapping[str, str] | None
) -> str:
    """Sentences of the verdict, then the counts of regions, or of whole frames where there are no regions.

    Parameters
    ----------
    tables : ``frames`` and, where there are regions, ``regions``
    statements : of the verdict, as published
    variable : name and unit of the scan variable; None where there is none
    """
    scanned = "" if variable is None else variable["name"] + (f" ({variable['unit']})" if variable["unit"] else "")
    rows = tables.get("regions")
    lines = _regions(rows, scanned) if rows is not None else _frames(tables["frames"], scanned)
    if len(lines) > MOST_ROWS + 1:
        lines = [*lines[: MOST_ROWS + 1], f"... and {len(lines) - MOST_ROWS - 1} more"]
    return "\n".join([*(str(one["sentence"]) for one in statements), "", *lines])


def _regions(rows: pd.DataFrame, scanned: str) -> list[str]:
    head = f"{'frame':>6}  {scanned or '':>16}  {'region':>6}  {'raw counts':>20}  {'denoised':>20}"
    return [
        head,
        *(
            f"{row['frame']:>6}  {_value(row['scan_value']):>16}  {row['region']:>6}  "
            f"{_counts(row, 'counts'):>20}  {_counts(row, 'counts_denoised'):>20}"
            for row in rows.to_dict("records")
        ),
    ]


def _frames(rows: pd.DataFrame, scanned: str) -> list[str]:
    return [
        f"{'frame':>6}  {scanned or '':>16}  {'raw counts':>12}  {'denoised':>12}  {'peaks':>6}",
        *(
            f"{row['frame']:>6}  {_value(row['scan_value']):>16}  {row['counts']:>12.0f}  "
            f"{row['counts_denoised']:>12.0f}  {row['n_peaks']:>6}"
            for row in rows.to_dict("records")
        ),
    ]


def _value(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _counts(row: Mapping[Any, Any], name: str) -> str:
    return f"{row[name]:.1f} ± {row[f'{name}_error']:.1f}"
