"""``twotime simulate``: write a simulated scan into Tiled, as a beamline would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from databroker.client import CatalogOfBlueskyRuns
from numpy.typing import NDArray
from rich.console import Console

from twotime.catalog.runs.search import find_run
from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.cli.progress import ProgressBar
from twotime.cli.tiled import tiled_of
from twotime.errors import RunNotFound
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, demo_frames, demo_model, simulate_frames, truth_of, write_run


def simulate(
    settings: Settings,
    changes: dict[str, float],
    *,
    n_frames: int,
    frame_rate: float | None,
    layout: str,
    perfect: bool,
    sample: str,
    console: Console,
) -> None:
    """Simulate the demonstration's sample with some of its properties changed, and write the scan.

    Parameters
    ----------
    changes : fields of `SpeckleModel`
    perfect : without gaps, dead and hot pixels and bad frames
    """
    with tiled_of(settings, console) as reached:
        model = replace(demo_model(), **changes)  # type: ignore[arg-type]  # all fields named are numbers
        with console.status(f"simulating {n_frames} frames"):
            frames = simulate_frames(model, n_frames) if perfect else demo_frames(model, n_frames)
        uid = write_simulated(
            reached, model, frames, frame_rate=frame_rate, layout=layout, sample=sample, console=console
        )
        console.print(
            f"Wrote run {uid} ({n_frames} frames, Γ = {model.diffusion:.4g} Å²/s · q²) into {reached.tiled_uri}"
        )
        console.print(f"Analyse it with: twotime process {uid[:8]}", highlight=False)


def write_simulated(
    settings: Settings,
    model: SpeckleModel,
    frames: NDArray[Any],
    *,
    frame_rate: float | None = None,
    layout: str = "burst",
    sample: str = "simulated colloid",
    console: Console,
) -> str:
    """Write simulated frames with their truth; returns the uid."""
    with opened_root(settings) as root, ProgressBar(console) as bar:
        raw = raw_catalog(root, settings)
        return write_run(
            raw,
            frames,
            model.geometry,
            detector_folder(settings),
            sample=sample,
            scan_id=next_scan_id(raw),
            shape_style=layout,  # type: ignore[arg-type]  # checked by the command line
            frame_rate=frame_rate,
            simulation=truth_of(model),
            progress=lambda fraction: bar("writing frames and documents", fraction),
        )


def detector_folder(settings: Settings) -> Path:
    """Where simulated detector files go: the embedded Tiled may read it."""
    return settings.var_dir / "detector" / "simulated"


def next_scan_id(raw: CatalogOfBlueskyRuns) -> int:
    """One more than that of the newest run."""
    try:
        return int(find_run(raw, -1).metadata["start"].get("scan_id") or 0) + 1
    except RunNotFound:
        return 1
