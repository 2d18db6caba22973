"""What the service shows of runs and of itself."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunListing:
    """One raw run as the automatic mode sees it.

    Attributes
    ----------
    uid, scan_id, sample, plan_name : from the start document
    time : start of the run, s since 1970
    exit_status : from the stop document; None while the run is going on
    detectors : image keys
    automatic : "taken", "skipped" or "off"
    reason : why, in words
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
    """How the service is.

    Attributes
    ----------
    ready : whether requests can be served and analyses computed
    tiled : "reachable", or one sentence that says what is wrong
    watcher : "watching", "off" or one sentence
    workers : those that could compute, and how many there should be
    queued, running : number of analyses in this process
    dask : how large the Dask cluster is, or one sentence that says what is wrong; empty where there is none
    documents : whether documents of runs are listened to, and how many came; empty where there is no address
    documents_heard : whether the 0MQ proxy at that address answers
    ensemble : version of the ensemble, or one sentence that says what is wrong with its files
    """

    ready: bool
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
    """What one service is about to do.

    Attributes
    ----------
    paused : no further analysis is begun
    running : ids of analyses that are being computed
    waiting : ids of those that wait, the next one first
    """

    paused: bool
    running: Sequence[str]
    waiting: Sequence[str]


@dataclass(frozen=True)
class Submitted:
    """What became of one of many runs.

    Attributes
    ----------
    uid, scan_id : of the run
    analysis_id : None where it cannot be analysed
    reason : why not; empty where it can
    """

    uid: str
    scan_id: int | None
    analysis_id: str | None
    reason: str
