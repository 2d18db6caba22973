"""The server of our own: kept data, deaths of all kinds, and the sentences when it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run

from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import RUNS_SPEC, open_root, raw_catalog, results_container
from twotime.errors import TiledRefused, TiledUnavailable
from twotime.settings import Settings

PARENT = """
import sys, time
from pathlib import Path
from twotime.catalog.server.embedded import EmbeddedTiled
server = EmbeddedTiled(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def settings_of(server: EmbeddedTiled, **changes: object) -> Settings:
    return Settings(**{"tiled_uri": server.uri, "tiled_api_key": server.api_key} | changes)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s"
        threading.Event().wait(0.1)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def answers(server: EmbeddedTiled) -> bool:
    try:
        return httpx.get(server.uri.replace("/api/v1", "/healthz"), timeout=2).is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_fresh_server_holds_both_containers_and_hides_its_key(tiled_server, root):
    config = yaml.safe_load((tiled_server.folder / "config.yml").read_text())
    key_file = tiled_server.folder / "api_key"

    assert {"raw", "processed"} <= set(root)
    assert [spec.name for spec in root["raw"].specs] == ["CatalogOfBlueskyRuns"]
    assert re.fullmatch(r"\w{32,}", tiled_server.api_key)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert tiled_server.api_key not in (tiled_server.folder / "config.yml").read_text()
    assert config["expose_raw_assets"] is False
    assert str(tiled_server.detector_folder) in config["catalog"]["readable_storage"][0]


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ends with its parent on Linux only")
def test_server_dies_with_its_killed_parent_and_the_next_start_finds_its_data(tmp_path):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        first = EmbeddedTiled(tmp_path)
        first.start()
        root = open_root(settings_of(first))
        root["raw"].create_container("kept")
        root.context.close()
        port, key = first.uri, first.api_key
        first.stop()
        assert is_alive(pid), "stopping a guest must leave the server of another process alone"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not is_alive(pid))

    second = EmbeddedTiled(tmp_path)
    second.start()
    try:
        assert (second.uri, second.api_key) == (port, key)
        root = open_root(settings_of(second))
        assert list(root["raw"]) == ["kept"]
        root.context.close()
    finally:
        second.stop()
    assert second.pid is None
    assert not answers(second)


@pytest.mark.long
def test_killed_server_comes_back_under_the_same_address(tmp_path):
    server = EmbeddedTiled(tmp_path)
    server.start()
    try:
        uri, first = server.uri, server.pid
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: server.pid not in (None, first))
        wait_for(lambda: answers(server))
        assert server.uri == uri
    finally:
        server.stop()


def test_stopped_server_starts_again_under_the_same_address(tmp_path):
    server = EmbeddedTiled(tmp_path)
    try:
        server.start()
        uri = server.uri
        server.stop()
        assert not answers(server)
        server.start()
        assert server.uri == uri
        assert answers(server)
    finally:
        server.stop()


def test_two_first_starts_on_one_folder_share_one_server(tmp_path):
    servers = [EmbeddedTiled(tmp_path) for _ in range(2)]
    starts = [threading.Thread(target=server.start) for server in servers]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    try:
        assert [server.pid is None for server in servers].count(True) == 1
        assert servers[0].uri == servers[1].uri
        for server in servers:
            root = open_root(settings_of(server))
            assert {"raw", "processed"} <= set(root)
            root.context.close()
    finally:
        for server in servers:
            server.stop()


def test_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(TiledUnavailable, match=r"cannot write to .*file.*TWOTIME_VAR_DIR"):
        EmbeddedTiled(tmp_path / "file").start()


def test_port_in_use_is_said_in_a_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(TiledUnavailable, match=f"Port {port} .*in use"):
            EmbeddedTiled(tmp_path, port=port).start()


def test_wrong_key_is_refused_with_the_name_of_the_setting(tiled_server):
    for key in ("wrong", None):
        with pytest.raises(TiledRefused, match="TWOTIME_TILED_API_KEY"):
            open_root(settings_of(tiled_server, tiled_api_key=key))


def test_server_that_is_down_is_named_and_waited_for():
    settings = Settings(tiled_uri=f"http://127.0.0.1:{free_port()}/api/v1", tiled_api_key="any")
    said = []

    with pytest.raises(TiledUnavailable, match=str(settings.tiled_uri)):
        open_root(settings, retries_for_s=1.5, on_wait=said.append)

    assert len(said) == 1
    assert "Waiting up to" in said[0]


def test_server_that_comes_up_later_is_connected_to(tmp_path):
    server = EmbeddedTiled(tmp_path, port=free_port())
    server._prepare()  # makes the key, so that the client has it before the server runs
    settings, said = settings_of(server), []
    starter = threading.Timer(1.0, server.start)
    starter.start()
    try:
        root = open_root(settings, retries_for_s=60, on_wait=said.append)
        assert said
        root.context.close()
    finally:
        starter.join()
        server.stop()


class _SomeWebsite(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("path", ["/api/v1", "/none"])
def test_address_of_something_else_than_tiled_is_said_in_a_sentence(path):
    with HTTPServer(("127.0.0.1", 0), _SomeWebsite) as website:
        threading.Thread(target=website.serve_forever, daemon=True).start()
        try:
            with pytest.raises(TiledUnavailable, match="TWOTIME_TILED_URI"):
                open_root(Settings(tiled_uri=f"http://127.0.0.1:{website.server_port}{path}", tiled_api_key="any"))
        finally:
            website.shutdown()


def test_missing_container_of_runs_is_said_with_what_there_is(root, settings):
    with pytest.raises(TiledRefused, match=r"'elsewhere'.*raw.*TWOTIME_RAW_PATH"):
        raw_catalog(root, settings.model_copy(update={"raw_path": "elsewhere"}))


def test_container_of_runs_is_made_on_an_empty_server(tmp_path):
    server = EmbeddedTiled(tmp_path)
    server.start()
    try:
        nested = settings_of(server, raw_path="beamline/raw")
        root = open_root(nested)
        for key in list(root):
            root.delete_contents(key, recursive=True)

        raw = raw_catalog(root, nested)

        assert (raw.path_parts[-2:], [spec.name for spec in raw.specs]) == (["beamline", "raw"], [RUNS_SPEC.name])
        with pytest.raises(TiledRefused, match="TWOTIME_RAW_PATH"):
            raw_catalog(root, settings_of(server, raw_path="misspelt"))
        root.context.close()
    finally:
        server.stop()


def test_events_of_runs_written_at_once_are_kept_each_once(root):
    box = root.create_container("written_at_once")

    def write() -> str:
        writer, run = TiledWriter(box, batch_size=1), compose_run()
        writer("start", run.start_doc)
        keys = {"reading": {"source": "test", "dtype": "number", "shape": []}}
        stream = run.compose_descriptor(name="primary", data_keys=keys)
        writer("descriptor", stream.descriptor_doc)
        for number in range(8):
            writer("event", stream.compose_event(data={"reading": number}, timestamps={"reading": time.time()}))
        writer("stop", run.compose_stop())
        return run.start_doc["uid"]

    def written() -> str | None:
        try:
            return write()
        except httpx.HTTPStatusError:  # On a busy machine a lock may outlast the retries; the writer is told so.
            return None

    with ThreadPoolExecutor(3) as pool:
        uids = [future.result() for future in [pool.submit(written) for _ in range(9)]]
    complete = [uid for uid in uids if uid is not None]
    assert len(complete) >= 6
    for uid in complete:
        assert list(box[uid]["primary"].read()["reading"].values) == list(range(8))


def test_results_container_is_made_below_others(root, settings):
    nested = settings.model_copy(update={"results_path": "beamline/processed"})

    made = results_container(root, nested)

    assert made.path_parts[-2:] == ["beamline", "processed"]
    assert results_container(root, nested).path_parts[-2:] == ["beamline", "processed"]


def test_plain_container_of_runs_still_looks_up_runs(root, settings):
    """A beamline's catalog need not carry our spec."""
    if "plain" not in root:
        root.create_container("plain")

    raw = raw_catalog(root, settings.model_copy(update={"raw_path": "plain"}))

    assert type(raw).__name__ == "CatalogOfBlueskyRuns"
