"""The stack of docker-compose.yml with a real PostgreSQL and Redis: scans go through, and deaths are survived."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from tests.waiting import until
from tests.writing import GEOMETRY

from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames, write_run

# The first test may have to install PostgreSQL and Redis.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
N_FRAMES = 120


@pytest.fixture(scope="module")
def client(stack) -> Iterator[httpx.Client]:
    """A client of twotime that shows the key."""
    with httpx.Client(base_url=stack.url, headers={"X-API-Key": stack.env["TWOTIME_API_KEY"]}, timeout=30) as one:
        yield one


@pytest.fixture(scope="module")
def write(stack) -> Callable[[int], str]:
    """Write a simulated scan as a beamline does, and return its uid."""

    def _write(scan_id: int) -> str:
        model = SpeckleModel((48, 56), GEOMETRY, diffusion=1e6, contrast=0.3, mean_counts=5.0, seed=scan_id)
        settings = Settings(
            tiled_uri=f"http://127.0.0.1:{stack.ports['tiled']}", tiled_api_key=stack.env["TWOTIME_TILED_API_KEY"]
        )
        with opened_root(settings) as root:
            raw = raw_catalog(root, settings)
            folder = stack.detector_folder / str(scan_id)
            return write_run(raw, simulate_frames(model, N_FRAMES), GEOMETRY, folder, scan_id=scan_id)

    return _write


@pytest.fixture(scope="module")
def analysed(client: httpx.Client, stack) -> Callable[[str], dict[str, Any]]:
    """Wait until the service has analysed a run by itself, and return the result."""

    def _analysed(uid: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            answer = client.get("/api/v1/analyses", params={"raw_uid": uid})
            listed = answer.json()["analyses"] if answer.is_success else []
            assert [one["error"] for one in listed if one["status"] in ("failed", "cancelled")] == []
            return next((one for one in listed if one["status"] == "done"), None)

        analysis = until(found, lambda: f"{uid} has no finished analysis\n{stack.log('twotime')}", 90.0)
        result: dict[str, Any] = client.get(f"/api/v1/analyses/{analysis['id']}/result").raise_for_status().json()
        return result

    return _analysed


@pytest.fixture(scope="module")
def ended(client: httpx.Client, stack) -> Callable[[str, int], str]:
    """Wait until so many attempts at an analysis have ended, and return its status."""

    def _ended(analysis_id: str, attempt: int) -> str:
        def status() -> str | None:
            answer = client.get(f"/api/v1/analyses/{analysis_id}")
            one = answer.json() if answer.is_success else {"status": "unknown", "attempt": 0}
            return one["status"] if one["attempt"] >= attempt and one["status"] in ("done", "failed") else None

        told: str = until(status, lambda: f"{analysis_id} has not ended\n{stack.log('twotime')}", 90.0)
        return told

    return _ended


@pytest.fixture(scope="module")
def checks(stack) -> Callable[[], dict[str, str]]:
    """What the service finds wanting, by name."""

    def _checks() -> dict[str, str]:
        listed = httpx.get(f"{stack.url}/readyz").json()["checks"]
        return {check["name"]: check["detail"] for check in listed if not check["ok"]}

    return _checks


@pytest.fixture(scope="module")
def ready(stack) -> Callable[[], None]:
    """Wait until the service says that all is well."""

    def _ready() -> None:
        until(
            lambda: httpx.get(f"{stack.url}/readyz").status_code == 200, lambda: httpx.get(f"{stack.url}/readyz").text
        )

    return _ready


@pytest.fixture(scope="module")
def known(write, analysed, ready) -> dict[str, Any]:
    """The result of a scan that was written while all was well."""
    ready()
    return analysed(write(1))


def rates(result: dict[str, Any]) -> np.ndarray:
    """(R, 2) array, 1/s: fitted rate and error of each ROI, of the fit that leads."""
    fits = [roi[roi["headline"]]["relaxation_rate"] for roi in result["rois"]]
    return np.array([[fit["value"], fit["error"]] for fit in fits], float)


def test_every_health_check_succeeds(stack) -> None:
    assert {name: stack.is_healthy(name) for name in stack.ports} == dict.fromkeys(stack.ports, True)


def test_databases_of_tiled_are_made_by_the_script_of_the_image(stack) -> None:
    listed = stack.ask_database("SELECT datname FROM pg_database")

    assert {"tiled_catalog", "tiled_tables"} <= set(listed.split())


def test_every_service_asks_for_its_secret(stack) -> None:
    tiled = httpx.get(f"http://127.0.0.1:{stack.ports['tiled']}/api/v1/metadata/")
    twotime = httpx.get(f"{stack.url}/api/v1/analyses")
    redis = stack.run("redis", "redis-cli ping", REDISCLI_AUTH="")
    postgres = stack.run("postgres", "psql --host 127.0.0.1 --username tiled --no-password postgres --command ''")

    assert (tiled.status_code, twotime.status_code) == (401, 401)
    assert "NOAUTH" in redis.stdout
    assert "password" in postgres.stderr


def test_keys_that_were_set_are_not_in_the_log_of_the_service(stack, ready) -> None:
    ready()

    log = (stack.folder / "twotime.log").read_text()

    assert "tiled_reachable" in log
    assert [name for name, value in stack.env.items() if name != "DETECTOR_DIR" and value in log] == []


def test_prometheus_may_read_the_numbers_with_what_it_is_told_to_show(stack) -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

    shown = {"Authorization": f"{job['authorization']['type']} {stack.env['TWOTIME_API_KEY']}"}

    assert "twotime_queue_length" in httpx.get(stack.url + job["metrics_path"], headers=shown).raise_for_status().text


def test_scan_through_the_whole_stack_is_analysed(known) -> None:
    assert known["n_frames"] == N_FRAMES
    assert len(rates(known)) > 3
    assert np.isfinite(rates(known)).all()
    assert (rates(known) > 0).all()


def test_service_says_that_the_cache_of_tiled_is_away_and_goes_on(stack, client, known, ended, ready, checks):
    again = {"uid": known["raw_uid"], "force": True}

    stack.kill("redis")
    until(checks, lambda: "the service is content without the cache of Tiled")
    refused = client.post("/api/v1/analyses", json=again)
    stack.start("redis")
    ready()
    client.post("/api/v1/analyses", json=again).raise_for_status()

    assert (refused.status_code, refused.json()["title"]) == (503, "Tiled does not answer")
    assert "its cache may be away" in refused.json()["detail"]
    assert ended(known["id"], 2) == "done"


def test_scan_after_a_killed_tiled_is_analysed(stack, client, write, analysed, ready, checks) -> None:
    ready()

    stack.kill("tiled")
    until(lambda: "does not answer" in checks().get("tiled", ""), lambda: str(checks()))
    answer = client.get("/api/v1/analyses")
    stack.start("tiled")

    assert (answer.status_code, answer.json()["title"]) == (503, "Tiled does not answer")
    ready()
    assert np.isfinite(rates(analysed(write(3)))).all()


def test_scan_after_postgresql_was_away_is_analysed(stack, client, write, analysed, ready, checks) -> None:
    ready()

    stack.kill("postgres", signal.SIGINT)
    until(lambda: "its database" in checks().get("tiled", ""), lambda: str(checks()))
    answer = client.get("/api/v1/analyses")
    stack.start("postgres")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    ready()
    assert np.isfinite(rates(analysed(write(4)))).all()
