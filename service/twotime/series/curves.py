"""One-time correlation functions of many scans in one table, to be laid over each other."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

CurveKind = Literal["raw", "denoised"]
MOST_CURVES = 40
"""Scans whose curves are read for one picture; more cannot be told apart."""


def curves_of(rows: pd.DataFrame, tables: Sequence[pd.DataFrame], kind: CurveKind = "raw") -> pd.DataFrame:
    """Curves of one ROI of each scan.

    Parameters
    ----------
    rows : one row per scan, with analysis_id, scan_id, x, roi and q
    tables : published table ``g2`` of each
    kind : curve of the measured or of the denoised two-time function

    Returns
    -------
    One row per scan and lag: analysis_id, scan_id, x, roi, q, lag_s, g2, g2_error, and g2_fit, which is the estimate
    where there is one, else the fit of the curve.
    """
    parts = []
    for row, table in zip(rows.to_dict("records"), tables, strict=True):
        own = table[table["roi"] == row["roi"]]
        estimated = "g2_estimate" in own and own["g2_estimate"].notna().any()
        fixed = {name: row[name] for name in ("analysis_id", "scan_id", "x", "roi", "q")}
        curve = {
            "lag_s": own["lag_s"].to_numpy(float),
            "g2": own[f"g2_{kind}"].to_numpy(float),
            "g2_error": own[f"g2_{kind}_error"].to_numpy(float),
            "g2_fit": own["g2_estimate" if estimated else f"g2_{kind}_fit"].to_numpy(float),
        }
        parts.append(pd.DataFrame({**fixed, **curve}))
    return pd.concat(parts, ignore_index=True)
