"""Scans that Bluesky documents tell of: over a real 0MQ proxy, from a real RunEngine, beside Tiled and in its place."""

import asyncio
import pickle
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgpack
import pytest
import zmq
from bluesky import RunEngine
from bluesky import plan_stubs as bps
from bluesky.callbacks.zmq import Publisher
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from pydantic import AnyHttpUrl, SecretStr
from tests.waiting import Loop, until
from tests.writing import FRAMES, GEOMETRY, RINGS, Writing

from twotime.api.server import Server
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root
from twotime.errors import InputError
from twotime.jobs import Service
from twotime.live.document_listener import DocumentListener, find_proxy
from twotime.live.run_documents import RunsInMemory
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, run_documents

pytestmark = pytest.mark.long

RUNBOOK = Path(__file__).parents[2] / "deploy" / "README.md"


class Proxy:
    """bluesky-0MQ-proxy as a process; `into` is where publishers connect, `out` where services listen."""

    def __init__(self) -> None:
        self.into, self.out = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        addresses = ["--in-address", self.into, "--out-address", self.out]
        self._process = subprocess.Popen(
            [str(Path(sys.executable).with_name("bluesky-0MQ-proxy")), *addresses], stdout=subprocess.DEVNULL
        )
        until(lambda: asyncio.run(answers(self.out)))

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Heard:
    """What a service says of live scans, by uid."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def of(self, uid: str) -> list[dict[str, Any]]:
        return [one for one in self.said if one.get("uid") == uid and one["event"] == "live"]

    def states(self, uid: str) -> list[str]:
        return [one["state"] for one in self.of(uid)]

    async def listen(self, service: Service) -> None:
        async for one in service.events():
            self.said.append(one)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    one = Proxy()
    one.start()
    yield one
    one.end()


@pytest.fixture(scope="module")
def silent_tiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTiled]:
    """A server without a stream of events."""
    server = SilentTiled(tmp_path_factory.mktemp("silent"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(silent_tiled: EmbeddedTiled, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service on that server, which asks it too seldom for any test."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "recipe.yml").write_text(str(RINGS))
    return Settings(
        tiled_uri=AnyHttpUrl(silent_tiled.uri),
        tiled_api_key=SecretStr(silent_tiled.api_key),
        var_dir=folder,
        recipe_file=folder / "recipe.yml",
        detector_dirs=[silent_tiled.detector_folder],
        reconcile_s=3600.0,
        threads_per_worker=1,
    )


@pytest.fixture(scope="module")
def silent_raw(site: Settings) -> Iterator[Any]:
    root = open_root(site)
    yield root["raw"]
    root.context.close()


@pytest.fixture(scope="module")
def service(site: Settings, proxy: Proxy, call: Loop) -> Iterator[Service]:
    with serving(site.model_copy(update={"documents_address": proxy.out}), call) as one:
        until(lambda: one.health().watcher.startswith("polling"), lambda: one.health().watcher)
        yield one


@pytest.fixture
def publish(proxy: Proxy) -> Iterator[Publisher]:
    with publishing(proxy) as one:
        yield one


class SilentTiled(EmbeddedTiled):
    def _config(self) -> dict[str, object]:
        return {name: value for name, value in super()._config().items() if name != "streaming_cache"}


class Reading:
    """The least that a plan can read."""

    name = "diode"
    parent = None

    def describe(self) -> dict[str, Any]:
        return {"diode": {"source": "test", "dtype": "number", "shape": []}}

    def read(self) -> dict[str, Any]:
        return {"diode": {"value": 1.0, "timestamp": 1.0}}

    def describe_configuration(self) -> dict[str, Any]:
        return {}

    read_configuration = describe_configuration


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answers(address: str) -> bool:
    try:
        await find_proxy(address, 0.5)
    except InputError:
        return False
    return True


@contextmanager
def serving(settings: Settings, call: Loop) -> Iterator[Service]:
    service = Service(settings)
    call(service.start())
    try:
        until(lambda: service.health().ready, lambda: str(service.health()))
        yield service
    finally:
        call(service.stop())


@contextmanager
def publishing(proxy: Proxy) -> Iterator[Publisher]:
    """The publisher that the runbook shows, connected."""
    (text,) = re.findall(r"```python\n(from functools.*?)```", RUNBOOK.read_text(), re.S)
    names: dict[str, Any] = {"RE": RunEngine({}, context_managers=[])}
    exec(text.replace("localhost:5577", proxy.into), names)
    publisher: Publisher = names["publisher"]
    wait_for_way(proxy, lambda: publisher("probe", {}))
    yield publisher
    publisher.close()


@contextmanager
def sending(proxy: Proxy) -> Iterator[zmq.Socket[bytes]]:
    """A socket that publishes any bytes, connected."""
    context = zmq.Context()
    sender = context.socket(zmq.PUB)
    sender.connect(f"tcp://{proxy.into}")
    wait_for_way(proxy, lambda: sender.send(b"probe"))
    yield sender
    context.destroy(linger=0)


def wait_for_way(proxy: Proxy, send: Callable[[], Any]) -> None:
    """Send until something comes out of the proxy: what is sent before it is connected gets lost without a word."""
    context = zmq.Context()
    probe = context.socket(zmq.SUB)
    probe.subscribe(b"")
    probe.connect(f"tcp://{proxy.out}")

    def arrived() -> bool:
        send()
        return bool(probe.poll(50))

    until(arrived)
    context.destroy(linger=0)


def write(raw: Any, folder: Path, *others: Any, frame_rate: float | None = 60.0) -> str:
    """Write a scan, each document to others before Tiled; returns its uid."""
    writer, uid = TiledWriter(raw, batch_size=1), ""
    scan = Scan(detector="camera", layout="frames", frame_rate=frame_rate)
    for name, document in run_documents(FRAMES, GEOMETRY, folder, scan):
        uid = uid or str(document["uid"])
        for one in (*others, writer):
            one(name, document)
    return uid


def analysed(service: Service, call: Loop, uid: str) -> Any:
    """The one analysis of a run, once it has ended."""

    def look() -> Any:
        found, n = call(service.unrestricted.analyses(raw_uid=uid))
        assert n <= 1
        return found[0] if found and found[0].ended else None

    record = until(look)
    assert record.status == "done", record.error
    assert record.attempt == 1
    return record


def test_scan_is_followed_and_analysed_from_documents_alone(
    service: Service, call: Loop, publish: Publisher, silent_raw: Any, silent_tiled: EmbeddedTiled
) -> None:
    with hearing(service, call) as heard:
        uid = write(silent_raw, silent_tiled.detector_folder / "documents", publish)
        until(lambda: "ended" in heard.states(uid), lambda: str(heard.of(uid)))

    states = heard.states(uid)
    assert "running" in states[: states.index("ended")]
    assert heard.of(uid)[-1]["n_frames"] == len(FRAMES)
    assert analysed(service, call, uid).automatic


def test_scan_told_by_tiled_and_by_documents_is_followed_and_analysed_once(
    settings: Settings, site: Settings, proxy: Proxy, publish: Publisher, call: Loop, raw: Any, detector_folder: Path
) -> None:
    both = settings.model_copy(
        update={
            "var_dir": site.var_dir / "both",
            "recipe_file": site.recipe_file,
            "results_path": f"both-{uuid.uuid4().hex[:6]}",
            "catch_up_s": 0.0,
            "documents_address": proxy.out,
            "threads_per_worker": 1,
        }
    )
    with serving(both, call) as service, hearing(service, call) as heard:
        until(lambda: service.health().watcher == "watching" and service.health().documents_heard)
        uid = write(raw, detector_folder / "both", publish)
        analysed(service, call, uid)
        # A second run, so that whatever the first one still had to cause has happened.
        analysed(service, call, write(raw, detector_folder / "both", publish, frame_rate=None))

        assert heard.states(uid).count("ended") == 1
        assert "failed" not in heard.states(uid)
        assert call(service.unrestricted.analyses(raw_uid=uid))[1] == 1


def test_scan_is_followed_where_tiled_has_no_stream_and_nobody_sends_documents(
    site: Settings, call: Loop, silent_raw: Any, silent_tiled: EmbeddedTiled
) -> None:
    often = {"reconcile_s": 0.5, "results_path": "polled", "var_dir": site.var_dir / "polled", "catch_up_s": 0.0}
    with serving(site.model_copy(update=often), call) as service, hearing(service, call) as heard:
        until(lambda: service.health().watcher.startswith("polling every 0.5 s: Tiled at"))
        assert service.health().documents == ""
        with Writing(site, silent_raw, silent_tiled.detector_folder / "polled") as writing:
            until(lambda: "running" in heard.states(writing.uid), lambda: str(heard.of(writing.uid)))
        until(lambda: "ended" in heard.states(writing.uid))
        assert analysed(service, call, writing.uid).automatic


def test_run_that_tiled_never_gets_is_waited_for_with_a_word_and_given_up(
    site: Settings, proxy: Proxy, call: Loop, publish: Publisher
) -> None:
    changes = {"live_patience_s": 1.0, "documents_address": proxy.out, "var_dir": site.var_dir / "impatient"}
    start = compose_run().start_doc
    with serving(site.model_copy(update=changes), call) as service, hearing(service, call) as heard:
        until(lambda: service.health().documents_heard)
        publish("start", start)
        until(lambda: "failed" in heard.states(start["uid"]))

    waiting, failed = heard.of(start["uid"])
    assert (waiting["state"], waiting["message"]) == (
        "waiting",
        "Documents tell of this run; Tiled does not hold it yet.",
    )
    assert failed["message"].endswith("see that a TiledWriter is subscribed where the documents come from.")


def test_run_engine_in_this_python_tells_the_service(service: Service, call: Loop, silent_raw: Any) -> None:
    engine = RunEngine({}, context_managers=[])
    engine.subscribe(service.on_document)
    engine.subscribe(TiledWriter(silent_raw))

    def plan() -> Iterator[Any]:
        yield from bps.open_run({"sample": "none"})
        yield from bps.trigger_and_read([Reading()])
        yield from bps.close_run()

    with hearing(service, call) as heard:
        (uid,) = engine(plan())
        judged = until(lambda: [one for one in heard.said if one["event"] == "run" and one["uid"] == uid])

    assert judged[0]["reason"] == "it holds no frames of an area detector"


class Opened:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nonsense_on_the_socket_is_refused_and_ends_nothing(proxy: Proxy, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    runs, began = gathering()
    start = compose_run().start_doc
    messages = [
        b"",
        b"no blanks",
        b" start ",
        b" start \xff\xff",
        b" \xff\xfe \x80",
        b" reboot " + msgpack.packb({}),
        b" start " + b"\x81\xa1x" * 100_000 + b"\xc0",
        b" start " + pickle.dumps({"uid": Opened(opened)}),
        b" start " + msgpack.packb({"uid": "1"}),
        b" start " + bytes(17 * 2**20),
        b" descriptor " + msgpack.packb({"run_start": []}),
    ]
    with sending(proxy) as sender, listening(proxy.out, runs) as listener:
        until(lambda: listener.connected)
        for message in messages:
            sender.send(message)
        sender.send(b" start " + msgpack.packb(start))
        until(lambda: began)

        assert listener.connected
    assert began == [start["uid"]]
    assert runs.n_taken == 1
    assert runs.n_refused >= len(messages)
    assert not opened.exists()


def test_publisher_that_pickles_is_told_what_to_do_instead(proxy: Proxy) -> None:
    runs, began = gathering()
    careless = Publisher(proxy.into)
    with listening(proxy.out, runs) as listener:
        until(lambda: listener.connected)

        def refused() -> bool:
            careless("start", compose_run().start_doc)
            return runs.n_refused > 0

        until(refused)
    careless.close()

    assert "never read; give bluesky's Publisher the serializer that deploy/README.md shows" in runs.refusal
    assert began == []


def test_proxy_that_comes_late_and_goes_is_said_and_heard_again() -> None:
    runs, began = gathering()
    proxy = Proxy()
    with listening(proxy.out, runs) as listener:
        assert "is bluesky-0MQ-proxy running there?" in listener.state
        proxy.start()
        until(lambda: listener.connected)
        proxy.end()
        until(lambda: not listener.connected)
        assert listener.state == f"The 0MQ proxy at {proxy.out} went away; it is looked for."
        proxy.start()
        until(lambda: listener.connected)
        with publishing(proxy) as publisher:

            def heard() -> bool:
                publisher("start", compose_run().start_doc)
                return bool(began)

            until(heard)
    proxy.end()


def test_something_else_at_the_address_is_said_by_a_service_that_is_ready_without_it(
    site: Settings, silent_tiled: EmbeddedTiled
) -> None:
    address = silent_tiled.uri.removeprefix("http://").removesuffix("/api/v1")
    wrong = site.model_copy(update={"documents_address": address, "port": 0, "live": False})
    with Server(wrong) as server:

        def said() -> Any:
            answer = httpx.get(f"{server.url}/readyz")
            checks = {check["name"]: check for check in answer.json()["checks"]}
            ended = answer.status_code == 200 and "is no 0MQ proxy" in checks.get("documents", {}).get("detail", "")
            return checks if ended else None

        checks = until(said, lambda: httpx.get(f"{server.url}/readyz").text)
        assert checks["watcher"]["ok"]
        assert not checks["documents"]["ok"]


def gathering() -> tuple[RunsInMemory, list[str]]:
    """Runs in memory, and the uids of those that began."""
    began: list[str] = []
    ignored: list[str] = []
    return RunsInMemory(began.append, ignored.append, ignored.append), began


@contextmanager
def listening(address: str, runs: RunsInMemory) -> Iterator[DocumentListener]:
    listener, loop = DocumentListener(address, runs), Loop()
    with running(listener.run(), loop):
        yield listener
    loop.close()


@contextmanager
def hearing(service: Service, call: Loop) -> Iterator[Heard]:
    heard = Heard()
    with running(heard.listen(service), call):
        yield heard


@contextmanager
def running(work: Coroutine[Any, Any, None], loop: Loop) -> Iterator[None]:
    """Something that goes on in a loop until the block is left, and no shorter."""
    task = loop(begun(work))
    try:
        yield
        assert not task.done()
    finally:
        loop(over(task))


async def begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def over(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
