"""Analyses of a series, and the published numbers that a series needs of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tiled.queries import Comparison, Eq, KeysFilter, SpecsQuery

from twotime.catalog.results import read
from twotime.catalog.results.analysis_record import AnalysisRecord, read_record
from twotime.catalog.results.analysis_store import ANALYSIS_SPEC, AnalysisStore
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import InputError
from twotime.series.table import FIT_COLUMNS, LAW_COLUMNS

MOST_SCANS = 1000
_PAGE = 200
_CLOCKS_DIFFER_S = 60.0
"""Services on several machines write times; what changed so shortly before the last known change is read again."""
_MOST_ROIS = 100
"""Headline numbers of so many ROIs at most go into the metadata of an analysis; those of more stay in its tables."""


@dataclass(frozen=True)
class Selection:
    """Which scans; all that fit everything given, of each run the newest finished analysis.

    Attributes
    ----------
    ids : of analyses; these and no others, also several of one run
    sample : of the run
    first_scan_id, last_scan_id : range, both ends included
    since, until : range of start times of the runs, s since 1970
    limit : number of scans at most, the newest
    with_bad : also those that are marked as bad; ids that are given count in any case
    """

    ids: tuple[str, ...] = ()
    sample: str | None = None
    first_scan_id: int | None = None
    last_scan_id: int | None = None
    since: float | None = None
    until: float | None = None
    limit: int = 200
    with_bad: bool = False

    def check(self) -> None:
        """Raise `InputError` if nothing is chosen or a range ends before it begins."""
        if not self.ids and all(
            one is None for one in (self.sample, self.first_scan_id, self.last_scan_id, self.since, self.until)
        ):
            raise InputError(
                "Nothing says which scans; give sample, first_scan_id and last_scan_id, since, until or id."
            )
        for low, high in (("first_scan_id", "last_scan_id"), ("since", "until")):
            ends = getattr(self, low), getattr(self, high)
            if None not in ends and ends[0] > ends[1]:
                raise InputError(f"{low} is {ends[0]:g} and {high} is {ends[1]:g}; {low} must not be above {high}.")

    @property
    def of_times(self) -> bool:
        """Whether the start of the run decides."""
        return self.since is not None or self.until is not None


def finished_analyses(
    store: AnalysisStore, which: Selection, known: dict[str, AnalysisRecord] | None = None
) -> list[AnalysisRecord]:
    """Finished analyses of a selection, newest first, one of each run unless ids are given.

    Start times of runs are not known here: where they decide, up to `MOST_SCANS` come back, for the caller to choose.

    Parameters
    ----------
    known : records of the same selection by id, from asking before; is brought up to date. Only records that are new
        or have changed are read then, which takes a fifth of the time of reading all.
    """
    known = {} if known is None else known
    found = _search(store, which)
    most = MOST_SCANS if which.of_times else which.limit
    records: dict[str, AnalysisRecord] = {}
    with tiled_errors():
        if known:
            last = max(one.updated_time for one in known.values()) - _CLOCKS_DIFFER_S
            for key in found.search(Comparison("gt", "updated_time", last)):
                known.pop(key, None)
        total = len(found)
        newest = found.sort(("created_time", -1)).keys()
        for first in range(0, total, _PAGE):
            keys = [*newest[first : min(first + _PAGE, total)]]
            _read(store, [key for key in keys if key not in known], known)
            for record in [known[key] for key in keys if key in known and known[key].kind == "xpcs"]:
                records.setdefault(record.id if which.ids else record.raw_uid, record)
            if len(records) >= most:
                break
    return [*records.values()][:most]


def _search(store: AnalysisStore, which: Selection) -> Any:
    found = store.results.search(SpecsQuery([ANALYSIS_SPEC.name], [])).search(Eq("status", "done"))
    if which.ids:
        found = found.search(KeysFilter([*which.ids]))
    if which.sample is not None:
        found = found.search(Eq("sample", which.sample))
    if which.first_scan_id is not None:
        found = found.search(Comparison("ge", "scan_id", which.first_scan_id))
    if which.last_scan_id is not None:
        found = found.search(Comparison("le", "scan_id", which.last_scan_id))
    if which.since is not None:  # A run is analysed after its start, so this leaves out none that is wanted.
        found = found.search(Comparison("ge", "created_time", which.since))
    return found


def _read(store: AnalysisStore, keys: list[str], known: dict[str, AnalysisRecord]) -> None:
    """Read records by their keys; one that is computed again just now is left out."""
    if not keys:
        return
    nodes = store.results.search(KeysFilter(keys)).values()[0 : len(keys)]
    for node in nodes:
        record = read_record(node.path_parts[-1], node.metadata)
        if record.status == "done":
            known[record.id] = record


def headline(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Numbers that stand in the metadata of an analysis, so that a series of many scans reads no tables.

    Parameters
    ----------
    tables : of the analysis

    Returns
    -------
    ``fits``: columns of the leading values by ROI; ``q_fit``: the row of their dependence on q. Empty where there are
    no fits or more than a hundred ROIs.
    """
    fits = tables.get("fits")
    if fits is None or not 0 < len(fits) <= _MOST_ROIS:
        return {}
    columns = {name: fits[name].tolist() for name in FIT_COLUMNS if name in fits}
    return {"headline": {"fits": columns, "q_fit": _headline_row(tables.get("q_fit"))}}


def read_numbers(store: AnalysisStore, record: AnalysisRecord) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Columns of `fits` and the headline row of `q_fit`, from the metadata or, of older analyses, from the tables."""
    known = record.facts.get("headline")
    if known:
        return pd.DataFrame(known["fits"]), dict(known["q_fit"])
    fits = read.read_table(store, record.id, "fits")
    own = fits[[name for name in FIT_COLUMNS if name in fits]]
    return own, _headline_row(read.read_table(store, record.id, "q_fit"))


def rate_change(record: AnalysisRecord) -> tuple[float, float]:
    """Relative change of Γ over the scan and its error, as the verdict says; NaN where it says none."""
    for one in record.facts.get("verdict") or ():
        if one.get("picture") == "age" and "change" in one.get("values", {}):
            change = one["values"]["change"]
            return float(change["value"]), float(change["error"])
    return float("nan"), float("nan")


def _headline_row(q_fit: pd.DataFrame | None) -> dict[str, Any]:
    rows: Sequence[dict[Any, Any]] = [] if q_fit is None else q_fit.to_dict("records")
    row = next((one for one in rows if one.get("kind") == "headline"), {})
    return {name: row[name] for name in LAW_COLUMNS if name in row}
