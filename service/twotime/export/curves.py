"""Tables of curves as arrays with one column for each ROI."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.results import Analysis


def by_roi(table: pd.DataFrame, *columns: str) -> tuple[NDArray[Any], ...]:
    """Lags (L,) in frames and columns (L, R) of a table of curves; NaN where a ROI has no such lag.

    Examples
    --------
    >>> table = pd.DataFrame({"roi": [1, 1, 2], "lag_frames": [1, 2, 1], "g2": [1.2, 1.1, 1.3]})
    >>> lags, g2 = by_roi(table, "g2")
    >>> lags.tolist(), g2.tolist()
    ([1, 2], [[1.2, 1.3], [1.1, nan]])
    """
    lags = np.unique(table["lag_frames"])
    rois = np.unique(table["roi"])
    place = np.searchsorted(lags, table["lag_frames"]), np.searchsorted(rois, table["roi"])
    found = []
    for column in columns:
        values = np.full((len(lags), len(rois)), np.nan)
        values[place] = table[column]
        found.append(values)
    return (lags, *found)


def curve_table(analysis: Analysis, name: str) -> pd.DataFrame:
    """The table `g2` or `g2_multitau`.

    Analyses of version 0.1.0 have no `g2_multitau`: the mean diagonals stand in, under the same columns.
    """
    if name in analysis.tables:
        return analysis.tables[name]
    g2 = analysis.tables["g2"]
    return g2.assign(g2=g2["g2_raw"], g2_error=g2["g2_raw_error"])
