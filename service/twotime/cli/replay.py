"""``twotime replay``: a finished run once more, as if it were being measured now."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from twotime.catalog.results.analysis_record import plain
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.cli.progress import ProgressBar
from twotime.cli.simulate import detector_folder, next_scan_id
from twotime.cli.tiled import tiled_of
from twotime.errors import RecipeError
from twotime.recipe import RunFacts
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, write_scan
from twotime.xpcs.types import Geometry

_OWN = ("uid", "time", "scan_id", "hints", "simulation")


class RunFrames:
    """Frames of a run as an array that fetches what is asked for.

    Parameters
    ----------
    source : of the run
    """

    def __init__(self, source: TiledFrames) -> None:
        self._source = source
        self.shape = source.facts.shape
        self.dtype = source.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: slice) -> NDArray[Any]:
        start, stop, _ = frames.indices(len(self))
        return np.concatenate([np.asarray(block) for _, block in self._source.blocks(start, stop)])


def replay(settings: Settings, reference: str, *, speed: float, folder: Path | None, console: Console) -> None:
    """Write the frames of a run again, at the pace at which they were measured, as a new run that names it.

    Parameters
    ----------
    reference : see `twotime.catalog.runs.search.find_run`
    speed : 2 is twice as fast as it was
    folder : for the detector files; Tiled must be allowed to read it; none: that of the embedded server

    Raises
    ------
    RecipeError
        If the run does not say what a replay needs.
    """
    with tiled_of(settings, console) as reached:
        with opened_root(reached) as root:
            raw = raw_catalog(root, reached)
            run = find_run(raw, reference)
            direct, path_map, folders = reached.read_in_place, reached.path_map, reached.detector_dirs
            facts = run_facts(run, accept_failed=True, direct=direct, path_map=path_map, folders=folders)
            geometry = _geometry(facts)
            frames = RunFrames(TiledFrames(run, facts, direct, path_map, folders))
            start = {name: value for name, value in plain(run.metadata["start"]).items() if name not in _OWN}
            if facts.access_tags:
                start["tiled_access_tags"] = [*facts.access_tags]  # The copy is for those who see the run.
            scan = Scan(
                detector=facts.detector.removesuffix("_image"),
                sample=facts.sample or "",
                scan_id=next_scan_id(raw),
                layout="frames",
                frame_rate=speed / geometry.frame_time_s,
                as_written=True,
                metadata={**start, "replay_of": facts.uid},
            )
            where = folder or detector_folder(reached).with_name("replayed")
            with ProgressBar(console) as bar:
                uid = write_scan(
                    raw, frames, geometry, where, scan, lambda fraction: bar("writing frames and documents", fraction)
                )
        console.print(f"Replayed run {facts.uid[:8]} as run {uid} ({len(frames)} frames, {speed:g} times its speed)")


def _geometry(facts: RunFacts) -> Geometry:
    """Of the frames as they were written."""
    missing = [one.name for one in fields(Geometry) if one.name not in facts.geometry]
    if missing:
        raise RecipeError(
            f"Run {facts.uid[:8]} does not record {', '.join(missing)}, which a replay has to write; "
            "analyse it with `twotime process` and a recipe that gives them."
        )
    return Geometry(**{one.name: facts.geometry[one.name].value for one in fields(Geometry)})
