"""Screens of the control system read the newest result: a real caproto server and client on the loopback."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.waiting import until

from twotime.api.server import Server

pytest.importorskip("caproto", reason="EPICS is optional: pip install 'twotime[epics]'")

PREFIX = "TEST:TWOTIME:"
Read = Callable[[str], Any]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channel Access on the loopback only, at a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name in ("EPICS_CA_SERVER_PORT", "EPICS_CAS_SERVER_PORT"):
        monkeypatch.setenv(name, port)
    for name in ("EPICS_CA_ADDR_LIST", "EPICS_CAS_INTF_ADDR_LIST", "EPICS_CAS_BEACON_ADDR_LIST"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name in ("EPICS_CA_AUTO_ADDR_LIST", "EPICS_CAS_AUTO_BEACON_ADDR_LIST"):
        monkeypatch.setenv(name, "NO")


@pytest.fixture
def read() -> Read:
    """Value and alarm of a process variable, as `caget` reads it."""
    from caproto.sync.client import read as get

    def _read(name: str) -> Any:
        return get(PREFIX + name, data_type="time", timeout=2, repeater=False)

    return _read


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str, str], Path]]:
    """Start `twotime epics` for a service and a key; returns the file of what it prints."""
    running = []

    def _start(url: str, key: str) -> Path:
        out = tmp_path / "printed"
        command = [Path(sys.executable).parent / "twotime", "epics", "--prefix", PREFIX, "--url", url, "--every", "0.2"]
        with out.open("wb") as printed:
            running.append(
                subprocess.Popen(
                    command, env=os.environ | {"TWOTIME_API_KEY": key}, stdout=printed, stderr=subprocess.STDOUT
                )
            )
        return out

    yield _start
    for process in running:
        process.terminate()
        process.wait(20)


def _status(read: Read) -> str:
    from caproto import CaprotoTimeoutError

    try:
        return bytes(read("STATUS").data).decode()
    except CaprotoTimeoutError:
        return ""


def test_screens_read_the_newest_result(
    client: httpx.Client, server: Server, done: dict[str, Any], start: Callable[[str, str], Path], read: Read
) -> None:
    assert done["status"] == "done"
    latest = client.get("/latest").json()

    printed = start(server.url, server.key)
    until(lambda: _status(read) == "ok", printed.read_text)

    for name, key in (("Q", "q"), ("GAMMA", "relaxation_rate"), ("GAMMA_ERR", "relaxation_rate_error")):
        np.testing.assert_allclose(read(name).data, np.array(latest[key], float))
    assert read("TRUSTED").data.tolist() == [int(one) for one in latest["trusted"]]
    for name, key in (("D", "diffusion"), ("D_ERR", "diffusion_error")):
        np.testing.assert_allclose(read(name).data, [np.nan if latest[key] is None else latest[key]])
    assert read("SCAN").data.tolist() == [latest["scan_id"]]
    assert bytes(read("SAMPLE").data).decode() == latest["sample"]
    assert read("TIME").data[0] == pytest.approx(latest["finished_time"])
    assert f"{PREFIX}STATUS ok" in printed.read_text()


def test_clients_cannot_write(
    server: Server, done: dict[str, Any], start: Callable[[str, str], Path], read: Read
) -> None:
    from caproto import ErrorResponseReceived
    from caproto.sync.client import write

    printed = start(server.url, server.key)
    until(lambda: _status(read) == "ok", printed.read_text)

    with pytest.raises(ErrorResponseReceived):
        write(f"{PREFIX}SCAN", 99, notify=True, timeout=2, repeater=False)
    assert read("SCAN").data.tolist() != [99]
    assert done["status"] == "done"


def test_service_that_is_away_is_an_alarm(start: Callable[[str, str], Path], read: Read) -> None:
    from caproto import AlarmSeverity

    printed = start("http://127.0.0.1:9", "a key that nobody asks for")

    until(lambda: "does not answer" in _status(read), printed.read_text)
    assert read("STATUS").metadata.severity == AlarmSeverity.MAJOR_ALARM


def test_without_caproto_the_command_says_how_to_get_it() -> None:
    without = "import sys; sys.modules['caproto'] = None; from twotime.cli import app; app(['epics'])"

    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "pip install 'twotime[epics]'" in done.stderr
    assert "Traceback" not in done.stderr
