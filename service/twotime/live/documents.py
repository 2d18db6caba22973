"""Runs as their documents tell them: kept in bluesky-live's in-memory runs, told as begin, growth and end.

Documents come from a RunEngine in this process or over 0MQ (`twotime.live.listening`). Kafka would attach in the same
place: the `RemoteDispatcher` of bluesky-kafka, with a deserializer that runs no code, calls `RunsInMemory.take`.
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
_COMPLAIN_EVERY_S = 60.0
_LONGEST_REASON = 300
_DATA = ("event", "event_page", "stream_datum")


class RunInMemory(DocumentCache):  # type: ignore[misc]  # bluesky-live has no types
    """One run while it goes on, as bluesky-live keeps it, with two differences.

    bluesky-live 0.0.8 passes over ``stream_resource`` and ``stream_datum``, by which detectors tell of frames: here the
    latter are new data. It keeps every event: here they are told and not kept, as nobody reads them and a run may have
    millions.
    """

    @property
    def full(self) -> bool:
        """Whether it keeps as many documents as it may."""
        return sum(1 for _ in self) >= MOST_KEPT

    def stream_datum(self, document: dict[str, Any]) -> None:
        """Frames are in a file."""
        self._tell(document, document["indices"]["stop"] - document["indices"]["start"])

    def event_page(self, document: dict[str, Any]) -> None:
        """Readings have been taken."""
        self._tell(document, len(document["seq_num"]))

    def _tell(self, document: dict[str, Any], rows: int) -> None:
        self.events.new_data(updated={self.descriptors[document["descriptor"]]["name"]: rows})


class RunsInMemory:
    """Takes the documents of any number of runs and tells what they mean; never raises, whatever comes.

    Parameters
    ----------
    began, grew, ended : told the uid of a run that begins, has new data, or has ended; one that begins or ends twice
        does so once

    Attributes
    ----------
    n_taken, n_refused : documents so far
    refusal : why the last one that was refused was, in words
    """

    def __init__(self, began: Callable[[str], None], grew: Callable[[str], None], ended: Callable[[str], None]) -> None:
        self.n_taken = 0
        self.n_refused = 0
        self.refusal = ""
        self._began, self._grew, self._ended = began, grew, ended
        self._runs: OrderedDict[str, RunInMemory] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._complained_at = -_COMPLAIN_EVERY_S

    @property
    def told(self) -> str:
        """How many documents came, in words."""
        refused = f", {self.n_refused} messages refused (the log says why)" if self.n_refused else ""
        return f"{self.n_taken} documents taken{refused}"

    def take(self, name: str, document: Any) -> None:
        """Take a document, as a RunEngine gives it to its subscribers."""
        try:
            _check(name, document)
            self._take(name, document)
            self.n_taken += 1
        except InputError as error:
            self.refuse(str(error))
        except Exception as error:  # A RunEngine aborts the scan of a subscriber that raises.
            cause = error.__cause__ or error  # bluesky-live wraps what its callbacks raise.
            self.refuse(f"A {str(name)[:40]} document cannot be taken ({type(cause).__name__}: {cause}).")

    def refuse(self, reason: str) -> None:
        """Count something that is no document, and complain now and then."""
        self.n_refused += 1
        self.refusal = reason[:_LONGEST_REASON]
        if time.monotonic() - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = time.monotonic()
            log.warning("document_refused", reason=self.refusal, refused=self.n_refused)

    def _take(self, name: str, document: dict[str, Any]) -> None:
        if name == "start":
            self._begin(document)
        elif name == "stop":
            self._end(document)
        else:
            run = self._run_of(document)
            # Without one: it began before anybody listened, or gave way to newer ones.
            if run is not None and (name in _DATA or not run.full):
                run(name, document)

    def _begin(self, start: dict[str, Any]) -> None:
        uid = start["uid"]
        if uid in self._runs or uid in self._over:
            return  # Two publishers of one RunEngine tell everything twice.
        self._runs[uid] = run = RunInMemory()
        while len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)
        run.events.started.connect(lambda _: self._began(uid))
        run.events.new_data.connect(lambda _: self._grew(uid))
        run.events.completed.connect(lambda _: self._ended(uid))
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
            self._ended(uid)
        else:
            run("stop", stop)

    def _run_of(self, document: dict[str, Any]) -> RunInMemory | None:
        if "run_start" in document:
            return self._runs.get(document["run_start"])
        stream = document.get("descriptor")
        return next((run for run in self._runs.values() if stream in run.descriptors), None)


def _check(name: Any, document: Any) -> None:
    """Refuse what is no document, and uids that Tiled could take for something else."""
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
