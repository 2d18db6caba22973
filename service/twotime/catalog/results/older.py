"""Analyses of earlier versions, completed with the columns that came later, so that exports need not know them."""

import math
from typing import Any

import pandas as pd

LATER: dict[str, dict[str, Any]] = {
    "fits": {
        "phi": math.nan,
        "products": "",
        "stationarity": "",
        "stationarity_chi2": math.nan,
        "stationarity_probability": math.nan,
        "raw_r2": math.nan,
        "denoised_r2": math.nan,
    },
    "g2": {"g2_estimate": math.nan},
    "fits_age": {
        f"{kind}_trend_relaxation_rate{error}": math.nan for kind in ("raw", "denoised") for error in ("", "_error")
    },
    "q_fit": {"rois": ""},
}
"""Columns that version 0.1.0 did not write, by table, and what stands in them where nothing is known."""


def completed(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A published table with the columns of `LATER`.

    Examples
    --------
    >>> completed("q_fit", pd.DataFrame({"kind": ["raw"]})).to_dict("records")
    [{'kind': 'raw', 'rois': ''}]
    """
    missing = {column: value for column, value in LATER.get(name, {}).items() if column not in table}
    return table.assign(**missing) if missing else table
