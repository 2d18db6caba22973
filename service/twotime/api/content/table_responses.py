"""Published tables as JSON or CSV, by content negotiation."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from starlette.requests import Request
from starlette.responses import Response

from twotime.api import schemas
from twotime.columns import unit_of
from twotime.results import NODES

Format = Literal["json", "csv"]


def number(value: Any) -> float | None:
    """A finite float, or None."""
    found = float(value)
    return found if math.isfinite(found) else None


def accepted(request: Request) -> Format:
    """What the header Accept asks for; JSON where it leaves the choice."""
    accept = request.headers.get("accept", "")
    return "csv" if "text/csv" in accept and "json" not in accept else "json"


def table_response(name: str, table: pd.DataFrame, wanted: Format, units: Mapping[str, str] | None = None) -> Response:
    """The table as CSV with a header line, or as JSON by columns; NaN is empty in CSV and null in JSON.

    Parameters
    ----------
    units : of columns whose unit depends on the run
    """
    if wanted == "csv":
        headers = {"Content-Disposition": f'inline; filename="{name}.csv"'}
        return Response(table.to_csv(index=False), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(as_schema(name, table, units).model_dump_json(), media_type="application/json")


def as_schema(name: str, table: pd.DataFrame, units: Mapping[str, str] | None = None) -> schemas.Table:
    """The table by columns, with units and description."""
    node = next(node for node in NODES if node.name == name)
    return schemas.Table(
        name=name,
        description=node.description,
        n_rows=len(table),
        units={str(column): unit_of(name, str(column)) for column in table.columns} | dict(units or {}),
        columns={str(column): plain_column(table[column]) for column in table.columns},
    )


def plain_column(column: "pd.Series[Any]") -> list[Any]:
    """Values as JSON has them; None for NaN and for what is missing."""
    if np.issubdtype(column.dtype, np.floating) if isinstance(column.dtype, np.dtype) else False:
        return [number(value) for value in column]
    return [None if value is None or value is pd.NA else value for value in column.tolist()]
