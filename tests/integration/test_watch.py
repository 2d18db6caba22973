"""No finished run is missed: while the stream holds, while Tiled is killed, and where no event was sent."""

import asyncio
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run

from twotime.catalog.runs.watch import runs_going_on, watch_runs
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import RUNS_SPEC, open_root, raw_catalog
from twotime.errors import TiledRefused, TiledUnavailable
from twotime.settings import Settings
from twotime.simulate import write_run
from twotime.xpcs.types import Geometry

LONGEST_S = 240.0


class Watching:
    """The runs that a watch named, while the block lasts; goes on after every interruption as the service does."""

    def __init__(self, settings):
        self.settings = settings
        self.seen = []
        self.interruptions = []
        self.documents = {}

    async def __aenter__(self):
        self.task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, condition):
        async with asyncio.timeout(LONGEST_S):
            while not condition():
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.05)

    async def _watch(self):
        while True:
            try:
                await watch_runs(self.settings, self._finished)
            except TiledUnavailable as error:
                self.interruptions.append(str(error))
                await asyncio.sleep(0.5)

    async def _finished(self, uid, start, stop):
        self.seen.append(uid)
        self.documents[uid] = start, stop


def begin_run(raw, **metadata):
    """A run without data; returns its uid and what ends it."""
    writer = TiledWriter(raw, batch_size=1)
    run = compose_run(metadata=metadata)
    writer("start", run.start_doc)
    return run.start_doc["uid"], lambda: writer("stop", run.compose_stop())


def finished_run(raw, **metadata):
    uid, end = begin_run(raw, **metadata)
    end()
    return uid


def seldom(settings):
    """Settings under which only events can tell of runs soon enough."""
    return settings.model_copy(update={"reconcile_s": 3600.0})


def test_run_is_named_by_its_event_with_both_documents_once_it_has_ended(raw, settings, detector_folder):
    geometry = Geometry(1.0, 1.0, 5.0, 1.24, 75e-6, 0.01)
    frames = np.ones((4, 8, 8), np.uint16)

    async def scenario():
        before = finished_run(raw)
        async with Watching(seldom(settings)) as watching:
            await watching.until(lambda: before in watching.seen)
            uid, end = await asyncio.to_thread(begin_run, raw, scan_id=31)
            scan = await asyncio.to_thread(write_run, raw, frames, geometry, detector_folder / "watch", scan_id=32)
            await watching.until(lambda: scan in watching.seen)
            assert uid not in watching.seen
            ended = time.monotonic()
            await asyncio.to_thread(end)
            await watching.until(lambda: uid in watching.seen)
            return time.monotonic() - ended, watching, uid

    took, watching, uid = asyncio.run(scenario())

    start, stop = watching.documents[uid]
    assert (start["uid"], start["scan_id"]) == (uid, 31)
    assert (stop["run_start"], stop["exit_status"]) == (uid, "success")
    assert took < 10
    assert watching.interruptions == []


def test_run_with_metadata_of_megabytes_does_not_end_the_watch(raw, settings):
    async def scenario():
        async with Watching(seldom(settings)) as watching:
            first = await asyncio.to_thread(finished_run, raw)
            await watching.until(lambda: first in watching.seen)
            large = await asyncio.to_thread(finished_run, raw, notes="x" * 3_000_000)
            after = await asyncio.to_thread(finished_run, raw)
            await watching.until(lambda: {large, after} <= set(watching.seen))
            return watching.interruptions

    assert asyncio.run(scenario()) == []


def test_many_runs_at_once_are_all_named(raw, settings):
    async def scenario():
        async with Watching(seldom(settings)) as watching:
            uids = await asyncio.to_thread(lambda: [finished_run(raw) for _ in range(25)])
            await watching.until(lambda: set(uids) <= set(watching.seen))

    asyncio.run(scenario())


@pytest.mark.long
def test_no_run_is_missed_over_a_kill_of_tiled(tmp_path):
    """Its memory cache forgets the events that nobody was connected to hear."""
    server = EmbeddedTiled(tmp_path)
    server.start()
    settings = Settings(tiled_uri=server.uri, tiled_api_key=server.api_key, reconcile_s=3600.0)

    def write_as_soon_as_it_is_back():
        root = open_root(settings, retries_for_s=LONGEST_S)
        uid = finished_run(raw_catalog(root, settings))
        root.context.close()
        return uid

    async def scenario():
        async with Watching(settings) as watching:
            first = await asyncio.to_thread(write_as_soon_as_it_is_back)
            await watching.until(lambda: first in watching.seen)
            killed = server.pid
            os.kill(killed, signal.SIGKILL)
            await watching.until(lambda: watching.interruptions and server.pid not in (None, killed))
            second = await asyncio.to_thread(write_as_soon_as_it_is_back)
            await watching.until(lambda: second in watching.seen)
            third = await asyncio.to_thread(write_as_soon_as_it_is_back)
            await watching.until(lambda: third in watching.seen)
            return watching.interruptions

    try:
        interruptions = asyncio.run(scenario())
    finally:
        server.stop()
    assert all(settings.tiled_uri.host in sentence and sentence.endswith(".") for sentence in interruptions)


def test_catalog_is_asked_where_no_event_comes(raw, settings):
    """Events of a container that nobody writes to: the question to the catalog must find the run."""

    async def scenario():
        often = settings.model_copy(update={"reconcile_s": 0.5})
        async with Watching(often) as watching:
            uid = await asyncio.to_thread(finished_run, raw)
            await watching.until(lambda: watching.seen.count(uid) >= 3)

    asyncio.run(scenario())


def test_first_run_of_an_empty_container_does_not_stop_the_watch(root):
    """It may begin between two requests of which the first found nothing; hence many tries."""

    def ask_until_there_is_one(path):
        while not (found := runs_going_on(root[path])):
            pass
        return [start["uid"] for start in found]

    for _ in range(10):
        path = f"raw-{uuid.uuid4().hex[:6]}"
        root.create_container(path, specs=[RUNS_SPEC])
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask_until_there_is_one, path)
            uid, _ = begin_run(root[path])
            assert asked.result(30) == [uid]


def test_loop_stays_free_while_tiled_is_asked(raw, settings):
    async def scenario():
        pauses, last = [], time.monotonic()
        async with Watching(settings.model_copy(update={"reconcile_s": 0.2})) as watching:
            uid = await asyncio.to_thread(finished_run, raw)
            while uid not in watching.seen or len(pauses) < 100:
                await asyncio.sleep(0.01)
                pauses.append(time.monotonic() - last)
                last = time.monotonic()
        return max(pauses)

    assert asyncio.run(scenario()) < 1.0


def test_wrong_key_ends_the_watch_with_the_name_of_the_setting(tiled_server):
    settings = Settings(tiled_uri=tiled_server.uri, tiled_api_key="wrong")

    with pytest.raises(TiledRefused, match="TWOTIME_TILED_API_KEY"):
        asyncio.run(watch_runs(settings, None))
