"""The service: finds runs, queues analyses, watches over the processes that compute them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from twotime.catalog.analyses import AnalysisRecord
from twotime.metrics import Metrics
from twotime.recipe import Recipe
from twotime.settings import Settings


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
    workers : worker processes alive, and how many there should be
    queued, running : number of analyses in this process
    ensemble : version of the ensemble, or one sentence that says what is wrong with its files
    """

    ready: bool
    tiled: str
    watcher: str
    workers: tuple[int, int]
    queued: int
    running: int
    ensemble: str


class Service:
    """Everything behind the API: start it, ask it, stop it. All methods are coroutines of one event loop.

    Every method that needs Tiled raises `TiledUnavailable` while Tiled does not answer, with the reason; the service
    itself keeps running and picks up where it was when Tiled comes back.

    Attributes
    ----------
    settings : those given, completed with address and key of the embedded Tiled server once it runs
    metrics : the numbers for Prometheus
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()

    async def start(self) -> None:
        """Start Tiled if it is ours, the workers, the watcher and the recovery; returns before Tiled answers."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Hand unfinished analyses back to the queue in Tiled and end every process that was started."""
        raise NotImplementedError

    async def submit(
        self, reference: str, recipe: Recipe | dict[str, Any] | None = None, *, force: bool = False
    ) -> AnalysisRecord:
        """Ask for the analysis of a run; the same request is found again, not computed again, unless forced.

        Parameters
        ----------
        reference : uid, beginning of a uid, scan_id, or -1 for the newest run
        recipe : what to do with it; none: the site's default recipe

        Raises
        ------
        InputError
            If the run or the recipe cannot be used; nothing has been written then.
        """
        raise NotImplementedError

    async def plan(self, reference: str, recipe: Recipe | dict[str, Any] | None = None) -> dict[str, Any]:
        """What `submit` would do: recipe, sources, ROIs with q and pixel counts, the analysis id and its status."""
        raise NotImplementedError

    async def analysis(self, analysis_id: str) -> AnalysisRecord:
        """One analysis; raises `AnalysisNotFound`."""
        raise NotImplementedError

    async def analyses(
        self,
        *,
        status: str | None = None,
        raw_uid: str | None = None,
        scan_id: int | None = None,
        sample: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[AnalysisRecord], int]:
        """Analyses, newest first, and how many there are in all."""
        raise NotImplementedError

    async def cancel(self, analysis_id: str) -> AnalysisRecord:
        """Ask an analysis to stop; one that waits is cancelled at once, one that has ended stays as it is."""
        raise NotImplementedError

    async def runs(self, *, limit: int = 20) -> list[RunListing]:
        """The newest raw runs, with what the automatic mode made of each and why."""
        raise NotImplementedError

    async def read_array(self, analysis_id: str, name: str, roi: int | None = None) -> NDArray[Any]:
        """A published array; `roi` counts from 1 and takes out one ROI. Raises `NotReady` before status is done."""
        raise NotImplementedError

    async def read_table(self, analysis_id: str, name: str) -> pd.DataFrame:
        """A published table; raises `NotReady` before status is done."""
        raise NotImplementedError

    def health(self) -> Health:
        """How the service is, from what it last saw; asks nobody."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens from now on.

        Yields
        ------
        dict with ``event`` and ``time`` (s since 1970), and
            ``analysis``: id, raw_uid, status, attempt, stage, progress, error
            ``run``: uid, scan_id, automatic, reason
            ``tiled``: reachable, message
        """
        raise NotImplementedError
