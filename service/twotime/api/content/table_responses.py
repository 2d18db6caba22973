"""Published tables as JSON or CSV, whichever is asked for."""

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
from starlette.responses import Response

from twotime.api import schemas
from twotime.results import NODES

Format = Literal["json", "csv"]

_UNITS = (
    ("relaxation_rate_per_frame", "1/frame"),
    ("relaxation_rate", "1/s"),
    ("diffusion_chi2", "1"),
    ("diffusion", "Å²/s"),
    ("amplitude", "Å^p/s"),
    ("lag_s", "s"),
    ("age_s", "s"),
    ("lag_frames", "frame"),
    ("age_frames", "frame"),
    ("n_pixels", "pixel"),
    ("mean_counts", "counts"),
)
_Q_COLUMNS = ("q", "q_inner", "q_outer")


def unit_of(column: str) -> str:
    """Unit of a column of the published tables, by its name.

    Examples
    --------
    >>> unit_of("raw_relaxation_rate_error"), unit_of("q"), unit_of("raw_beta")
    ('1/s', '1/Å', '1')
    """
    if column in _Q_COLUMNS:
        return "1/Å"
    if column == "phi":
        return "°"
    if "covariance" in column:
        return "product of the two units"
    return next((unit for part, unit in _UNITS if part in column), "1")


def number(value: Any) -> float | None:
    """A finite float, or None."""
    found = float(value)
    return found if math.isfinite(found) else None


def table_response(name: str, table: pd.DataFrame, wanted: Format) -> Response:
    """The table as CSV with a header line, or as JSON by columns; NaN is empty in the one and null in the other."""
    if wanted == "csv":
        headers = {"Content-Disposition": f'inline; filename="{name}.csv"'}
        return Response(table.to_csv(index=False), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(as_schema(name, table).model_dump_json(), media_type="application/json")


def as_schema(name: str, table: pd.DataFrame) -> schemas.Table:
    """The table by columns, with units and description."""
    node = next(node for node in NODES if node.name == name)
    return schemas.Table(
        name=name,
        description=node.description,
        n_rows=len(table),
        units={str(column): unit_of(str(column)) for column in table.columns},
        columns={str(column): _plain(table[column]) for column in table.columns},
    )


def _plain(column: "pd.Series[Any]") -> list[Any]:
    if np.issubdtype(column.dtype, np.floating) if isinstance(column.dtype, np.dtype) else False:
        return [number(value) for value in column]
    return [None if value is None or value is pd.NA else value for value in column.tolist()]
