"""Scans that are written while a test looks on."""

from pathlib import Path
from typing import Any, Self

from tests.waiting import until

from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.processes import PROCESSES
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames, write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(
    beam_center_y=-20.0,
    beam_center_x=28.0,
    distance_m=5.0,
    wavelength_angstrom=1.24,
    pixel_size_m=75e-6,
    frame_time_s=0.01,
)
MODEL = SpeckleModel((48, 56), GEOMETRY, diffusion=3e6, contrast=0.3, mean_counts=2.0, seed=7)
FRAMES = simulate_frames(MODEL, 240)
RINGS = {"rois": [{"unit": "pixel", "edges": [[30, 40], [45, 55]]}], "fit": {"ages": 2}}


class Writing:
    """A run that is written by a process of its own, as HDF5 wants it of whoever reads meanwhile.

    Entered, the run has begun; left, it has been written.
    """

    def __init__(self, settings: Settings, raw: Any, folder: Path, **options: Any) -> None:
        self.uid = ""
        options = {"shape_style": "frames", "frame_rate": 40.0, "detector": "camera", **options}
        self._process = PROCESSES.Process(target=write, args=(settings, folder, options), daemon=True)
        self._raw = raw

    def __enter__(self) -> Self:
        before = set(self._raw)
        self._process.start()
        until(lambda: bool(set(self._raw) - before))
        (self.uid,) = set(self._raw) - before
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join()
        assert self._process.exitcode == 0


def write(settings: Settings, folder: Path, options: dict[str, Any]) -> str:
    """Write one run; returns its uid."""
    with opened_root(settings) as root:
        return write_run(raw_catalog(root, settings), FRAMES, GEOMETRY, folder, **options)
