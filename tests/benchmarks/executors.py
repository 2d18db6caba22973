"""Analyses per minute by one and by two workers: ``python -m tests.benchmarks.executors``.

The same scans, one service after the other in one run: worker processes of the service, and workers of a Dask cluster
on this machine. Each service computes a scan before the clock starts. The peer of two workers is one.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from pydantic import AnyHttpUrl, SecretStr
from tests.bursts import GEOMETRY, write_burst

from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog
from twotime.jobs import Service
from twotime.settings import Settings

RECIPE = {
    "geometry": GEOMETRY,
    "rois": [{"unit": "pixel", "inner_radius": 4, "width": 4, "num_rings": 8}],
    "fit": {"ages": 8},
}


async def measure(settings: Settings, uids: list[str]) -> float:
    """Seconds that a service takes for all runs but the first, which is computed before."""
    service = Service(settings)
    await service.start()
    try:
        while not service.health().ready:
            await asyncio.sleep(0.1)
        await all_done(service, uids[:1])
        began = time.monotonic()
        await all_done(service, uids[1:])
        return time.monotonic() - began
    finally:
        await service.stop()


async def all_done(service: Service, uids: list[str]) -> None:
    """Submit the runs and wait until each is done."""
    waiting = {(await service.unrestricted.submit(uid, RECIPE)).id for uid in uids}
    while waiting:
        await asyncio.sleep(0.2)
        for key in tuple(waiting):
            record = await service.unrestricted.analysis(key)
            if record.ended:
                assert record.status == "done", record.error
                waiting.discard(key)


def main() -> None:
    """Measure each executor with one and with two workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=12)
    parser.add_argument("--frames", type=int, default=600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        tiled = EmbeddedTiled(Path(name))
        tiled.start()
        site = Settings(
            tiled_uri=AnyHttpUrl(tiled.uri),
            tiled_api_key=SecretStr(tiled.api_key),
            var_dir=Path(name) / "service",
            detector_dirs=[tiled.detector_folder],
            automatic=False,
            threads_per_worker=1,
        )
        root = open_root(site)
        raw = raw_catalog(root, site)
        uids = [write_burst(raw, tiled.detector_folder, given.frames + k) for k in range(given.scans + 1)]
        root.context.close()
        print(f"{given.scans} scans of {given.frames} frames, 8 ROIs; analyses per minute")
        try:
            for label, scheduler in (("worker processes", ""), ("Dask, local", "local")):
                rates = []
                for workers in (1, 2):
                    changes = {"workers": workers, "dask_scheduler": scheduler, "results_path": f"{workers}{scheduler}"}
                    rates.append(60 * given.scans / asyncio.run(measure(site.model_copy(update=changes), uids)))
                one, two = rates
                print(f"{label:18s} one {one:6.1f}   two {two:6.1f}   ratio {two / one:.2f}", flush=True)
        finally:
            tiled.stop()


if __name__ == "__main__":
    main()
