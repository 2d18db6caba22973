"""Bluesky documents of runs that go on, turned into three callbacks: a run started, got new data, stopped.

Documents come from a RunEngine in this process or over 0MQ (`twotime.live.document_listener`). Kafka would attach here
too: let the `RemoteDispatcher` of bluesky-kafka, with a deserializer that runs no code, call `RunsInMemory.take`.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from bluesky_live.bluesky_run import DocumentCache
from event_model import DocumentNames

from twotime.errors import InputError

log = structlog.get_logger()

MOST_RUNS = 20
MOST_KEPT = 1000
_WARN_EVERY_S = 60.0
_LONGEST_REASON = 300
_DATA = ("event", "event_page", "stream_datum")


class RunInMemory(DocumentCache):  # type: ignore[misc]  # bluesky-live has no types
    """One run in memory: bluesky-live's cache, with two differences.

    bluesky-live 0.0.8 ignores ``stream_resource`` and ``stream_datum``, with which detectors announce frames; here a
    ``stream_datum`` counts as new data. It also stores every event; here events are announced but not stored, because
    nothing reads them and a run may have millions.
    """

    @property
    def full(self) -> bool:
        """Whether it stores `MOST_KEPT` documents already."""
        return sum(1 for _ in self) >= MOST_KEPT

    def stream_datum(self, document: dict[str, Any]) -> None:
        """Announce new frames of a detector."""
        self._announce(document, document["indices"]["stop"] - document["indices"]["start"])

    def event_page(self, document: dict[str, Any]) -> None:
        """Announce new readings."""
        self._announce(document, len(document["seq_num"]))

    def _announce(self, document: dict[str, Any], rows: int) -> None:
        self.events.new_data(updated={self.descriptors[document["descriptor"]]["name"]: rows})


class RunsInMemory:
    """Takes the documents of any number of runs and calls back; never raises.

    Parameters
    ----------
    on_start, on_data, on_stop : called with the uid of a run that starts, has new data, or stops. Repeated start and
        stop documents of a run call back once.

    Attributes
    ----------
    n_taken, n_refused : number of documents so far
    refusal : why the last refused document was refused
    """

    def __init__(
        self, on_start: Callable[[str], None], on_data: Callable[[str], None], on_stop: Callable[[str], None]
    ) -> None:
        self.n_taken = 0
        self.n_refused = 0
        self.refusal = ""
        self._on_start, self._on_data, self._on_stop = on_start, on_data, on_stop
        self._runs: OrderedDict[str, RunInMemory] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._warned_at = -_WARN_EVERY_S

    @property
    def summary(self) -> str:
        """How many documents came, as a phrase."""
        refused = f", {self.n_refused} messages refused (the log says why)" if self.n_refused else ""
        return f"{self.n_taken} documents taken{refused}"

    def take(self, name: str, document: Any) -> None:
        """Take a document, with the signature of a RunEngine subscriber."""
        try:
            _check(name, document)
            self._take(name, document)
            self.n_taken += 1
        except InputError as error:
            self.refuse(str(error))
        except Exception as error:  # A RunEngine aborts the scan if a subscriber raises.
            cause = error.__cause__ or error  # bluesky-live wraps exceptions of its callbacks.
            self.refuse(f"A {str(name)[:40]} document cannot be taken ({type(cause).__name__}: {cause}).")

    def refuse(self, reason: str) -> None:
        """Count a message that is no document; log one warning a minute at most."""
        self.n_refused += 1
        self.refusal = reason[:_LONGEST_REASON]
        if time.monotonic() - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = time.monotonic()
            log.warning("document_refused", reason=self.refusal, refused=self.n_refused)

    def _take(self, name: str, document: dict[str, Any]) -> None:
        if name == "start":
            self._begin(document)
        elif name == "stop":
            self._end(document)
        else:
            run = self._run_of(document)
            # None: the run started before this listened, or newer runs replaced it.
            if run is not None and (name in _DATA or not run.full):
                run(name, document)

    def _begin(self, start: dict[str, Any]) -> None:
        uid = start["uid"]
        if uid in self._runs or uid in self._over:
            return  # Two publishers of one RunEngine send everything twice.
        self._runs[uid] = run = RunInMemory()
        while len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)
        run.events.started.connect(lambda _: self._on_start(uid))
        run.events.new_data.connect(lambda _: self._on_data(uid))
        run.events.completed.connect(lambda _: self._on_stop(uid))
        run("start", start)

    def _end(self, stop: dict[str, Any]) -> None:
        uid = stop["run_start"]
        run = self._runs.pop(uid, None)
        if uid in self._over:
            return
        self._over[uid] = None
        while len(self._over) > MOST_RUNS:
            self._over.popitem(last=False)
        if run is None:
            self._on_stop(uid)
        else:
            run("stop", stop)

    def _run_of(self, document: dict[str, Any]) -> RunInMemory | None:
        if "run_start" in document:
            return self._runs.get(document["run_start"])
        stream = document.get("descriptor")
        return next((run for run in self._runs.values() if stream in run.descriptors), None)


def _check(name: Any, document: Any) -> None:
    """Refuse what is not a document, and uids that a path in Tiled would interpret differently."""
    if name not in DocumentNames.__members__:
        raise InputError(f"A document is named {str(name)[:40]!r}; names are {', '.join(DocumentNames.__members__)}.")
    if not isinstance(document, dict):
        raise InputError(f"A {name} document is {type(document).__name__}; it has to be a mapping.")
    field = {"start": "uid", "stop": "run_start"}.get(name)
    uid = document.get(field) if field else None
    if field and not (isinstance(uid, str) and re.fullmatch(r"[0-9A-Za-z-]{36}", uid)):
        raise InputError(
            f"A {name} document has the {field} {str(uid)[:40]!r}; it has to be that of a run, such as a UUID."
        )
