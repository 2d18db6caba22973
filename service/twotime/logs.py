"""Logs: one event per line, identifiers as fields, as text for people or JSON for machines."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

_QUIET = ("httpx", "httpcore", "websockets", "tiled", "uvicorn.access", "matplotlib", "asyncio")


def hide_local_variables() -> None:
    """Where nobody configured structlog, let tracebacks show no local variables: keys are among them."""
    if not structlog.is_configured():
        text = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[*structlog.get_config()["processors"][:-1], text])


def configure_logs(*, as_json: bool = False, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's events and the standard library's records to one stream, in one form.

    Parameters
    ----------
    as_json : JSON lines instead of text
    level : lowest level shown, by name; libraries that speak of every request show warnings only
    stream : where to write; none: standard error

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> configure_logs(as_json=True, stream=stream)
    >>> structlog.get_logger().info("job_started", raw_uid="6a1f3c2b", roi=3)
    >>> '"raw_uid": "6a1f3c2b"' in stream.getvalue()
    True
    """
    target = stream or sys.stderr
    lowest = logging.getLevelNamesMapping()[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    text = structlog.dev.ConsoleRenderer(
        colors=target.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the rich one prints local variables, keys among them
    )
    last: Processor = structlog.processors.JSONRenderer() if as_json else text
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([structlog.processors.format_exc_info] if as_json else []),
                last,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=lowest, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(lowest, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
