"""What Tiled's metadata say of an analysis, as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from twotime.errors import Cancelled

Status = Literal["queued", "running", "done", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = ("queued", "running", "done", "failed", "cancelled")
ENDED: tuple[Status, ...] = ("done", "failed", "cancelled")
MAX_ATTEMPTS = 3
MAX_SERVICE_DEATHS = 100
"""A service may be killed often for reasons of its own; one that is killed by the analysis must not go on for ever."""
CANCELLED = "Cancelled on request."
FINAL = "final"
"""Container of the results, almost always; see `AnalysisRecord.final`."""


class ClaimLost(Cancelled):
    """Another process has taken the attempt over; what this one found no longer counts."""


@dataclass(frozen=True)
class AnalysisRecord:
    """What the metadata of an analysis say.

    Attributes
    ----------
    id : key below the results container
    raw_uid, scan_id, sample : of the run
    status : queued, running, done, failed or cancelled
    attempt : number of the attempt that waits, runs or ended last
    first_attempt : attempt from which `MAX_ATTEMPTS` are counted; those that ended with their service do not count
    asked_attempt : attempt with which the latest request began
    stage, progress : what is being done, and how much of it (0 to 1)
    request : the recipe as it was asked for
    recipe, sources : the recipe with all values, and where each came from
    digest : sha256 over all that decides the numbers
    versions : of the software, the ensemble and the networks of the estimate
    timings_s : seconds spent in each stage
    error : why it failed or was cancelled, one sentence
    warnings : sentences for the reader of the result
    parents : uids and ids this analysis was made from
    automatic : whether the service chose this run by its own rules
    owner : process that computes the attempt
    created_time, updated_time, started_time, finished_time : s since 1970
    facts : what the result says of itself: ROIs, geometry, number of frames; empty before it is done
    final : key of the container that holds the result
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

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in ENDED


@dataclass(frozen=True)
class Claim:
    """Who holds the newest claim on an analysis; attempt 0 where nobody ever claimed it.

    Attributes
    ----------
    attempt : number of the newest claimed attempt
    owner : the process that claimed it
    cancel : whether somebody asked for this attempt to stop
    """

    attempt: int
    owner: str | None
    cancel: bool


def read_record(key: str, metadata: Mapping[str, Any]) -> AnalysisRecord:
    """The record that stands in the metadata of the container `key`."""
    names = AnalysisRecord.__dataclass_fields__
    values = {name: metadata[name] for name in names if name in metadata}
    for name in ("warnings", "parents"):
        values[name] = tuple(values.get(name) or ())
    return AnalysisRecord(id=key, **values)


def plain(value: Any) -> Any:
    """Plain data fit for metadata: no NaN or infinity (None instead), no NUL, no numpy types, no tuples.

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
