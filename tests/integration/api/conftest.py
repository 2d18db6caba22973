"""The service on a real Tiled server, asked over real HTTP, and runs of every kind to ask it about."""

import io
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from tests.waiting import until
from tests.writing import GEOMETRY

from twotime.api.security.keys import SCOPES, add_key
from twotime.api.server import Server
from twotime.logs import configure_logs
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames, write_run
from twotime.simulate.beamline import ExitStatus

SHAPE = (48, 56)
RINGS = {"unit": "pixel", "edges": [[30, 40], [45, 55]]}
RECIPE = {"rois": [RINGS], "masks": {"from_data": False}, "fit": {"ages": 2}}


@pytest.fixture(scope="session")
def write(raw: Any, detector_folder: Path) -> Callable[..., str]:
    """Write a run of so many simulated frames, all zero if `dark`; returns its uid."""

    def _write(
        n_frames: int,
        *,
        exit_status: ExitStatus | None = "success",
        sample: str = "colloid",
        scan_id: int = 1,
        dark: bool = False,
    ) -> str:
        model = SpeckleModel(SHAPE, GEOMETRY, diffusion=3e6, contrast=0.3, mean_counts=2.0, seed=scan_id)
        frames = simulate_frames(model, n_frames) * (0 if dark else 1)
        folder = detector_folder / f"api_{scan_id}"
        return write_run(
            raw, frames, GEOMETRY, folder, sample=sample, scan_id=scan_id, shape_style="frames", exit_status=exit_status
        )

    return _write


@pytest.fixture(scope="session")
def write_documents(raw: Any) -> Callable[..., str]:
    """Write a run that holds no frames: without a detector, or with one that was announced; returns its uid."""

    def _write(*, scan_id: int, detector: bool = False) -> str:
        writer = TiledWriter(raw, batch_size=1)
        run = compose_run(metadata={"scan_id": scan_id, "sample": "none", "plan_name": "count"})
        writer("start", run.start_doc)
        keys: dict[str, Any] = {"i0": {"source": "simulated", "dtype": "number", "shape": []}}
        if detector:
            image = {"source": "simulated", "dtype": "array", "shape": [1, *SHAPE], "external": "STREAM:"}
            keys["eiger4m_single_image"] = image | {"dtype_numpy": "<u2"}
        stream = run.compose_descriptor(name="primary", data_keys=keys)
        writer("descriptor", stream.descriptor_doc)
        writer("event", stream.compose_event(data={"i0": 1.0}, timestamps={"i0": time.time()}))
        writer("stop", run.compose_stop())
        return str(run.start_doc["uid"])

    return _write


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the digests of `keys` are."""
    return tmp_path_factory.mktemp("keys") / "keys.yml"


@pytest.fixture(scope="session")
def keys(keys_file: Path) -> dict[str, str]:
    """Keys with one scope each, by that scope."""
    return {scope: add_key(keys_file, f"for-{scope}", [scope]) for scope in SCOPES}


@pytest.fixture(scope="session")
def server(
    settings: Settings, keys_file: Path, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The service in a thread, at a free port, without the automatic mode."""
    assert keys
    own = settings.model_copy(
        update={
            "port": 0,
            "results_path": "processed_api",
            "automatic": False,
            "var_dir": tmp_path_factory.mktemp("service"),
            "threads_per_worker": 1,
            "keys_file": keys_file,
            "trusted_proxies": ["127.0.0.1"],
        }
    )
    with Server(own) as running:
        with httpx.Client(base_url=running.url) as client:
            until(lambda: client.get("/readyz").status_code == 200, lambda: client.get("/readyz").text)
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    """A client that shows the key."""
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"X-API-Key": server.key}, timeout=30) as one:
        yield one


@pytest.fixture
def stranger(server: Server) -> Iterator[httpx.Client]:
    """A client without a key, at an address of its own, as a proxy on this machine would tell it."""
    address = f"2001:db8::{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"
    with httpx.Client(base_url=server.url, headers={"X-Forwarded-For": address}) as one:
        yield one


@pytest.fixture(scope="session")
def run_uid(write: Callable[..., str]) -> str:
    """A finished run of 120 frames."""
    return write(120, scan_id=501, sample="colloid in water")


@pytest.fixture(scope="session")
def ended(client: httpx.Client) -> Callable[[str], dict[str, Any]]:
    """Wait until an analysis has ended; returns it."""

    def state(analysis_id: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/analyses/{analysis_id}").json()
        return found

    def _ended(analysis_id: str) -> dict[str, Any]:
        over = ("done", "failed", "cancelled")
        until(lambda: state(analysis_id)["status"] in over, lambda: str(state(analysis_id)))
        return state(analysis_id)

    return _ended


@pytest.fixture(scope="session")
def done(client: httpx.Client, run_uid: str, ended: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Its analysis, computed by the service."""
    answer = client.post("/analyses", json={"uid": run_uid, "recipe": RECIPE})
    assert answer.status_code in (200, 202), answer.text
    return ended(answer.json()["id"])


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """All that is logged, of whatever severity."""
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    configure_logs(level="DEBUG", stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)
