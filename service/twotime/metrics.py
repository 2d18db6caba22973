"""What Prometheus reads: how many analyses, how long each stage took, how long the queue is, whether Tiled answers."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

STAGE_BUCKETS_S = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)


class Metrics:
    """The numbers of one service; each service has its own registry, so that two of them never mix.

    Attributes
    ----------
    analyses : analyses that reached a status, by ``status``
    stage_seconds : seconds spent, by ``stage``
    queue_length, running : analyses that wait, and that are being computed
    tiled_up : 1 while the Tiled server answers, else 0
    requests : HTTP requests answered, by ``method`` and ``status``

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.analysis_ended("done", {"correlate": 2.5})
    >>> 'twotime_analyses_total{status="done"} 1.0' in metrics.text()
    True
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.analyses = Counter(
            "twotime_analyses", "Analyses that reached a status.", ["status"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "twotime_stage_seconds",
            "Seconds spent in each stage of an analysis.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self.queue_length = Gauge("twotime_queue_length", "Analyses that wait for a worker.", registry=self.registry)
        self.running = Gauge("twotime_running", "Analyses being computed.", registry=self.registry)
        self.tiled_up = Gauge("twotime_tiled_up", "1 while the Tiled server answers, else 0.", registry=self.registry)
        self.requests = Counter(
            "twotime_http_requests", "HTTP requests answered.", ["method", "status"], registry=self.registry
        )

    def analysis_ended(self, status: str, timings_s: dict[str, float]) -> None:
        """Count an analysis that is done, failed or cancelled, and the seconds of its stages."""
        self.analyses.labels(status).inc()
        for stage, seconds in timings_s.items():
            self.stage_seconds.labels(stage).observe(seconds)

    def text(self) -> str:
        """All numbers in the text format of Prometheus."""
        return generate_latest(self.registry).decode()
