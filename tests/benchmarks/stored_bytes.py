"""Bytes of a published analysis on disk, its rounding errors, and the time to publish it, in a real Tiled.

    python -m tests.benchmarks.stored_bytes [FRAMES] [ROIS]

Scans of simulated speckle (a quick decay, and a slow one that ages) are analysed. Their arrays are written with Tiled's
own client as they are, then published as the service does. Errors are standard deviations: of `two_time` in units of
the measured noise (measured minus denoised), of `two_time_denoised` in units of `two_time_spread`, of
`two_time_spread` in units of itself, of `preview` in units of its noise. Not a test: it takes minutes.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import dask.array
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tests.asking import request, run_facts
from tiled.client.container import Container

from cnn_ed import Ensemble
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.results.read import read_array
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.files import open_frames
from twotime.pipeline import analyse
from twotime.recipe import parse_recipe
from twotime.results import Analysis, colour_range, grey
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry

SIDE = 240
GEOMETRY = Geometry(-30.0, SIDE / 2, 5.0, 1.24, 75e-6, 0.01)
SCANS = {"quick": {"diffusion": 2e5}, "slow, ageing": {"diffusion": 2e4, "ageing": 0.5}}
LARGE = ("two_time", "two_time_denoised", "two_time_spread", "preview", "preview_denoised")


def analysed(scan: str, n_frames: int, n_rois: int, folder: Path) -> Analysis:
    """A simulated scan, with as many rings as asked for."""
    model = SpeckleModel((SIDE, SIDE), GEOMETRY, contrast=0.2, mean_counts=0.5, seed=4, **SCANS[scan])
    path = folder / "frames.npy"
    np.save(path, simulate_frames(model, n_frames))
    edges = np.linspace(40, SIDE + 20, n_rois + 1)
    rings = [[float(inner), float(outer)] for inner, outer in itertools.pairwise(edges)]
    geometry = {name: getattr(GEOMETRY, name) for name in GEOMETRY.__dataclass_fields__}
    recipe = {"rois": [{"unit": "pixel", "edges": rings}], "masks": {"from_data": False}, "geometry": geometry}
    return analyse(open_frames(path, [folder]), parse_recipe(recipe), Ensemble.load())


def disk_bytes(folder: Path) -> dict[str, int]:
    """Of each node below a folder of Tiled's storage."""
    return {
        node.name: sum(file.stat().st_size for file in node.rglob("*") if file.is_file()) for node in folder.iterdir()
    }


def finest_greys(analysis: Analysis) -> NDArray[np.uint8]:
    """The preview in 256 greys."""
    return np.stack([grey(one, *colour_range(one)) for one in analysis.arrays["two_time"]])


def as_they_are(results: Container, analysis: Analysis) -> float:
    """Write the arrays with Tiled's client, in chunks of a ROI and at most 1000 x 1000; returns the seconds."""
    arrays = analysis.arrays | {"preview": finest_greys(analysis)}
    began = time.perf_counter()
    container = results.create_container("as_they_are")
    for name in LARGE:
        values = arrays[name]
        chunks = (1, *(min(1000, length) for length in values.shape[1:]))
        container.write_array(dask.array.from_array(values, chunks=chunks), key=name)
    return time.perf_counter() - began


def errors(analysis: Analysis, store: AnalysisStore, analysis_id: str) -> dict[str, float]:
    """Of what was stored, see the top of the file."""
    raw, denoised, spread = (analysis.arrays[name] for name in LARGE[:3])
    stored = {name: read_array(store, analysis_id, name) for name in LARGE}

    def deviation(name: str, unit: NDArray[np.floating]) -> float:
        return float(np.nanstd((stored[name].astype(float) - analysis.arrays[name]) / unit))

    above = np.triu(np.ones(raw.shape[1:], bool), 1)
    noise = np.array([np.nanstd(one[above]) for one in raw - denoised])[:, None, None]
    span = np.array([np.subtract(*colour_range(one)[::-1]) for one in raw])[:, None, None]
    return {
        "two_time": deviation("two_time", noise),
        "two_time_denoised": deviation("two_time_denoised", spread),
        "two_time_spread": deviation("two_time_spread", spread),
        "preview": float(np.std((stored["preview"].astype(float) - finest_greys(analysis)) / (255 * noise / span))),
    }


def main(n_frames: int = 1000, n_rois: int = 20) -> None:
    """Print a table for each scan."""
    console = Console(width=120)
    for scan in SCANS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            analysis = analysed(scan, n_frames, n_rois, folder)
            tiled = EmbeddedTiled(folder)
            tiled.start()
            settings = Settings(tiled_uri=tiled.uri, tiled_api_key=tiled.api_key, var_dir=folder)  # type: ignore[arg-type]  # pydantic turns text into both
            with opened_root(settings) as root:
                results = results_container(root, settings)
                before_s = as_they_are(results, analysis)
                store = AnalysisStore(results)
                record = store.claim(request(store, run_facts()).id, "benchmark", 0)
                assert record is not None
                began = time.perf_counter()
                TiledSink(store, record).publish(analysis)
                after_s = time.perf_counter() - began
                data = tiled.folder / "data"
                before = disk_bytes(next(data.rglob("as_they_are")))
                after = disk_bytes(next(data.rglob(record.id)) / record.final)
                error = errors(analysis, store, record.id)
                tiled.stop()
        table = Table("node", "as computed, MB", "stored, MB", "share", "error")
        rest = sum(size for node, size in after.items() if node not in LARGE)
        for node in LARGE:
            own = f"{error[node]:.4f}" if node in error else ""
            table.add_row(
                node,
                f"{before[node] / 1e6:.1f}",
                f"{after[node] / 1e6:.1f}",
                f"{after[node] / before[node]:.2f}",
                own,
            )
        whole = sum(before.values()) + rest, sum(after.values())
        table.add_row("tables and the rest", f"{rest / 1e6:.1f}", f"{rest / 1e6:.1f}", "1.00", "")
        table.add_row("all", f"{whole[0] / 1e6:.1f}", f"{whole[1] / 1e6:.1f}", f"{whole[1] / whole[0]:.2f}", "")
        console.print(f"{scan}: {n_frames} frames, {n_rois} ROIs", table)
        console.print(
            f"{before_s:.1f} s to write these five arrays with Tiled's client, {after_s:.1f} s to publish all"
        )


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
