"""What the service reports: runs, queue, health, submitted runs."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunListing:
    """One raw run, with the verdict of the automatic mode.

    Attributes
    ----------
    uid, scan_id, sample, plan_name : from the start document
    time : start of the run, s since 1970
    exit_status : from the stop document; None while the run goes on
    detectors : image keys
    automatic : "taken", "skipped" or "off"
    reason : of the verdict, in words
    analyses : ids of the analyses of this run, newest first
    """

    uid: str
    scan_id: int | None
    sample: str | None
    plan_name: str | None
    time: float
    exit_status: str | None
    detectors: Sequence[str]
    automatic: str
    reason: str
    analyses: Sequence[str]


@dataclass(frozen=True)
class Health:
    """State of the service.

    Attributes
    ----------
    ready : whether requests can be served and analyses computed
    tiled_reachable, watching, weights_valid : whether that part works
    tiled : "reachable", or one sentence that says what is wrong
    watcher : "watching", "off" or one sentence
    workers : number of workers that can compute, and number configured
    queued, running : number of analyses in this process
    dask : size of the Dask cluster, or one sentence that says what is wrong; empty without a cluster
    documents : state of the 0MQ connection and number of documents; empty without an address
    documents_heard : whether the 0MQ proxy answers
    ensemble : version of the ensemble, or one sentence that says what is wrong with its files
    """

    ready: bool
    tiled_reachable: bool
    watching: bool
    weights_valid: bool
    tiled: str
    watcher: str
    workers: tuple[int, int]
    dask: str
    documents: str
    documents_heard: bool
    queued: int
    running: int
    ensemble: str


@dataclass(frozen=True)
class QueueView:
    """The queue of one service.

    Attributes
    ----------
    paused : whether no further analysis is started
    running : ids of analyses that are computed now
    waiting : ids of analyses that wait, the next one first
    expected_starts_s : when each of `waiting` is expected to start, s from now; None while paused
    """

    paused: bool
    running: Sequence[str]
    waiting: Sequence[str]
    expected_starts_s: Sequence[float | None]


@dataclass(frozen=True)
class Submitted:
    """Outcome for one of many submitted runs.

    Attributes
    ----------
    uid, scan_id : of the run
    analysis_id : None if the run cannot be analysed
    reason : why not, else empty
    """

    uid: str
    scan_id: int | None
    analysis_id: str | None
    reason: str
