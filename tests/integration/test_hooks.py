"""Finished runs that a webhook of a real Tiled server tells the running service."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tiled.catalog  # noqa: F401  # Before its webhooks, which import it back.
from pydantic import AnyHttpUrl, SecretStr
from tests.waiting import until
from tests.writing import GEOMETRY
from tiled.server.webhooks import _sign as tiled_signs

from twotime.api.server import Server
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root
from twotime.settings import Settings
from twotime.simulate import write_run

SECRET = "signed-with-this-one"


@pytest.fixture(scope="module")
def tiled_with_hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTiled]:
    """A server that may deliver over plain HTTP on this machine."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TILED_WEBHOOKS_SECRET_KEYS", json.dumps([uuid.uuid4().hex]))
        environment.setenv("TILED_WEBHOOKS_ALLOW_HTTP", "true")
        environment.setenv("TILED_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", "true")
        server = EmbeddedTiled(tmp_path_factory.mktemp("tiled"))
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(tiled_with_hooks: EmbeddedTiled, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        tiled_uri=AnyHttpUrl(tiled_with_hooks.uri),
        tiled_api_key=SecretStr(tiled_with_hooks.api_key),
        var_dir=tmp_path_factory.mktemp("service"),
        detector_dirs=[tiled_with_hooks.detector_folder],
        port=0,
        catch_up_s=0,
        live=False,
        threads_per_worker=1,
        webhook_secret=SecretStr(SECRET),
    )


@pytest.fixture(scope="module")
def raw(site: Settings) -> Iterator[Any]:
    root = open_root(site)
    yield root["raw"]
    root.context.close()


@pytest.fixture(scope="module")
def old_run(raw: Any, tiled_with_hooks: EmbeddedTiled) -> str:
    """A run that ended an hour ago, which a service that does not catch up never asks for."""
    uid = write(raw, tiled_with_hooks.detector_folder, scan_id=1)
    stop = dict(raw[uid].metadata["stop"]) | {"time": time.time() - 3600}
    raw[uid].update_metadata({"stop": stop})
    return uid


@pytest.fixture(scope="module")
def server(site: Settings, old_run: str) -> Iterator[Server]:
    assert old_run
    with Server(site) as running:
        until(lambda: "watching" in httpx.get(f"{running.url}/readyz").text)
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-API-Key": server.key}, timeout=30) as one:
        yield one


@pytest.fixture
def deliver(server: Server) -> Callable[..., httpx.Response]:
    """Send what Tiled would send, with its own signature or another one."""

    def _deliver(event: Any, **headers: str) -> httpx.Response:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signed = {"X-Tiled-Signature": tiled_signs(body, SECRET)} | headers
        shown = {name: value.encode() for name, value in signed.items() if value}
        return httpx.post(f"{server.url}/api/v1/hooks/tiled", content=body, headers=shown)

    return _deliver


def write(raw: Any, folder: Path, scan_id: int) -> str:
    frames = np.random.default_rng(scan_id).poisson(2.0, (40, 48, 56)).astype(np.uint16)
    return str(write_run(raw, frames, GEOMETRY, folder / str(scan_id), scan_id=scan_id, shape_style="frames"))


def delivery(uid: str) -> dict[str, Any]:
    metadata = {"start": {"uid": uid}, "stop": {"exit_status": "success"}}
    return {"type": "container-child-metadata-updated", "key": uid, "path": ["raw", uid], "metadata": metadata}


def analyses(client: httpx.Client, uid: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/analyses", params={"raw_uid": uid}).json()["analyses"]
    return found


@pytest.mark.parametrize("signature", ["", "sha256=00", tiled_signs(b"{}", SECRET), "ü"])
def test_delivery_without_the_right_signature_is_refused_and_has_no_effect(
    deliver: Callable[..., httpx.Response], client: httpx.Client, old_run: str, signature: str
) -> None:
    answer = deliver(delivery(old_run), **{"X-Tiled-Signature": signature})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "X-Tiled-Signature" in answer.json()["detail"]
    assert analyses(client, old_run) == []


def test_delivery_signed_with_another_secret_is_refused(deliver: Callable[..., httpx.Response], old_run: str) -> None:
    body = json.dumps(delivery(old_run)).encode()

    assert deliver(body, **{"X-Tiled-Signature": tiled_signs(body, "another-secret")}).status_code == 401


def test_signature_opens_nothing_else(server: Server) -> None:
    headers = {"X-Tiled-Signature": tiled_signs(b"", SECRET)}

    assert httpx.get(f"{server.url}/api/v1/hooks/tiled", headers=headers).status_code == 401
    assert httpx.post(f"{server.url}/api/v1/analyses", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "event",
    [
        {"type": "container-child-created", "metadata": {"start": {"uid": "x"}}},
        {"type": "container-child-metadata-updated", "metadata": {"start": {"uid": "x"}}},
        {"type": "container-child-metadata-updated", "metadata": {"start": [], "stop": 1}},
        delivery(str(uuid.uuid4())),
        [],
    ],
    ids=["created", "goes on", "no run", "not in this catalog", "no event"],
)
def test_delivery_that_names_no_finished_run_has_no_effect(deliver: Callable[..., httpx.Response], event: Any) -> None:
    assert deliver(event).status_code == 204


def test_delivery_that_is_no_json_is_refused(deliver: Callable[..., httpx.Response]) -> None:
    answer = deliver(b"{")

    assert answer.status_code == 400
    assert "JSON" in answer.json()["detail"]


def test_run_that_a_delivery_names_is_analysed_once_however_often_it_comes(
    deliver: Callable[..., httpx.Response], client: httpx.Client, old_run: str
) -> None:
    assert analyses(client, old_run) == []

    answers = {deliver(delivery(old_run)).status_code for _ in range(3)}

    assert answers == {204}
    (analysis,) = analyses(client, old_run)
    assert analysis["automatic"]
    assert analysis["attempt"] == 1


def test_tiled_delivers_a_run_that_ends(
    server: Server, client: httpx.Client, raw: Any, tiled_with_hooks: EmbeddedTiled
) -> None:
    hook = {"url": f"{server.url}/api/v1/hooks/tiled", "secret": SECRET, "events": ["container-child-metadata-updated"]}
    with httpx.Client(
        base_url=tiled_with_hooks.uri, headers={"Authorization": f"Apikey {tiled_with_hooks.api_key}"}
    ) as asked:
        registered = asked.post("/webhooks/target/raw", json=hook)
        assert registered.status_code == 200, registered.text
        uid = write(raw, tiled_with_hooks.detector_folder, scan_id=2)

        def deliveries() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = asked.get(f"/webhooks/history/{registered.json()['id']}").json()
            return found if found and all(one["outcome"] != "pending" for one in found) else []

        assert {(one["outcome"], one["status_code"]) for one in until(deliveries)} == {("success", 204)}
    until(lambda: analyses(client, uid))
    assert len(analyses(client, uid)) == 1


def test_without_a_secret_no_delivery_is_taken(site: Settings) -> None:
    with Server(site.model_copy(update={"webhook_secret": None, "automatic": False})) as server:
        until(lambda: "reachable" in httpx.get(f"{server.url}/readyz").text)
        body = json.dumps(delivery("x")).encode()
        answer = httpx.post(
            f"{server.url}/api/v1/hooks/tiled", content=body, headers={"X-Tiled-Signature": tiled_signs(body, "")}
        )

    assert answer.status_code == 404
    assert "TWOTIME_WEBHOOK_SECRET is not set" in answer.json()["detail"]
