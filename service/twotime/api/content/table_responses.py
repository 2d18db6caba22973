"""Published tables as JSON or CSV, by content negotiation."""

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
from starlette.responses import Response

from twotime.api import schemas
from twotime.columns import unit_of
from twotime.results import NODES

Format = Literal["json", "csv"]


def number(value: Any) -> float | None:
    """A finite float, or None."""
    found = float(value)
    return found if math.isfinite(found) else None


def table_response(name: str, table: pd.DataFrame, wanted: Format) -> Response:
    """The table as CSV with a header line, or as JSON by columns; NaN is empty in CSV and null in JSON."""
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
        units={str(column): unit_of(name, str(column)) for column in table.columns},
        columns={str(column): plain_column(table[column]) for column in table.columns},
    )


def plain_column(column: "pd.Series[Any]") -> list[Any]:
    """Values as JSON has them; None for NaN and for what is missing."""
    if np.issubdtype(column.dtype, np.floating) if isinstance(column.dtype, np.dtype) else False:
        return [number(value) for value in column]
    return [None if value is None or value is pd.NA else value for value in column.tolist()]
