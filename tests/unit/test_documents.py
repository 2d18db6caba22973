"""Documents of runs, in memory: what they tell, once, and what cannot be taken is counted and does no harm."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_model import compose_run

from twotime.live.run_documents import MOST_KEPT, MOST_RUNS, RunsInMemory
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, run_documents
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(4.0, 4.0, 5.0, 1.24, 75e-6, 0.01)
UID = str(uuid.uuid4())


class Told:
    """What runs in memory tell, in its order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.runs = RunsInMemory(*(self._hear(what) for what in ("began", "grew", "ended")))

    def _hear(self, what: str) -> Any:
        return lambda uid: self.said.append((what, uid))


@pytest.fixture
def told() -> Told:
    return Told()


def scan(folder: Path, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    """Documents of six frames, two in a file."""
    frames = np.ones((6, 8, 8), np.uint16)
    return list(run_documents(frames, GEOMETRY, folder, Scan(layout="frames", frames_per_file=2, **options)))


def test_scan_begins_grows_with_every_file_and_ends(told: Told, tmp_path: Path) -> None:
    documents = scan(tmp_path)

    for document in documents:
        told.runs.take(*document)

    names = [name for name, _ in documents]
    uid = documents[0][1]["uid"]
    grew = names.count("stream_datum") + names.count("event")
    assert told.said == [("began", uid), *[("grew", uid)] * grew, ("ended", uid)]
    assert names.count("stream_datum") >= 3
    assert (told.runs.n_taken, told.runs.n_refused) == (len(documents), 0)


def test_documents_told_twice_begin_and_end_a_run_once(told: Told, tmp_path: Path) -> None:
    for document in scan(tmp_path):
        told.runs.take(*document)
        told.runs.take(*document)

    assert [what for what, _ in told.said if what != "grew"] == ["began", "ended"]


def test_runs_that_go_on_side_by_side_are_kept_apart(told: Told, tmp_path: Path) -> None:
    first, second = scan(tmp_path / "first"), scan(tmp_path / "second", exit_status=None)

    for one, other in zip(first, second, strict=False):
        told.runs.take(*one)
        told.runs.take(*other)
    told.runs.take(*first[-1])

    ended = [uid for what, uid in told.said if what == "ended"]
    grew = {uid for what, uid in told.said if what == "grew"}
    assert ended == [first[0][1]["uid"]]
    assert grew == {first[0][1]["uid"], second[0][1]["uid"]}


def test_run_that_began_before_anybody_listened_ends_all_the_same(told: Told, tmp_path: Path) -> None:
    _, *rest = scan(tmp_path)

    for document in rest:
        told.runs.take(*document)

    assert told.said == [("ended", rest[-1][1]["run_start"])]
    assert told.runs.n_refused == 0


@pytest.mark.parametrize(
    ("name", "document", "words"),
    [
        ("begin", {}, "A document is named 'begin'"),
        (None, {}, "A document is named 'None'"),
        ("start", None, "A start document is NoneType"),
        ("start", {"time": 1.0}, "has the uid 'None'"),
        ("start", {"uid": "-1"}, "has the uid '-1'"),
        ("start", {"uid": f"../{UID}"[:36]}, "has the uid '../"),
        ("stop", {"run_start": "4711"}, "has the run_start '4711'"),
        ("descriptor", {"run_start": []}, "A descriptor document cannot be taken (TypeError"),
    ],
)
def test_what_is_no_document_is_refused_with_a_reason(told: Told, name: Any, document: Any, words: str) -> None:
    told.runs.take(name, document)

    assert words in told.runs.refusal
    assert (told.runs.n_taken, told.runs.n_refused) == (0, 1)
    assert told.said == []


def test_callback_that_fails_is_counted_and_ends_nothing(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise OSError("no more room")

    runs = RunsInMemory(fail, fail, fail)

    for document in scan(tmp_path):
        runs.take(*document)

    assert "no more room" in runs.refusal
    assert runs.n_refused >= 2


def test_memory_is_bounded_however_many_runs_never_end(told: Told) -> None:
    starts = [compose_run().start_doc for _ in range(MOST_RUNS + 5)]
    for start in starts:
        told.runs.take("start", start)
    told.runs.take("start", starts[0])

    began = [uid for what, uid in told.said if what == "began"]
    assert len(began) == MOST_RUNS + 6
    assert began[-1] == starts[0]["uid"]


def test_descriptors_without_end_are_not_kept(told: Told) -> None:
    run = compose_run()
    told.runs.take("start", run.start_doc)
    key = {"x": {"source": "test", "dtype": "number", "shape": []}}
    streams = [run.compose_descriptor(name=f"stream {number}", data_keys=key) for number in range(MOST_KEPT + 1)]

    for stream in streams:
        told.runs.take("descriptor", stream.descriptor_doc)
    for stream in (streams[0], streams[-1]):
        told.runs.take("event", stream.compose_event(data={"x": 1.0}, timestamps={"x": 1.0}))

    assert [what for what, _ in told.said] == ["began", "grew"]


@pytest.mark.parametrize("address", ["localhost", "tcp://localhost:5578", "localhost:http", "local host:5578"])
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"TWOTIME_DOCUMENTS_ADDRESS is .* give host and port"):
        Settings(documents_address=address)


def test_documents_without_the_automatic_mode_are_refused() -> None:
    with pytest.raises(ValueError, match="TWOTIME_AUTOMATIC is false"):
        Settings(documents_address="localhost:5578", automatic=False)
