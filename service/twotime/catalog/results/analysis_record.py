"""The metadata of an analysis as a dataclass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from twotime.errors import Cancelled

Status = Literal["queued", "running", "done", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = ("queued", "running", "done", "failed", "cancelled")
MarkValue = Literal["good", "bad", "look again"]
"""What somebody says of a scan who has looked at it."""
Priority = Literal["asked", "new", "many", "backlog"]
"""Why an analysis was requested, which decides its place in the queue; see `twotime.jobs.scheduling.job_queue.Rank`."""
ENDED: tuple[Status, ...] = ("done", "failed", "cancelled")
MAX_ATTEMPTS = 3
MAX_SERVICE_DEATHS = 100
"""Services die for reasons of their own, so the limit is high; it ends an analysis that kills every service."""
CANCELLED = "Cancelled on request."
FINAL = "final"
"""Key of the results container, almost always; see `AnalysisRecord.final`."""


class ClaimLost(Cancelled):
    """Another process has claimed a later attempt; results of this one must not be written."""


@dataclass(frozen=True)
class AnalysisRecord:
    """One analysis: what was requested, its state, its outcome.

    Attributes
    ----------
    id : key below the results container
    raw_uid, scan_id, sample : of the run
    status : queued, running, done, failed or cancelled
    attempt : number of the attempt that waits, runs or ended last
    first_attempt : attempt from which `MAX_ATTEMPTS` are counted; moves up when an attempt ends with its whole service
    asked_attempt : first attempt of the latest request
    stage, progress : present stage, and fraction done (0 to 1)
    request : the recipe as requested
    recipe, sources : the recipe with all values, and the source of each
    digest : sha256 over everything that decides numbers
    versions : of the software, the numerics, the ensemble and the networks of the estimate
    timings_s : seconds spent in each stage
    error : why it failed or was cancelled, one sentence
    warnings : sentences for the reader of the result
    parents : uid of the run, and ids of analyses that this one replaces
    automatic : whether the automatic mode requested it
    owner : process that computes the attempt
    created_time, updated_time, started_time, finished_time : s since 1970
    facts : ROIs, geometry, number of frames ...; empty before it is done
    final : key of the results container
    priority : with which it was requested; None: by an older version
    share : to whom its time counts in the queue, such as instrument and proposal; empty: by an older version
    mark : ``value`` (a `MarkValue` or None), ``note``, ``by`` (name of the key), ``time`` (s since 1970); None: none
    """

    id: str
    raw_uid: str
    scan_id: int | None
    sample: str | None
    status: Status
    attempt: int
    first_attempt: int
    stage: str
    progress: float
    request: dict[str, Any]
    recipe: dict[str, Any]
    sources: dict[str, str]
    digest: str
    versions: dict[str, str]
    created_time: float
    updated_time: float
    asked_attempt: int = 1
    started_time: float | None = None
    finished_time: float | None = None
    timings_s: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    warnings: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    automatic: bool = False
    owner: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    final: str = FINAL
    priority: Priority | None = None
    share: tuple[str, ...] = ()
    mark: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """Of analysis: "xpcs" or "frames"."""
        return str(self.recipe.get("kind", "xpcs"))

    @property
    def ended(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self.status in ENDED


@dataclass(frozen=True)
class Claim:
    """The newest claim on an analysis; attempt 0 if there is none.

    Attributes
    ----------
    attempt : number of the newest claimed attempt
    owner : name of the process that claimed it, see `twotime.jobs.scheduling.owner`
    cancel : whether this attempt was asked to stop
    """

    attempt: int
    owner: str | None
    cancel: bool


def read_record(key: str, metadata: Mapping[str, Any]) -> AnalysisRecord:
    """The record in the metadata of the container `key`."""
    names = AnalysisRecord.__dataclass_fields__
    values = {name: metadata[name] for name in names if name in metadata}
    for name in ("warnings", "parents", "share"):
        values[name] = tuple(values.get(name) or ())
    return AnalysisRecord(id=key, **values)


def plain(value: Any) -> Any:
    """Convert to plain JSON data for metadata: None for NaN and infinity, no NUL, no numpy types, no tuples.

    Examples
    --------
    >>> plain({"rate": float("nan"), "edges": (1, 2)})
    {'rate': None, 'edges': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
