"""Which analyses may be deleted to make room, and deleting them. Raw data are never touched.

::

    ended? -- no --> kept
      | yes
    young, marked, or named by the recipe of another analysis? -- yes --> kept
      | no
    older than the limit, or the oldest while all take more than the limit? -- no --> kept
      | yes
    deleted: headline run, container with attempts and results, their files
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiled.utils import path_from_uri

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import RUNS, run_uid
from twotime.catalog.server.nodes import child, remove
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import AnalysisNotFound, InputError

_NO_KEY = re.compile(r"[^A-Za-z0-9_-]+")
_MOST = 1_000_000
_IN_EVERY_RESULT = "frame_number"


@dataclass(frozen=True)
class RetentionRules:
    """What may be deleted: what fits `older_than_s`, and of the rest the oldest while all exceed `keep_bytes`.

    Attributes
    ----------
    older_than_s : since the analysis ended, s; None: no limit of age
    keep_bytes : of all analyses on disk; None: no limit of size
    youngest_s : analyses that ended later than that ago are kept in any case, s. The automatic mode looks so far back
        for runs without analysis, and would compute again what was deleted
    bad_too : also scans that are marked as bad; other marks always keep all analyses of their scan
    """

    older_than_s: float | None = None
    keep_bytes: float | None = None
    youngest_s: float = 0.0
    bad_too: bool = False

    def check(self) -> None:
        """Raise `InputError` if there is no limit, or one that would delete what is computed again."""
        if self.older_than_s is None and self.keep_bytes is None:
            raise InputError("Nothing says what to delete; give --older-than, --keep-gib, or both.")
        if self.older_than_s is not None and self.older_than_s < self.youngest_s:
            raise InputError(
                f"--older-than is {self.older_than_s / 86400:g} days, but the automatic mode analyses runs of the last "
                f"{self.youngest_s / 86400:g} days again if they have no analysis; give at least that many days, or "
                "lower TWOTIME_CATCH_UP_S."
            )


@dataclass(frozen=True)
class Pruning:
    """What the rules say of all analyses.

    Attributes
    ----------
    delete : analyses, oldest first, each with the reason
    kept : ids of analyses that a limit would delete, each with the reason that keeps it
    n_analyses : number of all
    n_bytes : of all on disk; None: unknown
    freed_bytes : of those to delete; None: unknown
    """

    delete: tuple[tuple[AnalysisRecord, str], ...]
    kept: Mapping[str, str]
    n_analyses: int
    n_bytes: int | None
    freed_bytes: int | None


def all_records(store: AnalysisStore) -> list[AnalysisRecord]:
    """Records of all analyses."""
    return store.search(limit=_MOST)[0]


def prune_plan(
    records: Sequence[AnalysisRecord],
    rules: RetentionRules,
    *,
    now: float,
    sizes: Mapping[str, int] | None = None,
    named: Collection[str] = (),
) -> Pruning:
    """What would be deleted.

    Parameters
    ----------
    records : of all analyses
    now : s since 1970
    sizes : bytes on disk by id; None: unknown
    named : recipes of the site, as text, which may name arrays of analyses

    Raises
    ------
    InputError
        If there is no limit, or one of size where sizes are unknown.
    """
    rules.check()
    if rules.keep_bytes is not None and sizes is None:
        raise InputError(
            "--keep-gib needs the files of the results, which cannot be read here; run the command where Tiled's "
            "storage lies under the path that Tiled knows, or give --older-than."
        )
    n_bytes = None if sizes is None else sum(sizes.get(one.id, 0) for one in records)
    excess = 0.0 if rules.keep_bytes is None or n_bytes is None else n_bytes - rules.keep_bytes
    why_kept = {one.id: reason for one in records if (reason := _kept_because(one, records, rules, now))}
    _keep_named(records, why_kept, named)
    delete, kept = [], {}
    for record in sorted(records, key=_ended):
        reason = ""
        if rules.older_than_s is not None and now - _ended(record) > rules.older_than_s:
            reason = "age"
        elif excess > 0:
            reason = "size"
        if reason and record.id in why_kept:
            kept[record.id] = why_kept[record.id]
        elif reason:
            delete.append((record, reason))
            excess -= (sizes or {}).get(record.id, 0)
    freed = None if sizes is None else sum(sizes.get(record.id, 0) for record, _ in delete)
    return Pruning(tuple(delete), kept, len(records), n_bytes, freed)


def delete_analysis(store: AnalysisStore, record: AnalysisRecord) -> bool:
    """Delete an analysis: its headline run, then its container with everything below, and the files.

    Returns
    -------
    bool
        False if it was computed again, marked, or deleted since `record` was read; it stays as it is then.

    Notes
    -----
    The container goes last, in one request: whatever stops this half-way, the analysis is found and deleted next time.
    """
    try:
        now = store.get(record.id)
    except AnalysisNotFound:
        return False
    if not now.ended or now.updated_time != record.updated_time:
        return False
    with tiled_errors():
        runs = child(store.results, RUNS)
        if runs is not None:
            remove(runs, run_uid(record.id))
        remove(store.results, record.id)
    return True


def disk_bytes(store: AnalysisStore, records: Sequence[AnalysisRecord]) -> dict[str, int] | None:
    """Bytes of the files of each analysis by id; None where Tiled's storage cannot be read here.

    Notes
    -----
    Tiled keeps what it stores below a folder of the same path as the node. One analysis says where that is.
    """
    finished = [record for record in records if record.status == "done"]
    if not finished:
        return {record.id: 0 for record in records}
    for record in finished:
        folder = _folder(store, record)
        if folder is not None and folder.is_dir():
            return {one.id: _bytes_below(folder.parent / one.id) for one in records}
    return None


def _kept_because(record: AnalysisRecord, records: Sequence[AnalysisRecord], rules: RetentionRules, now: float) -> str:
    if not record.ended:
        return f"it is {record.status}"
    if now - _ended(record) <= rules.youngest_s:
        return "the automatic mode would compute it again"
    marks = [one.mark for one in records if one.raw_uid == record.raw_uid and one.mark]
    values = {mark.get("value") or "a note" for mark in marks} - ({"bad"} if rules.bad_too else set())
    return f"its scan is marked: {', '.join(sorted(values))}" if values else ""


def _keep_named(records: Sequence[AnalysisRecord], why_kept: dict[str, str], named: Collection[str]) -> None:
    """Keep also what recipes name: of the site, and of any other analysis.

    Where the other one goes, this one can go the next time.
    """
    ids = {record.id for record in records}
    names = {record.id: _names(json.dumps([record.recipe, record.request])) & ids - {record.id} for record in records}
    for text in named:
        for key in _names(text) & ids:
            why_kept.setdefault(key, "a recipe of the site names it")
    for record in records:
        for key in names[record.id]:
            why_kept.setdefault(key, f"the recipe of {record.id} names it")


def _names(text: str) -> set[str]:
    return set(_NO_KEY.split(text))


def _ended(record: AnalysisRecord) -> float:
    return record.finished_time or record.updated_time


def _folder(store: AnalysisStore, record: AnalysisRecord) -> Path | None:
    """Where the files of a finished analysis lie, as Tiled says."""
    with tiled_errors():
        node: Any = child(store.node(record.id), f"{record.final}/{_IN_EVERY_RESULT}")
        sources = [] if node is None else node.include_data_sources().data_sources()
    addresses = [asset.data_uri for source in sources or () for asset in source.assets]
    places = [path_from_uri(address) for address in addresses if address.startswith("file:")]
    return next((place.parents[1] for place in places if place.parents[1].name == record.id), None)


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
