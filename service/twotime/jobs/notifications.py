"""What changes in the service, passed on to subscribers, metrics and caches."""

from typing import Any

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.jobs.event_hub import EventHub
from twotime.jobs.request_cache import RequestCache
from twotime.jobs.requests.eligibility import Verdict
from twotime.metrics import Metrics

_ANALYSIS_FIELDS = ("id", "raw_uid", "status", "attempt", "stage", "progress", "error", "mark")


class Notifications:
    """The callbacks of all parts of a service. Call them in its event loop.

    Parameters
    ----------
    hub : publishes the events
    metrics : count ended analyses and show whether Tiled answers
    cache : cleared whenever an analysis changes, so that the next request sees the change
    """

    def __init__(self, hub: EventHub, metrics: Metrics, cache: RequestCache) -> None:
        self._hub = hub
        self._metrics = metrics
        self._cache = cache

    def on_analysis_change(self, record: AnalysisRecord) -> None:
        """An analysis was queued, claimed, cancelled or has ended."""
        self._cache.clear()
        self.on_analysis_progress(record)

    def on_analysis_end(self, record: AnalysisRecord) -> None:
        """An attempt has ended, with whatever status."""
        self._metrics.analysis_ended(record.status, record.timings_s)
        self.on_analysis_change(record)

    def on_analysis_progress(self, record: AnalysisRecord) -> None:
        """Stage or progress changed. The cache stays: progress is frequent, and lists need not show it at once."""
        self._hub.publish("analysis", **{name: getattr(record, name) for name in _ANALYSIS_FIELDS})

    def on_run_judged(self, uid: str, scan_id: int | None, verdict: Verdict) -> None:
        """The automatic mode decided about a run."""
        automatic = "taken" if verdict.taken else "skipped"
        self._hub.publish("run", uid=uid, scan_id=scan_id, automatic=automatic, reason=verdict.reason)

    def on_live_state(self, state: dict[str, Any]) -> None:
        """A live session reported its state."""
        self._hub.publish("live", **state)

    def on_tiled_change(self, reachable: bool, message: str) -> None:
        """Tiled became reachable or unreachable."""
        self._metrics.tiled_up.set(1 if reachable else 0)
        self._hub.publish("tiled", reachable=reachable, message=message)

    def on_queue_paused(self, paused: bool) -> None:
        """The queue was paused or resumed."""
        self._hub.publish("queue", paused=paused)
