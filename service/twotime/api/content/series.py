"""A series as JSON and CSV."""

from typing import Any

import pandas as pd

from twotime.api import schemas
from twotime.api.content.table_responses import number, plain_column
from twotime.columns import unit_of
from twotime.series import DynamicsMap, Law, LawFit, Series, laws_of, unlike_scans
from twotime.series.table import UNITS

_FIXED = {"time": "s", "q": "1/Å", "phi": "°", "lag_s": "s"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def series_body(found: Series, y: str, law: Law | None, x_unit: str | None) -> schemas.Series:
    """The whole answer, with the laws through y where one is asked for."""
    laws = [] if law is None else laws_of(found, y, law, x_unit=x_unit)
    return schemas.Series(
        x=_field(found),
        y=y,
        y_unit=UNITS[y],
        n_scans=len(found.scans),
        without_x=found.without_x,
        marked_bad=found.marked_bad,
        fields=[schemas.SeriesField.model_validate(vars(one)) for one in found.fields],
        groups=[
            schemas.SeriesGroup(group=one.number, q=number(one.q), phi=number(one.phi), n_scans=one.n_scans)
            for one in found.groups
        ],
        scans=columns(found.scans, found.x.unit),
        rows=columns(found.rows, found.x.unit),
        law=law,
        fits=[_law(group, fit) for group, fit in laws],
    )


def map_body(found: DynamicsMap, n_scans: int, x_unit: str) -> schemas.DynamicsMap:
    """The answer that holds a map."""
    return schemas.DynamicsMap(
        n_scans=n_scans,
        without_place=found.without_place,
        sentences=unlike_scans(found),
        scans=columns(found.scans, x_unit),
        dots=columns(found.dots, x_unit),
    )


def columns(table: pd.DataFrame, x_unit: str) -> schemas.Columns:
    """A table by columns, with units."""
    return schemas.Columns(
        n_rows=len(table),
        units={str(name): unit(str(name), x_unit) for name in table.columns},
        columns={str(name): plain_column(table[name]) for name in table.columns},
    )


def unit(name: str, x_unit: str) -> str:
    """Unit of a column of a series."""
    if name == "x":
        return x_unit
    known = UNITS.get(name.removesuffix("_error")) or _FIXED.get(name)
    return known or unit_of("fits", name)


def series_csv(found: Series) -> str:
    """One line per scan and ROI, with sample and start time of the scan."""
    own = found.scans[["analysis_id", "sample", "time"]]
    table = found.rows.merge(own, on="analysis_id", how="left", validate="many_to_one")
    text = [str(name) for name in table if table[name].dtype == object or isinstance(table[name].dtype, pd.StringDtype)]
    return table.assign(**{name: table[name].map(harmless) for name in text}).to_csv(index=False)


def harmless(value: Any) -> Any:
    """Text that a spreadsheet takes for text: names of samples are free, and one may begin like a formula.

    >>> harmless("=1+1"), harmless("silica"), harmless(-2.5)
    ("'=1+1", 'silica', -2.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _field(found: Series) -> schemas.SeriesField:
    return schemas.SeriesField.model_validate(vars(found.x))


def _law(group: int | None, fit: LawFit) -> schemas.SeriesLaw:
    return schemas.SeriesLaw(
        group=group,
        parameters={
            name: schemas.Quantity(value=number(fit.values[name]), error=number(fit.errors[name]), unit=unit)
            for name, unit in fit.units.items()
        },
        reference=number(fit.reference),
        chi2=number(fit.chi2),
        n=fit.n,
        reason=fit.reason,
        x=list(fit.x),
        y=list(fit.y),
    )
