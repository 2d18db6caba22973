"""Analyses on a Dask cluster of real processes: the same numbers, nothing lost with a worker or a scheduler."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from distributed import Client
from tests.bursts import GEOMETRY, computing, ended, write_burst
from tests.waiting import Loop, until

from twotime.catalog.results.read import read_analysis
from twotime.jobs import Service
from twotime.settings import Settings

pytestmark = pytest.mark.long

QUICK = {
    "geometry": GEOMETRY,
    "rois": [{"unit": "pixel", "inner_radius": 6, "width": 8, "num_rings": 2}],
    "fit": {"ages": 0},
}
SLOW = {
    "geometry": GEOMETRY,
    "rois": [{"unit": "pixel", "inner_radius": 4, "width": 4, "num_rings": 8}],
    "denoise": {"enabled": False},
    "fit": {"ages": 8},
}
Found = TypeVar("Found")


class Cluster:
    """A scheduler and three workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        host, port = self.address.removeprefix("tcp://").split(":") if self.address else ("127.0.0.1", "0")
        log = self.folder / "scheduler.log"
        log.write_text("")
        options = ["--host", host, "--port", port, "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = _process(["distributed.cli.dask_scheduler", *options], log)
        self.address = until(lambda: _address_in(log.read_text()))

    def start_worker(self) -> None:
        options = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--memory-limit", "0"]
        command = ["distributed.cli.dask_worker", self.address, *options, "--local-directory", str(self.folder)]
        self.workers.append(_process(command, self.folder / f"worker-{len(self.workers)}.log"))

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        made.start_scheduler()
        for _ in range(3):
            made.start_worker()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def site(settings: Settings) -> Settings:
    """A service that shares Tiled with other tests but not the results."""
    changes = {"results_path": f"dask-{uuid.uuid4().hex[:6]}", "automatic": False, "threads_per_worker": 1}
    return settings.model_copy(update=changes)


@pytest.fixture(scope="module")
def service(site: Settings, cluster: Cluster, call: Loop) -> Iterator[Service]:
    service = Service(site.model_copy(update={"dask_scheduler": cluster.address, "workers": 3}))
    call(service.start())
    until(lambda: service.health().dask.startswith("3 workers at tcp://"))
    yield service
    call(service.stop())


def test_results_of_a_cluster_equal_those_of_a_worker_process(
    service: Service, site: Settings, cluster: Cluster, call: Loop, raw: Any, detector_folder: Path
) -> None:
    uid = write_burst(raw, detector_folder, 120)
    record = call(service.unrestricted.submit(uid, QUICK))
    local = Service(site.model_copy(update={"results_path": f"dask-{uuid.uuid4().hex[:6]}"}))
    call(local.start())
    try:
        until(lambda: local.health().ready)
        assert call(local.unrestricted.submit(uid, QUICK)).id == record.id
        ended(local, call, record.id)
        assert ended(service, call, record.id).attempt == 1
        with Client(cluster.address, set_as_default=False) as client:
            profiled = client.run(lambda dask_worker: dask_worker.periodic_callbacks["profile"].is_running())
        assert sorted(profiled.values()) == [False, True, True]

        there, here = (read_analysis(one._tiled.store, record.id) for one in (service, local))
        for name, array in here.arrays.items():
            np.testing.assert_array_equal(there.arrays[name], array, err_msg=name)
        for name, table in here.tables.items():
            assert there.tables[name].equals(table), name
        assert here.arrays
        assert here.tables
    finally:
        call(local.stop())


def test_worker_killed_midway_costs_nothing(
    service: Service, cluster: Cluster, call: Loop, raw: Any, detector_folder: Path
) -> None:
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, 700), SLOW))
    computing(service, call, record.id)
    with Client(cluster.address, set_as_default=False) as client:
        (address,) = [worker for worker, tasks in client.processing().items() if tasks]
        pid = client.run(os.getpid, workers=[address])[address]

    os.kill(pid, signal.SIGKILL)

    assert ended(service, call, record.id).attempt == 1
    cluster.start_worker()
    until(lambda: service.health().dask.startswith("3 workers"))


def test_running_analysis_stops_when_it_is_cancelled(
    service: Service, call: Loop, raw: Any, detector_folder: Path
) -> None:
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, 701), SLOW))
    computing(service, call, record.id)

    call(service.unrestricted.cancel(record.id))

    assert "on request" in (ended(service, call, record.id, "cancelled", 20).error or "")
    assert "final" not in raw.parent[service.settings.results_path][record.id]


def test_service_that_stops_hands_back_what_the_cluster_computes(
    service: Service, cluster: Cluster, call: Loop, raw: Any, detector_folder: Path
) -> None:
    path = f"dask-{uuid.uuid4().hex[:6]}"
    first = Service(service.settings.model_copy(update={"results_path": path}))
    call(first.start())
    until(lambda: first.health().ready)
    record = call(first.unrestricted.submit(write_burst(raw, detector_folder, 702), SLOW))
    computing(first, call, record.id)

    call(first.stop())
    with Client(cluster.address, set_as_default=False) as client:
        assert not any(client.processing().values())

    second = Service(service.settings.model_copy(update={"results_path": path}))
    call(second.start())
    try:
        until(lambda: second.health().ready)
        again = ended(second, call, record.id)
        assert (again.attempt, again.first_attempt) == (2, 2)
    finally:
        call(second.stop())


def test_scheduler_that_goes_away_is_said_and_waited_for(
    service: Service, cluster: Cluster, call: Loop, raw: Any, detector_folder: Path
) -> None:
    record = call(service.unrestricted.submit(write_burst(raw, detector_folder, 703), SLOW))
    computing(service, call, record.id)
    assert cluster.scheduler is not None
    cluster.scheduler.kill()
    cluster.scheduler.wait()

    until(lambda: not service.health().ready)
    assert "does not answer" in service.health().dask
    assert service.health().workers == (0, 3)
    waiting = call(service.unrestricted.submit(write_burst(raw, detector_folder, 60), QUICK))
    cluster.start_scheduler()
    for _ in range(3):
        cluster.start_worker()

    until(lambda: service.health().ready)
    ended(service, call, waiting.id)
    again = ended(service, call, record.id)
    assert again.attempt - again.first_attempt == 0


def test_cluster_of_this_machine_is_started_and_ended_with_the_service(
    site: Settings, call: Loop, raw: Any, detector_folder: Path
) -> None:
    changes = {"results_path": f"dask-{uuid.uuid4().hex[:6]}", "dask_scheduler": "local"}
    service = Service(site.model_copy(update=changes))
    call(service.start())
    try:
        until(lambda: service.health().ready)
        record = call(service.unrestricted.submit(write_burst(raw, detector_folder, 60), QUICK))
        assert ended(service, call, record.id).attempt == 1
    finally:
        call(service.stop())


def _process(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _address_in(log: str) -> str | None:
    lines = [line for line in log.splitlines() if "Scheduler at:" in line]
    return lines[-1].split()[-1] if lines else None
