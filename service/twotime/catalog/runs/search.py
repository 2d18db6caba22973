"""Runs in Tiled: find one, list the newest, search by scan_id, sample or time."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databroker.client import BlueskyRun, CatalogOfBlueskyRuns
from databroker.queries import Comparison, Eq, PartialUID, ScanID, TimeRange
from tiled.queries import KeyPresent

from twotime.catalog.runs.document_values import (
    first_number,
    has_documents,
    integer_or_none,
    sample_name,
    text_or_none,
)
from twotime.catalog.runs.run_facts import image_nodes
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import AmbiguousRun, InputError, RunNotFound

_PAGE = 100  # Tiled refuses pages of more than 300
_MOST_SEEN = 10_000
_seen_detectors: OrderedDict[str, tuple[str, ...]] = OrderedDict()


@dataclass(frozen=True)
class RunSummary:
    """A run in a list.

    Attributes
    ----------
    uid, scan_id, sample, plan_name : from the start document
    time : start of the run, s since 1970
    exit_status : from the stop document; None while the run goes on
    detectors : image keys of the area detectors in its streams
    start, stop : the documents
    """

    uid: str
    scan_id: int | None
    sample: str | None
    plan_name: str | None
    time: float
    exit_status: str | None
    detectors: tuple[str, ...]
    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.stop is not None


def find_run(raw: CatalogOfBlueskyRuns, reference: str | int) -> BlueskyRun:
    """Find a run.

    Parameters
    ----------
    raw : catalog of the raw runs
    reference : uid, beginning of a uid, scan_id (the newest run with it, because beamlines reset their counters),
        or -1 for the newest run, -2 for the one before

    Raises
    ------
    RunNotFound
        If no run matches.
    AmbiguousRun
        If the beginning of a uid matches several runs.
    """
    text = str(reference).strip()
    with tiled_errors():
        if re.fullmatch(r"-?[0-9]{1,7}", text):
            return _checked(_by_number(raw, int(text)), text)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", text):
            raise RunNotFound(
                f"{text!r} is neither a uid, nor its beginning, nor a scan_id, nor -1 for the newest run."
            )
        try:
            return _checked(raw[text] if len(text) >= 36 else _by_partial_uid(raw, text), text)
        except KeyError:
            raise RunNotFound(f"No run has the uid {text!r}; ask with a uid, its beginning, a scan_id or -1.") from None


def is_run(node: Any) -> bool:
    """Whether a node is a run with readable documents. Lists omit other nodes: writers may store anything."""
    return isinstance(node, BlueskyRun) and has_documents(node.metadata)


def list_runs(raw: CatalogOfBlueskyRuns, *, limit: int = 20, since: float | None = None) -> list[RunSummary]:
    """The newest runs, newest first.

    Parameters
    ----------
    limit : number of runs at most
    since : only runs that started after this time, s since 1970
    """
    with tiled_errors():
        found = raw if since is None else raw.search(TimeRange(since=since))
        newest, end = found.sort(("start.time", -1)).values(), min(limit, len(found))
        pages = [newest[first : min(first + _PAGE, end)] for first in range(0, end, _PAGE)]
        return [summarise(run) for page in pages for run in page if is_run(run)]


def search_runs(
    raw: CatalogOfBlueskyRuns,
    *,
    sample: str | None = None,
    first_scan_id: int | None = None,
    last_scan_id: int | None = None,
    since: float | None = None,
    until: float | None = None,
    limit: int = 100,
) -> list[tuple[str, int | None]]:
    """Uids and scan_ids of finished runs that match all criteria, newest first.

    Parameters
    ----------
    sample : its name in the start document
    first_scan_id, last_scan_id : range, both ends included
    since, until : range of start times, s since 1970

    Raises
    ------
    RunNotFound
        If no criterion is given: all runs would match.
    """
    if all(value is None for value in (sample, first_scan_id, last_scan_id, since, until)):
        raise RunNotFound("Nothing says which runs; give sample, first_scan_id and last_scan_id, since or until.")
    if since is not None and until is not None and since > until:
        raise InputError(f"since is {since:g} and until is {until:g}; since must not be later than until.")
    with tiled_errors():
        found = raw.search(KeyPresent("stop.uid"))
        if sample is not None:
            found = found.search(Eq("start.sample", sample))
        if first_scan_id is not None:
            found = found.search(Comparison("ge", "start.scan_id", first_scan_id))
        if last_scan_id is not None:
            found = found.search(Comparison("le", "start.scan_id", last_scan_id))
        if since is not None or until is not None:
            found = found.search(TimeRange(since=since, until=until))
        newest = found.sort(("start.time", -1)).values()
        pages = [newest[first : min(first + _PAGE, limit)] for first in range(0, limit, _PAGE)]
        starts = [run.metadata["start"] for page in pages for run in page if is_run(run)]
    return [(start["uid"], integer_or_none(start.get("scan_id"))) for start in starts]


def summarise(run: BlueskyRun) -> RunSummary:
    """Summarise a run."""
    start, stop = run.metadata["start"], run.metadata.get("stop")
    with tiled_errors():
        detectors = _detectors(run, start["uid"]) if stop else ()
    return RunSummary(
        uid=start["uid"],
        scan_id=integer_or_none(start.get("scan_id")),
        sample=sample_name(start),
        plan_name=text_or_none(start.get("plan_name")),
        time=first_number(start.get("time")) or 0.0,
        exit_status=text_or_none(stop.get("exit_status")) if stop else None,
        detectors=detectors,
        start=start,
        stop=stop or None,
    )


def _detectors(run: BlueskyRun, uid: str) -> tuple[str, ...]:
    """Image keys of a finished run. Cached, because they never change and reading them takes four requests."""
    found = _seen_detectors.get(uid) or tuple(image.key for image in image_nodes(run))
    if found:
        _seen_detectors[uid] = found
        if len(_seen_detectors) > _MOST_SEEN:
            _seen_detectors.popitem(last=False)
    return found


def _checked(run: Any, reference: str) -> BlueskyRun:
    if not is_run(run):
        raise RunNotFound(f"What {reference!r} names is no run: it has no start document with a uid.")
    return run


def _by_number(raw: CatalogOfBlueskyRuns, number: int) -> BlueskyRun:
    if number < 0:
        newest = raw.search(KeyPresent("start.uid")).sort(("start.time", -1)).values()
        try:
            run: BlueskyRun = newest[-number - 1]
        except IndexError:
            raise RunNotFound(f"Run {number} was asked for, but there are only {len(raw)} runs.") from None
        return run
    found = raw.search(ScanID(number, duplicates="all")).sort(("start.time", -1)).values().head(1)
    if found:
        return found[0]
    try:
        return _by_partial_uid(raw, str(number))
    except KeyError:
        raise RunNotFound(f"No run has the scan_id {number}; ask with a uid, its beginning, a scan_id or -1.") from None


def _by_partial_uid(raw: CatalogOfBlueskyRuns, text: str) -> BlueskyRun:
    found = raw.search(PartialUID(text)).values().head(3)
    if not found:
        raise KeyError(text)
    if len(found) > 1:
        uids = ", ".join(run.metadata["start"]["uid"] for run in found if is_run(run))
        raise AmbiguousRun(f"{text!r} is the beginning of several uids ({uids}); give more of it.")
    run: BlueskyRun = found[0]
    return run
