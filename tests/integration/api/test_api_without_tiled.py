"""What the service answers while Tiled does not."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import AnyHttpUrl, SecretStr

from twotime.api.server import Server
from twotime.settings import Settings


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    uri = AnyHttpUrl(f"http://127.0.0.1:{port}/api/v1")
    with Server(Settings(tiled_uri=uri, tiled_api_key=SecretStr("none"), port=0, var_dir=tmp_path)) as running:
        yield running


def test_service_lives_is_not_ready_and_says_why(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    ready = httpx.get(f"{server.url}/readyz")
    assert ready.status_code == 503
    tiled = next(check for check in ready.json()["checks"] if check["name"] == "tiled")
    assert not tiled["ok"]
    assert "Tiled" in tiled["detail"]


def test_requests_are_told_to_come_again(server: Server) -> None:
    answer = httpx.post(f"{server.url}/api/v1/analyses", json={"uid": "1"}, headers={"X-API-Key": server.key})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["title"] == "Tiled does not answer"
    assert "Tiled" in answer.json()["detail"]


def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"Cannot listen on 127.0.0.1:{port} .*TWOTIME_PORT"):
            Server(Settings(port=port, var_dir=tmp_path)).start()
