"""Measures on this machine what scans cost: reads, analyses and publishes a few small ones, as the service does."""

import itertools
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AnyHttpUrl, SecretStr

from cnn_ed import Ensemble
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.errors import NotReady
from twotime.files import open_frames
from twotime.pipeline import analyse, kind_versions, plan
from twotime.pipeline.capacity import Measurement, ScanSize, Stage, fit_costs
from twotime.pipeline.numerics import NUMERICS
from twotime.pipeline.one_roi import warm_up
from twotime.pipeline.protocols import Progress
from twotime.recipe import Recipe, digest, parse_recipe
from twotime.results import Analysis
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.simulate.eiger_file import EigerFile
from twotime.weights import Models
from twotime.xpcs.types import Geometry

_EDGE = 128
_LARGE_EDGE = 1024
_MEAN_COUNTS = 0.5
_INNER = 10.0
_FIRST = (120, 1, 300)
"""Frames, ROIs and pixels per ROI of a scan that is not counted: it loads and compiles what all others find there."""
_SMALL = ((150, 1, 300), (500, 1, 300), (1000, 1, 300), (2000, 1, 300), (1000, 1, 10000), (1000, 3, 3000))
"""The same of scans with small frames, which cost correlating, denoising and fitting."""
_LARGE = ((60, 1, 300), (60, 4, 20000))
"""The same of scans with frames of a megapixel, which cost reading."""

Samples = dict[Stage, list[tuple[ScanSize, float]]]


def measure(progress: Progress, settings: Settings) -> Measurement:
    """Measure the costs of reading, computing and publishing with one thread; takes half a minute.

    Parameters
    ----------
    progress : told the fraction done
    settings : of the site; its models are measured. Nothing is written but into a temporary folder
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(progress, settings)
    finally:
        torch.set_num_threads(threads)


def _measured(progress: Progress, settings: Settings) -> Measurement:
    models = Models(settings.ensemble, settings.frame_denoiser)
    warm_up(models.ensemble)
    samples: Samples = defaultdict(list)
    scans = [*(("small", size) for size in _SMALL), *(("large", size) for size in _LARGE)]
    with tempfile.TemporaryDirectory(prefix="twotime-capacity-") as name, _tiled(Path(name)) as tiled:
        folder = Path(name)
        files = {
            "small": _write(folder / "small", _small_frames(max(one[0] for one in _SMALL)), _EDGE),
            "large": _write(folder / "large", _large_frames(max(one[0] for one in _LARGE)), _LARGE_EDGE),
        }
        _sample(defaultdict(list), files["small"], _recipe(*_FIRST), models, tiled, settings)
        process_bytes = _resident_bytes()
        for number, (kind, size) in enumerate(scans):
            progress("measuring this machine", number / len(scans))
            _sample(samples, files[kind], _recipe(*size), models, tiled, settings if kind == "small" else None)
    costs, error = fit_costs(samples)
    load = os.getloadavg()[0]
    machine = f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}"
    progress("measuring this machine", 1.0)
    return Measurement(machine, NUMERICS, costs, process_bytes, round(error, 3))


def _sample(
    samples: Samples, file: Path, recipe: Recipe, models: Models, tiled: EmbeddedTiled, site: Settings | None
) -> None:
    """Add what one scan costs; it is published with the settings of a site."""
    analysis, reading_s, computing_s, size = _analysed(file, recipe, models.ensemble)
    samples["reading"].append((size, reading_s))
    samples["computing"].append((size, computing_s))
    n_written = open_frames(file).facts.shape[0]
    samples["frame bytes"].append((size, _bytes_in(file.parent) * size.n_frames / n_written))
    if site is not None:
        publishing_s, tiled_s, stored = _published(analysis, file, recipe, models, tiled, site)
        samples["publishing"].append((size, publishing_s))
        samples["Tiled"].append((size, tiled_s))
        samples["stored bytes"].append((size, stored))


def _analysed(file: Path, recipe: Recipe, ensemble: Ensemble) -> tuple[Analysis, float, float, ScanSize]:
    """Analyse a file of frames; also returns processor seconds of reading and computing, and what was computed."""
    read_at: list[float] = []

    def progress(stage: str, fraction: float) -> None:  # noqa: ARG001 (see `Progress`)
        if stage != "reading" and not read_at:
            read_at.append(time.process_time())

    source, began = open_frames(file), time.process_time()
    analysis = analyse(source, recipe, ensemble, progress)
    done = time.process_time()
    _, height, width = source.facts.shape
    rows = analysis.resolved["rois"]
    pixels = round(sum(row["n_pixels"] for row in rows) / len(rows))
    size = ScanSize(analysis.resolved["n_frames"], height * width, len(rows), pixels)
    return analysis, read_at[0] - began, done - read_at[0], size


def _published(
    analysis: Analysis, file: Path, recipe: Recipe, models: Models, tiled: EmbeddedTiled, site: Settings
) -> tuple[float, float, float]:
    """Processor seconds of this process and of Tiled while an analysis is published, and the bytes that it takes."""
    here = {"tiled_uri": AnyHttpUrl(tiled.uri), "tiled_api_key": SecretStr(tiled.api_key), "results_path": "processed"}
    settings = site.model_copy(update=here)
    with opened_root(settings) as root:
        store = AnalysisStore(results_container(root, settings))
        facts = open_frames(file).facts
        resolved, versions = plan(facts, recipe).resolved, kind_versions("xpcs", models)
        before, began, tiled_began = _bytes_in(tiled.folder), time.process_time(), _used_s(tiled.pid)
        key = store.request(facts, resolved, digest(facts.uid, resolved, versions), versions).id
        record = store.claim(key, "capacity", 0)
        if record is None:
            raise NotReady("The analysis that was to be measured could not be claimed; measure again.")
        TiledSink(store, record).publish(analysis)
        own_s, tiled_s = time.process_time() - began, _used_s(tiled.pid) - tiled_began
        return own_s, tiled_s, _bytes_in(tiled.folder) - before


def _recipe(n_frames: int, n_rois: int, n_pixels: int) -> Recipe:
    """Rings of so many pixels each around the middle of the frame."""
    edges = [float(np.sqrt(_INNER**2 + r * n_pixels / np.pi)) for r in range(n_rois + 1)]
    rings = [{"unit": "pixel", "edges": [list(pair)]} for pair in itertools.pairwise(edges)]
    recipe = parse_recipe({"rois": rings, "frames": {"stop": n_frames, "bin": 1}})
    assert isinstance(recipe, Recipe)
    return recipe


def _small_frames(n_frames: int) -> NDArray[np.uint16]:
    """Simulated speckle that changes."""
    model = SpeckleModel((_EDGE, _EDGE), _geometry(_EDGE), 2e6, mean_counts=_MEAN_COUNTS, seed=1)
    return simulate_frames(model, n_frames)


def _large_frames(n_frames: int) -> Iterator[NDArray[np.uint16]]:
    """Speckle of another kind in each frame, which compresses as measured one does."""
    rng = np.random.default_rng(1)
    n_pixels = _LARGE_EDGE**2
    counts = rng.poisson(rng.exponential(_MEAN_COUNTS, 2 * n_pixels)).astype(np.uint16)
    for first in rng.integers(0, n_pixels, n_frames):
        yield counts[first : first + n_pixels].reshape(_LARGE_EDGE, _LARGE_EDGE)


def _write(folder: Path, frames: Iterable[NDArray[np.uint16]], edge: int) -> Path:
    """An Eiger's files of square frames; returns the master."""
    dtype: np.dtype[np.uint16] = np.dtype(np.uint16)
    file = EigerFile(folder, "scan", _geometry(edge), (edge, edge), dtype)
    try:
        for frame in frames:
            file.append(frame[None])
    finally:
        file.close()
    return file.master


def _geometry(edge: int) -> Geometry:
    return Geometry(edge / 2, edge / 2, 5.0, 1.24, 75e-6, 0.01)


@contextmanager
def _tiled(folder: Path) -> Iterator[EmbeddedTiled]:
    server = EmbeddedTiled(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _used_s(pid: int | None) -> float:
    """Processor seconds that a process of this machine has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")
