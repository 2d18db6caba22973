"""Frames of a beamline's own runs, collected from Tiled and trained on, by the functions behind the commands."""

import json
import uuid
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from frame_denoiser import FrameDenoiser
from frame_denoiser.collection import LIST, read_collection
from frame_denoiser.network import Architecture, FrameNetwork
from frame_denoiser.stored import write_version
from twotime.cli.frames_collect import collect_frames
from twotime.cli.frames_training import adapt_to_collection
from twotime.recipe import FrameRecipe
from twotime.settings import Settings
from twotime.simulate.beamline import Scan, write_scan
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(20.0, 20.0, 5.0, 1.24, 75e-6, 1.0)
SHAPE = (48, 64)
SAMPLE = f"collected {uuid.uuid4().hex[:6]}"


def counts(seed: int, frames: int, exposure: float) -> np.ndarray:
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    rate = 0.3 + 6 * np.exp(-((row - 16) ** 2 + (column - 30) ** 2) / 8)
    found = np.random.default_rng(seed).poisson(exposure * rate, (frames, *SHAPE)).astype(np.uint16)
    found[:, 5, 5] = 65535
    return found


@pytest.fixture(scope="module")
def runs(raw: Any, detector_folder: Path) -> dict[str, str]:
    """Uids of a run of short exposures, one of long ones of the same position, one elsewhere, one that was aborted."""

    def write(seed: int, frames: int, exposure: float, position: str, status: Any = "success") -> str:
        scan = Scan("camera", SAMPLE, layout="frames", exit_status=status, metadata={"position": position})
        return write_scan(raw, counts(seed, frames, exposure), GEOMETRY, detector_folder / uuid.uuid4().hex[:8], scan)

    return {
        "short": write(1, 10, 1.0, "here"),
        "long": write(2, 2, 20.0, "here"),
        "elsewhere": write(3, 4, 1.0, "there"),
        "aborted": write(4, 4, 1.0, "here", "abort"),
    }


@pytest.fixture
def collected(settings: Settings, tmp_path: Path) -> Callable[..., str]:
    """Collect; returns what was said."""

    def _collected(**options: Any) -> str:
        said = StringIO()
        given: dict[str, Any] = {"samples": [SAMPLE], "excluded": [], "same": ["position"], "limit": 50}
        recipe = FrameRecipe(kind="frames")
        console = Console(file=said, width=300)
        collect_frames(settings, tmp_path / "data", **{"recipe": recipe, **given, **options}, console=console)
        return said.getvalue()

    return _collected


def test_runs_are_collected_once_and_divided_by_what_they_show(
    runs: dict[str, str], collected: Callable[..., str], tmp_path: Path
) -> None:
    first = collected(excluded=[runs["elsewhere"]])
    written = (tmp_path / "data" / f"{runs['short']}.npz").stat().st_mtime_ns
    second = collected()

    assert "12 frames of 2 runs, which show 1 different scatterings" in first
    assert "Left out 1 x: It did not end with success." in first
    assert "16 frames of 3 runs, which show 2 different scatterings" in second
    assert (tmp_path / "data" / f"{runs['short']}.npz").stat().st_mtime_ns == written
    found = {run.uid: run for run in read_collection(tmp_path / "data")}
    assert found[runs["short"]].group == found[runs["long"]].group != found[runs["elsewhere"]].group
    own = found[runs["short"]]
    assert not own.mask[5, 5]
    np.testing.assert_array_equal(own.counts[:, own.mask], counts(1, 10, 1.0)[:, own.mask])


def test_damaged_file_is_collected_again(runs: dict[str, str], collected: Callable[..., str], tmp_path: Path) -> None:
    collected()
    (tmp_path / "data" / f"{runs['long']}.npz").write_bytes(b"damaged")
    collected()

    assert {run.uid for run in read_collection(tmp_path / "data")} == {
        runs[name] for name in ("short", "long", "elsewhere")
    }


def test_field_that_no_run_has_is_said(collected: Callable[..., str], runs: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No run was collected"):
        collected(same=["no_such_field"])
    assert not (tmp_path / "data" / LIST).exists()
    assert runs


def test_network_is_adapted_to_collected_runs(
    runs: dict[str, str], collected: Callable[..., str], tmp_path: Path
) -> None:
    collected()
    write_version(tmp_path / "small", FrameNetwork(Architecture((4, 6))), {"calibration": None, "limits": None})
    said = StringIO()
    console = Console(file=said, width=300)
    adapt_to_collection(tmp_path / "own", tmp_path / "data", 0.0, tmp_path / "small", 2, 5, console, assessed=12)

    assert "Training examples: thinned 3, repeated 3, paired 2" in said.getvalue()
    card = json.loads((tmp_path / "own" / "card.json").read_text())
    assert card["command"] == "twotime frames train own --data data --steps 2 --seed 5"
    assert np.isfinite(FrameDenoiser.load(tmp_path / "own").denoise(counts(9, 1, 1.0)[0] % 100).rate).all()
    assert runs
