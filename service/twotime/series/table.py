"""The tidy table of a series: one row for each scan and ROI, one row for each scan, ROIs of the same q as groups."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.columns import PLACE, unit_of
from twotime.series.fields import SCAN_NUMBER, TIME, Field, field_of, offered
from twotime.series.laws import Law, LawFit, fit_law

OF_ROIS: dict[str, str] = {"relaxation_rate": "Γ", "beta": "β", "baseline": "C∞", "alpha": "α"}
"""Quantities of each ROI, and their symbols; the kind that leads, as `headline` says."""
OF_SCANS: dict[str, str] = {"diffusion": "D", "exponent": "p of Γ ∝ q^p", "rate_change": "change of Γ over the scan"}
"""Quantities of a whole scan."""
QUANTITIES = {**OF_ROIS, **OF_SCANS}
UNITS = {name: unit_of("fits", name) for name in OF_ROIS} | {
    name: unit_of("q_fit", name) if name != "rate_change" else "1" for name in OF_SCANS
}
_NUMBERS = (*OF_ROIS, *PLACE)
FIT_COLUMNS = ("roi", "q", "phi", "headline", "trusted", "flag", *(f"{n}{e}" for n in _NUMBERS for e in ("", "_error")))
"""Columns of the table `fits` that a series needs."""
LAW_COLUMNS = ("kind", "diffusion", "diffusion_error", "exponent", "exponent_error")
"""Columns of the table `q_fit` that a series needs."""
SAME_Q = 0.02
"""Relative difference of q up to which ROIs of two scans are one group; their geometry differs a little."""
SAME_PHI = 1.0
"""Difference of the angles of two such ROIs, degrees."""


@dataclass(frozen=True)
class ScanResult:
    """One analysed scan of a series.

    Attributes
    ----------
    analysis_id, raw_uid, scan_id, sample : as in the record of the analysis
    time : start of the run, s since 1970; NaN where the run cannot be read
    fits : `FIT_COLUMNS` of the published table, as far as it has them
    q_fit : `LAW_COLUMNS` of the headline row; empty where there is none
    rate_change : relative change of Γ over the scan and its error, as the verdict says; NaN where it does not
    conditions : `twotime.series.scalars` of the run
    verdict : its sentences; empty where an older analysis has none
    mark, note : what somebody said of the scan
    recipe, software : which recipe (beginning of its digest) and which versions computed it
    """

    analysis_id: str
    raw_uid: str
    scan_id: int | None
    sample: str | None
    time: float
    fits: pd.DataFrame
    q_fit: Mapping[str, Any] = field(default_factory=dict)
    rate_change: tuple[float, float] = (float("nan"), float("nan"))
    conditions: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    verdict: str = ""
    mark: str = ""
    note: str = ""
    recipe: str = ""
    software: str = ""


@dataclass(frozen=True)
class Group:
    """ROIs of several scans that have the same q.

    Attributes
    ----------
    number : from 1, by q
    q : mean, 1/Å
    phi : middle of the angles, degrees; NaN for rings
    n_scans : scans that have it
    """

    number: int
    q: float
    phi: float
    n_scans: int


@dataclass(frozen=True)
class Series:
    """Scans beside each other.

    Attributes
    ----------
    x : the field that they are drawn against
    fields : others that differ between the scans
    scans : one row per scan, by x; columns analysis_id, raw_uid, scan_id, sample, time, x, numbers of
        ROIs, `OF_SCANS` with errors, and the texts of `ScanResult`
    rows : one row per scan and ROI; columns analysis_id, scan_id, x, group, roi, q, phi, headline, trusted, flag, and
        `OF_ROIS` and the place on the map of dynamics with errors
    groups : ROIs of the same q
    without_x : scans left out because they do not have x
    marked_bad : scans left out because somebody marked them as bad
    """

    x: Field
    fields: tuple[Field, ...]
    scans: pd.DataFrame
    rows: pd.DataFrame
    groups: tuple[Group, ...]
    without_x: int
    marked_bad: int = 0


def series(scans: Sequence[ScanResult], x: str = SCAN_NUMBER) -> Series:
    """Put scans beside each other.

    Parameters
    ----------
    scans : in any order
    x : name of a field; ``temperature`` also finds ``baseline.temperature``

    Returns
    -------
    Series
        Sorted by x, then by time.

    Raises
    ------
    ValueError
        If no scan has the field; the message lists those that differ between the scans.
    """
    conditions = [_with_own(one) for one in scans]
    fields = offered(conditions)
    name = _resolved(conditions, x)
    found = field_of(conditions, name)
    if found is None:
        there = ", ".join((SCAN_NUMBER, TIME, *(one.name for one in fields)))
        raise ValueError(f"x is {x!r}, but no scan of the series has such a number; there are {there}.")
    own = [(one, known[name][0]) for one, known in zip(scans, conditions, strict=True) if name in known]
    own.sort(key=lambda item: (item[1], item[0].time))
    rows, groups = _rows(own)
    return Series(found, fields, _scan_table(own), rows, groups, len(scans) - len(own))


def laws_of(found: Series, y: str, law: Law, *, x_unit: str | None = None) -> list[tuple[int | None, LawFit]]:
    """A law through a quantity against x: one for each group of ROIs, or one for a quantity of whole scans.

    Parameters
    ----------
    y : of `QUANTITIES`
    x_unit : where the field does not say its unit

    Returns
    -------
    Number of the group (None for whole scans) and the fit through its trusted values.
    """
    units = {"x_unit": x_unit or found.x.unit, "y_unit": UNITS[y]}

    def fitted(table: pd.DataFrame) -> LawFit:
        x, values, errors = (table[name].to_numpy(float) for name in ("x", y, f"{y}_error"))
        return fit_law(law, x, values, errors, **units)

    if y in OF_SCANS:
        return [(None, fitted(found.scans))]
    trusted = found.rows[found.rows["trusted"]]
    return [(one.number, fitted(trusted[trusted["group"] == one.number])) for one in found.groups]


def _with_own(scan: ScanResult) -> dict[str, tuple[float, str]]:
    """Conditions of a scan, with its number and time."""
    own = {} if scan.scan_id is None else {SCAN_NUMBER: (float(scan.scan_id), "1")}
    return {**scan.conditions, **own, **({TIME: (scan.time, "s")} if np.isfinite(scan.time) else {})}


def _resolved(conditions: Iterable[Mapping[str, tuple[float, str]]], x: str) -> str:
    names = {name for one in conditions for name in one}
    return x if x in names or f"baseline.{x}" not in names else f"baseline.{x}"


def _scan_table(own: Sequence[tuple[ScanResult, float]]) -> pd.DataFrame:
    rows = []
    for scan, x in own:
        row: dict[str, Any] = {name: getattr(scan, name) for name in ("analysis_id", "raw_uid", "sample", "time")}
        row |= {"x": x, "n_rois": len(scan.fits), "n_trusted": int(np.count_nonzero(scan.fits["trusted"]))}
        for name in ("diffusion", "exponent"):
            row |= {f"{name}{end}": _float(scan.q_fit.get(f"{name}{end}")) for end in ("", "_error")}
        row["rate_change"], row["rate_change_error"] = scan.rate_change
        row |= {name: getattr(scan, name) for name in ("verdict", "mark", "note", "recipe", "software")}
        rows.append(row)
    table = pd.DataFrame(rows)
    table.insert(2, "scan_id", _numbers([scan.scan_id for scan, _ in own]))
    return table


def _rows(own: Sequence[tuple[ScanResult, float]]) -> tuple[pd.DataFrame, tuple[Group, ...]]:
    tables = [scan.fits for scan, _ in own]
    lengths = [len(table) for table in tables]
    rows = pd.DataFrame({name: np.concatenate([_column(table, name) for table in tables]) for name in FIT_COLUMNS})
    numbers, groups = _grouped([(_column(table, "q"), _column(table, "phi")) for table in tables])
    front: dict[str, Any] = {
        "analysis_id": np.repeat([scan.analysis_id for scan, _ in own], lengths),
        "scan_id": _numbers(
            [scan.scan_id for (scan, _), length in zip(own, lengths, strict=True) for _ in range(length)]
        ),
        "x": np.repeat([x for _, x in own], lengths),
        "group": numbers,
    }
    for place, (name, values) in enumerate(front.items()):
        rows.insert(place, name, values)
    return rows, groups


def _column(fits: pd.DataFrame, name: str) -> NDArray[Any]:
    """A column of `FIT_COLUMNS`; numbers that an older analysis has none of are NaN."""
    if name in ("headline", "flag"):
        return fits[name].to_numpy(object) if name in fits else np.full(len(fits), "", object)
    if name in ("roi", "trusted"):
        return fits[name].to_numpy(int if name == "roi" else bool)
    return fits[name].to_numpy(float) if name in fits else np.full(len(fits), np.nan)


def _grouped(
    rois: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], tuple[Group, ...]]:
    """Number of the group of each ROI, scan after scan, and the groups.

    Each ROI goes to the nearest group within `SAME_Q` and `SAME_PHI` that has no other ROI of its scan, so that narrow
    rings of one scan stay apart; else it begins one.
    """
    q_of: list[float] = []
    phi_of: list[float] = []
    members: list[list[int]] = []
    place = 0
    for q, phi in rois:
        taken: set[int] = set()
        for one_q, one_phi in zip(q, phi, strict=True):
            chosen = _nearest(one_q, one_phi, np.array(q_of), np.array(phi_of), taken)
            if chosen == len(q_of):
                q_of.append(one_q)
                phi_of.append(one_phi)
                members.append([])
            taken.add(chosen)
            members[chosen].append(place)
            place += 1
    order = sorted(range(len(q_of)), key=lambda k: (np.nan_to_num(q_of[k], nan=np.inf), np.nan_to_num(phi_of[k])))
    numbers = np.zeros(place, np.int64)
    for number, k in enumerate(order, 1):
        numbers[members[k]] = number
    every = np.concatenate([q for q, _ in rois]) if place else np.array([])
    groups = tuple(
        Group(number, float(every[members[k]].mean()), phi_of[k], len(members[k])) for number, k in enumerate(order, 1)
    )
    return numbers, groups


def _nearest(q: float, phi: float, q_of: NDArray[np.float64], phi_of: NDArray[np.float64], taken: set[int]) -> int:
    """Place of the nearest free group that is near enough; the number of groups where there is none."""
    if not len(q_of):
        return 0
    away = np.abs(q_of - q)
    near = away <= SAME_Q * abs(q)
    near &= (np.abs(phi_of - phi) <= SAME_PHI) | (np.isnan(phi_of) & np.isnan(phi))
    near[list(taken)] = False
    return int(np.argmin(np.where(near, away, np.inf))) if near.any() else len(q_of)


def _numbers(values: Sequence[int | None]) -> "pd.Series[Any]":
    return pd.Series(values, dtype="Int64")


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)
