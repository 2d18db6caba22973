"""How far a live view is behind its detector, and which frame rate it holds: ``python tests/benchmarks/live.py``.

A process writes frames of 512 x 512 pixels at a steady rate into an HDF5 file, and documents into a real Tiled, as a
beamline does; a live session follows 20 ROIs of 5000 pixels. Printed for each rate: how long after a frame was read the
numbers that hold it stood in Tiled (median and largest), how many frames the session had not read when the last one was
written, and how long after that the pixels were ready for the analysis. The peer is the analysis of the same frames
once they are all there: what one would wait for without a live view.
"""

import argparse
import itertools
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from pydantic import AnyHttpUrl, SecretStr

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog
from twotime.live.session import LiveSession
from twotime.pipeline import analyse
from twotime.pipeline.one_roi import warm_up
from twotime.processes import PROCESSES
from twotime.recipe import parse_recipe
from twotime.settings import Settings
from twotime.simulate import write_run
from twotime.weights import Models
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(256.0, 256.0, 10.0, 1.28, 75e-6, 0.005)
RADII = np.sqrt(30**2 + np.arange(21) * 5000 / np.pi)
RECIPE = {"rois": [{"unit": "pixel", "edges": [[float(a), float(b)] for a, b in itertools.pairwise(RADII)]}]}


def write(settings: Settings, frames: Path, folder: Path, rate: float) -> None:
    """Write a scan at a steady rate; the stop document comes with the last frame."""
    root = open_root(settings)
    raw = raw_catalog(root, settings)
    write_run(
        raw, np.load(frames, mmap_mode="r"), GEOMETRY, folder, detector="camera", shape_style="frames", frame_rate=rate
    )


def measure(settings: Settings, models: Models, frames: Path, folder: Path, rate: float) -> None:
    """Follow one scan and print what came of it."""
    root = open_root(settings)
    raw = raw_catalog(root, settings)
    before, told = set(raw), []
    process = PROCESSES.Process(target=write, args=(settings, frames, folder, rate))
    process.start()
    while not set(raw) - before:
        time.sleep(0.05)
    (uid,) = set(raw) - before
    recipe = parse_recipe(RECIPE)
    session = LiveSession(settings, uid, recipe, models, lambda said: told.append((time.monotonic(), said)))
    following = threading.Thread(target=session.run)
    following.start()
    process.join()
    written_at, read = time.monotonic(), max((said["n_frames"] for _, said in told), default=0)
    following.join()
    ready_s = time.monotonic() - written_at
    lags = [said["lag_s"] for _, said in told if said.get("lag_s")]
    n = told[-1][1]["n_frames"]
    run = find_run(raw, uid)
    source = TiledFrames(run, run_facts(run), folders=settings.detector_dirs)
    began = time.monotonic()
    analyse(source, recipe, models.ensemble)
    batch_s = time.monotonic() - began
    print(
        f"{rate:6.0f} {statistics.median(lags):10.1f} {max(lags):10.1f} {n - read:10d} {ready_s:10.1f} {batch_s:10.1f}",
        flush=True,
    )
    root.context.close()


def main() -> None:
    """Measure at several rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rates", nargs="*", type=float, default=[25.0, 50.0, 100.0, 200.0, 400.0])
    parser.add_argument("--frames", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(1)
        speckle = rng.exponential(1.0, (given.frames // 20 + 1, 512, 512)).astype(np.float32)
        frames = np.empty((given.frames, 512, 512), np.uint16)
        for i in range(given.frames):
            share = (i % 20) / 20
            frames[i] = rng.poisson(
                0.3 * ((1 - share) * speckle[i // 20] + share * speckle[(i // 20 + 1) % len(speckle)])
            )
        np.save(folder / "frames.npy", frames)
        tiled = EmbeddedTiled(folder)
        tiled.start()
        settings = Settings(
            tiled_uri=AnyHttpUrl(tiled.uri),
            tiled_api_key=SecretStr(tiled.api_key),
            var_dir=folder / "service",
            detector_dirs=[tiled.detector_folder],
        )
        models = Models()
        warm_up(models.ensemble)
        print(f"20 ROIs x 5000 pixels, {given.frames} frames of 512 x 512; s behind the detector")
        print(f"{'1/s':>6} {'median':>10} {'largest':>10} {'unread':>10} {'handed':>10} {'batch':>10}")
        try:
            for rate in given.rates:
                measure(settings, models, folder / "frames.npy", tiled.detector_folder, rate)
        finally:
            tiled.stop()


if __name__ == "__main__":
    main()
