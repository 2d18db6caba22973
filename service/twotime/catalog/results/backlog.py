"""Finished runs of the time while the service was away, with their analyses."""

from typing import Any

from databroker.client import BlueskyRun, CatalogOfBlueskyRuns
from databroker.queries import TimeRange
from tiled.queries import KeyPresent

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.runs.search import is_run
from twotime.catalog.server.tiled_client import tiled_errors

_PAGE = 100


def backlog(
    raw: CatalogOfBlueskyRuns, store: AnalysisStore, since: float
) -> list[tuple[BlueskyRun, AnalysisRecord | None]]:
    """Finished runs that started after `since` (s since 1970), oldest first, each with its newest analysis.

    Notes
    -----
    Reads pages of runs and of analyses, never one run at a time: after a week there may be thousands.
    """
    with tiled_errors():
        found = raw.search(TimeRange(since=since)).search(KeyPresent("stop.uid")).sort(("start.time", 1))
        values, total = found.values(), len(found)
        pages = [values[start : min(start + _PAGE, total)] for start in range(0, total, _PAGE)]
        runs = [run for page in pages for run in page if is_run(run)]
    return [pair for start in range(0, len(runs), _PAGE) for pair in _with_analyses(runs[start : start + _PAGE], store)]


def _with_analyses(runs: list[Any], store: AnalysisStore) -> list[tuple[BlueskyRun, AnalysisRecord | None]]:
    uids = [run.metadata["start"]["uid"] for run in runs]
    records, _ = store.search(raw_uid=uids, limit=10 * _PAGE)
    newest = {record.raw_uid: record for record in reversed(records)}
    return [(run, newest.get(uid)) for run, uid in zip(runs, uids, strict=True)]
