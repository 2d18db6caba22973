"""How analyses scale over single-threaded Dask workers: ``python -m tests.benchmarks.scale``.

Measured: the same scans, computed through the whole service by one and by two Dask workers, each a process with its own
limit of memory, beside a real Tiled. Printed are analyses per minute, and processor seconds of one analysis in the
worker, in Tiled and in the service: these hardly depend on what else runs on the machine, analyses per minute do.
Scaling is strong where an analysis costs with two workers what it costs with one.

Predicted: a simulation (`tests.benchmarks.cluster_model`) with these times, and the bytes that an analysis moves, says
what more workers reach on a network of 25 Gbit/s, and which part is busy where more of them gain little. The peer is as
many workers that share nothing. Last, the waits behind a flood (`tests.benchmarks.fair_queue`).
"""

import argparse
import asyncio
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import AnyHttpUrl, SecretStr
from tests.benchmarks import fair_queue
from tests.benchmarks.cluster_model import Step, simulate
from tests.benchmarks.executors import RECIPE
from tests.bursts import write_burst
from tests.processes import family
from tests.waiting import until
from tiled.queries import Eq

from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, opened_root, raw_catalog
from twotime.jobs import Service
from twotime.pipeline.capacity import Measurement, ScanSize, Stage
from twotime.settings import Settings

WORKERS = (1, 2)
MORE = (1, 2, 4, 8, 12, 16, 20, 30, 40)
BYTES_PER_S = 25e9 / 8
ENOUGH = 0.8
"""Of what twice as many workers could gain; below it the cluster has broken."""


@dataclass(frozen=True)
class Cost:
    """Analyses per minute and, of one, processor seconds in each process, bytes sent to Tiled, and its size."""

    per_minute: float
    worker_s: float
    tiled_s: float
    service_s: float
    sent_bytes: float
    n_pairs: float
    peak_bytes: int


class Cluster:
    """A Dask scheduler and single-threaded workers, each a process; `limit_gib` of data is what a worker may hold."""

    def __init__(self, folder: Path, n_workers: int, limit_gib: float) -> None:
        self._folder = folder
        self._limit = round(limit_gib * 2**30)
        log = folder / "scheduler.log"
        self._scheduler = self._start(["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"], log)
        self.address = until(lambda: re.search(r"Scheduler at: +(tcp://\S+)", log.read_text()))[1]
        options = ["--nthreads", "1", "--no-dashboard", "--no-nanny", "--memory-limit", "0"]
        command = ["distributed.cli.dask_worker", self.address, *options, "--local-directory", str(folder)]
        self.workers = [self._start(command, folder / f"worker-{k}.log") for k in range(n_workers)]

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()

    def peak_bytes(self) -> int:
        """Largest resident memory that any worker had."""
        return max(_peak_bytes(worker.pid) for worker in self.workers)

    def _start(self, command: list[str], log: Path) -> "subprocess.Popen[bytes]":
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_DATA, (self._limit, self._limit))

        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
        )
        with log.open("w") as out:
            return subprocess.Popen(
                [sys.executable, "-m", *command],
                stdout=out,
                stderr=out,
                env={**os.environ, **threads},
                preexec_fn=limit,
            )


async def measure(settings: Settings, cluster: Cluster, tiled: EmbeddedTiled, uids: list[str]) -> Cost:
    """Compute all runs but two for each worker, which are computed before."""
    service = Service(settings.model_copy(update={"dask_scheduler": cluster.address, "workers": len(cluster.workers)}))
    await service.start()
    try:
        while not service.health().ready or service.health().dask.startswith("0"):
            await asyncio.sleep(0.1)
        warm = len(cluster.workers) * 2
        await all_done(service, uids[:warm])
        pids = {"worker": [one.pid for one in cluster.workers], "tiled": family(tiled.pid or 0)}
        before, began, own = {name: _used_s(some) for name, some in pids.items()}, time.monotonic(), time.process_time()
        await all_done(service, uids[warm:])
        elapsed_s, number = time.monotonic() - began, len(uids) - warm
        used = {name: (_used_s(some) - before[name]) / number for name, some in pids.items()}
        service_s = (time.process_time() - own) / number
        sent, pairs = await asyncio.to_thread(_sent, settings)
        per_minute = 60 * number / elapsed_s
        return Cost(per_minute, used["worker"], used["tiled"], service_s, sent, pairs, cluster.peak_bytes())
    finally:
        await service.stop()


async def all_done(service: Service, uids: list[str]) -> None:
    """Submit the runs and wait until all are done, without a request to Tiled meanwhile."""
    keys = [(await service.unrestricted.submit(uid, RECIPE)).id for uid in uids]
    while service.queue().waiting or service.queue().running:
        await asyncio.sleep(0.05)
    for key in keys:
        while not (record := await service.unrestricted.analysis(key)).ended:
            await asyncio.sleep(0.5)
        assert record.status == "done", record.error


def _sent(settings: Settings) -> tuple[float, float]:
    """Bytes of the arrays of an analysis, as a worker sends them to Tiled, and pairs of frames and ROI that it has."""
    with opened_root(settings) as root:
        analysis = root[settings.results_path].search(Eq("status", "done")).values().first()
        nodes = dict(analysis["final"].items())
        sent = float(sum(getattr(node, "nbytes", 0) or 0 for node in nodes.values()))
        return sent, float(np.prod(nodes["two_time"].shape))


def _used_s(pids: list[int]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def _peak_bytes(pid: int) -> int:
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def steps_of(worker_s: float, tiled_s: float, service_s: float, moved_bytes: float) -> list[Step]:
    """An analysis as the model has it."""
    return [
        Step("service", service_s),
        Step("worker", worker_s),
        Step("network", moved_bytes / BYTES_PER_S),
        Step("Tiled", tiled_s),
    ]


def predict(title: str, steps: list[Step], tiled_cores: int) -> None:
    """Print what more workers reach, and where the cluster breaks."""
    print(f"\n{title}: " + ", ".join(f"{step.resource} {step.seconds:.2f} s" for step in steps))
    print(f"{'workers':>8}{'1/min':>8}{'of ideal':>10}   busy")
    alone, broken = 0.0, None
    for n_workers in MORE:
        found = simulate(steps, n_workers, {"service": 1, "network": 1, "Tiled": tiled_cores})
        alone = alone or found.per_minute
        ideal = found.per_minute / (n_workers * alone)
        busy = ", ".join(f"{name} {share:.0%}" for name, share in found.busy.items())
        print(f"{n_workers:8d}{found.per_minute:8.1f}{ideal:10.2f}   {busy}", flush=True)
        if broken is None and ideal < ENOUGH:
            shared = {name: share for name, share in found.busy.items() if name != "worker"}
            busiest = max(shared, key=shared.__getitem__)
            broken = f"below {ENOUGH} of ideal from {n_workers} workers on, where {busiest} is busy"
    print(f"  {broken or f'holds up to {MORE[-1]} workers'}; Tiled with {tiled_cores} cores")


def measured(folder: Path, n_scans: int, n_frames: int, limit_gib: float) -> dict[int, Cost]:
    """Costs with each number of workers, on scans of bursts."""
    tiled = EmbeddedTiled(folder)
    tiled.start()
    try:
        site = Settings(
            tiled_uri=AnyHttpUrl(tiled.uri),
            tiled_api_key=SecretStr(tiled.api_key),
            var_dir=folder / "service",
            detector_dirs=[tiled.detector_folder],
            automatic=False,
            threads_per_worker=1,
        )
        root = open_root(site)
        raw = raw_catalog(root, site)
        uids = [write_burst(raw, tiled.detector_folder, n_frames + k) for k in range(n_scans + 2 * max(WORKERS))]
        root.context.close()
        costs = {}
        for n_workers in WORKERS:
            place = folder / f"cluster-{n_workers}"
            place.mkdir()
            cluster = Cluster(place, n_workers, limit_gib)
            try:
                own = site.model_copy(update={"results_path": f"scale-{n_workers}"})
                number = n_scans + 2 * n_workers
                costs[n_workers] = asyncio.run(measure(own, cluster, tiled, uids[:number]))
            finally:
                cluster.close()
        return costs
    finally:
        tiled.stop()


def main() -> None:
    """Measure, then predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--limit-gib", type=float, default=3.0, help="of data that a worker may hold")
    parser.add_argument("--tiled-cores", type=int, nargs="*", default=[1, 4], help="of Tiled in the predictions")
    parser.add_argument("--costs", type=Path, help="of `twotime plan-capacity --save`: also predict 4M scans")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        costs = measured(Path(name), given.scans, given.frames, given.limit_gib)
    print(
        f"{given.scans} scans of {given.frames} frames, 8 ROIs; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    print(f"{'workers':>8}{'1/min':>8}{'worker s':>10}{'Tiled s':>9}{'service s':>11}{'sent MB':>9}{'peak MiB':>10}")
    for number, one in costs.items():
        print(
            f"{number:8d}{one.per_minute:8.1f}{one.worker_s:10.2f}{one.tiled_s:9.2f}{one.service_s:11.2f}"
            f"{one.sent_bytes / 1e6:9.1f}{one.peak_bytes / 2**20:10.0f}"
        )
    first, last = costs[WORKERS[0]], costs[WORKERS[-1]]
    print(
        f"processor time of an analysis, one worker / two: {first.worker_s / last.worker_s:.2f} (1: scaling is strong)"
    )
    small = steps_of(last.worker_s, last.tiled_s, last.service_s, last.sent_bytes)
    scans = {"these scans": small}
    if given.costs is not None:
        scans["1000 frames of 4M, 20 ROIs x 5000 pixels"] = large_steps(Measurement.load(given.costs), last)
    for title, steps in scans.items():
        for cores in given.tiled_cores:
            predict(title, steps, cores)
    print()
    fair_queue.report(takes_s=20.0, every_s=300.0)


def large_steps(measurement: Measurement, small: Cost) -> list[Step]:
    """A scan of an Eiger 4M; what does not depend on the size of a scan as it was measured."""
    size = ScanSize(1000, 2167 * 2070, 20, 5000)
    stages: tuple[Stage, ...] = ("reading", "computing", "publishing")
    worker_s = sum(measurement.cost(stage, size) for stage in stages)
    sent = size.n_pairs * small.sent_bytes / small.n_pairs
    moved = measurement.cost("frame bytes", size) + sent
    return steps_of(worker_s, measurement.cost("Tiled", size), small.service_s, moved)


if __name__ == "__main__":
    main()
