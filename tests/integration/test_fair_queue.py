"""A flood of requests of one proposal beside one request and one live scan of others, on two real services."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.bursts import GEOMETRY, ended, write_burst
from tests.waiting import Loop, until
from tests.writing import FRAMES
from tests.writing import GEOMETRY as LIVE_GEOMETRY

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.server.tiled_client import RUNS_SPEC, open_root, results_container
from twotime.jobs import Service
from twotime.pipeline import kind_versions, plan_of
from twotime.recipe import digest, parse_recipe
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, write_scan
from twotime.weights import Models

pytestmark = pytest.mark.long

N_FLOOD = 500
RECIPE = {
    "geometry": GEOMETRY,
    "rois": [{"unit": "pixel", "inner_radius": 6, "width": 8, "num_rings": 2}],
    "denoise": {"enabled": False},
    "fit": {"ages": 0},
}
LIVE_RECIPE = {"rois": [{"unit": "pixel", "edges": [[30, 40], [45, 55]]}], "fit": {"ages": 0}}
SERVE = """
import asyncio
from twotime.jobs import Service
from twotime.settings import load_settings

async def serve():
    service = Service(load_settings())
    await service.start()
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(serve())
"""


@pytest.fixture(scope="module")
def site(settings: Settings, root: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of services with runs and results of their own."""
    name = uuid.uuid4().hex[:6]
    root.create_container(f"raw-{name}", specs=[RUNS_SPEC])
    folder = tmp_path_factory.mktemp("fair")
    (folder / "recipe.yml").write_text(str(LIVE_RECIPE))
    changes = {"raw_path": f"raw-{name}", "results_path": f"fair-{name}", "var_dir": folder, "threads_per_worker": 1}
    return settings.model_copy(update={**changes, "recipe_file": folder / "recipe.yml"})


@pytest.fixture(scope="module")
def store(site: Settings, root: Any) -> AnalysisStore:
    return AnalysisStore(results_container(root, site))


@pytest.fixture(scope="module", autouse=True)
def _flood(site: Settings, root: Any, store: AnalysisStore, detector_folder: Any) -> None:
    """Many analyses of one proposal that wait, each with a recipe of its own."""
    runs = root[site.raw_path]
    uid = write_burst(runs, detector_folder, beamline_id="CHX", data_session="pass-1")
    facts, versions = run_facts(find_run(runs, uid)), kind_versions("xpcs", Models(None, None))

    for number in range(N_FLOOD):
        recipe = parse_recipe({**RECIPE, "min_pixels": number + 1})
        resolved = plan_of(facts, recipe, None, budget_bytes=2**30).resolved
        key = digest(uid, resolved, versions)
        store.request(facts, resolved, key, versions, asked=recipe, share=("CHX", "pass-1"))


@pytest.fixture(scope="module")
def other_service(site: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Process id of a second service on the same catalog, in a process of its own, with one worker."""
    script = tmp_path_factory.mktemp("other") / "serve.py"
    script.write_text(SERVE)
    key = site.tiled_api_key
    assert key is not None
    environment = {
        "TWOTIME_TILED_URI": str(site.tiled_uri),
        "TWOTIME_TILED_API_KEY": key.get_secret_value(),
        "TWOTIME_RAW_PATH": site.raw_path,
        "TWOTIME_RESULTS_PATH": site.results_path,
        "TWOTIME_VAR_DIR": str(site.var_dir / "other"),
        "TWOTIME_AUTOMATIC": "false",
        "TWOTIME_THREADS_PER_WORKER": "1",
    }
    process = subprocess.Popen([sys.executable, str(script)], env={**os.environ, **environment})
    yield process.pid
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def service(site: Settings, call: Loop) -> Iterator[Service]:
    service = Service(site)
    call(service.start())
    until(lambda: service.health().ready)
    yield service
    call(service.stop())


@pytest.fixture
def n_done(store: AnalysisStore) -> Callable[[], int]:
    """Counts the analyses that both services have finished."""
    return lambda: store.search(status="done", limit=1)[1]


@pytest.mark.usefixtures("other_service")
def test_request_of_another_proposal_passes_the_flood(
    service: Service, site: Settings, root: Any, call: Loop, detector_folder: Any, n_done: Callable[[], int]
) -> None:
    until(lambda: len(service.queue().waiting) > N_FLOOD - 20)
    until(lambda: n_done() >= 4)
    uid = write_burst(root[site.raw_path], detector_folder, beamline_id="CHX", data_session="pass-2")

    record = call(service.unrestricted.submit(uid, RECIPE))
    before, queue = n_done(), service.queue()
    assert queue.waiting.index(record.id) <= 1
    assert queue.expected_starts_s[queue.waiting.index(record.id)] is not None
    ended(service, call, record.id)

    # Each of the two workers may have had one in hand, and the flood its fair half after that.
    assert n_done() - before <= 6


@pytest.mark.usefixtures("other_service")
def test_scan_of_another_instrument_is_followed_and_analysed_beside_the_flood(
    service: Service, site: Settings, call: Loop, detector_folder: Any, n_done: Callable[[], int]
) -> None:
    scan = Scan("camera", layout="frames", frame_rate=20.0, metadata={"beamline_id": "SMI", "data_session": "pass-3"})
    client = open_root(site)
    written: list[str] = []

    def write() -> None:
        written.append(write_scan(client[site.raw_path], FRAMES, LIVE_GEOMETRY, detector_folder / "fair", scan))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        shown = until(lambda: [one for one in call(service.unrestricted.live_scans()) if one.metadata.get("n_shown")])
        assert shown[0].metadata["state"] == "running"
        assert shown[0].metadata["n_shown"] < len(FRAMES)
    finally:
        writing.join()
        client.context.close()
    uid = written[0]
    record = until(lambda: call(service.unrestricted.analyses(raw_uid=uid))[0])[0]
    before = n_done()
    assert record.priority == "new"
    ended(service, call, record.id)

    assert n_done() - before <= 6
    assert len(service.queue().waiting) > N_FLOOD / 2


@pytest.mark.usefixtures("other_service")
def test_both_services_compute_and_neither_shows_what_the_other_has_done(
    service: Service, store: AnalysisStore
) -> None:
    done = store.search(status="done", limit=N_FLOOD)[0]
    assert len({record.owner for record in done}) == 2

    ids = {record.id for record in done}
    until(lambda: not ids & {*service.queue().waiting})
