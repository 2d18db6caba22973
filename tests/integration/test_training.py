"""From a beamline's own runs to an ensemble of its own, by the commands; and the evaluation of an ensemble."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnn_ed import Ensemble
from cnn_ed.collect import place_of
from cnn_ed.dataset import full_windows, load_examples
from twotime.settings import Settings

pytestmark = pytest.mark.long

BINARY = Path(sys.executable).parent / "twotime"
SAMPLE = "collected colloid"


@pytest.fixture(scope="module")
def twotime(settings: Settings) -> Any:
    """Run a command against the Tiled server of the tests."""
    assert settings.tiled_api_key is not None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TWOTIME_")} | {
        "TWOTIME_TILED_URI": str(settings.tiled_uri),
        "TWOTIME_TILED_API_KEY": settings.tiled_api_key.get_secret_value(),
        "TWOTIME_VAR_DIR": str(settings.var_dir),
    }

    def run(*arguments: str, ensemble: str = "") -> str:
        own = {"TWOTIME_ENSEMBLE": ensemble, "TWOTIME_PORT": "0"} if ensemble else {}
        done = subprocess.run(
            [BINARY, *arguments], env=environment | own, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_own_runs_become_an_ensemble(twotime: Any, tmp_path: Path) -> None:
    uids = []
    for seed in ("1", "2"):
        said = twotime("simulate", "--frames", "150", "--perfect", "--seed", seed, "--sample", SAMPLE)
        uids.append(said.split("Wrote run ")[1].split()[0])
        twotime("process", uids[-1])
    between = sum(place_of(uid) for uid in uids) / 2

    said = twotime("collect", str(tmp_path), "--sample", SAMPLE, "--validation", f"{between:.9f}")
    twotime(
        *("train", str(tmp_path), str(tmp_path / "own"), "--models", "12", "--trial", "1"),
        *("--finalists", "10", "--epochs", "2", "--batch", "4"),
    )

    assert "from 1 runs for training" in said
    assert "windows without bad frames" in said
    examples = load_examples(tmp_path / "cnn_ed_validation.npz")
    said = twotime("doctor", ensemble=str(tmp_path / "own"))
    assert "own+" in said
    ensemble = Ensemble.load(path=tmp_path / "own")
    mean, std = ensemble.apply(full_windows(examples.inputs, 50).numpy())
    assert np.isfinite(mean).all()
    assert (std > 0).any()
    assert (tmp_path / "own" / "losses.png").read_bytes().startswith(b"\x89PNG")
    losses = (tmp_path / "own" / "losses.csv").read_text().splitlines()
    assert len(losses) == 1 + 12 + 10


def test_collecting_without_a_fitting_run_says_why(twotime: Any, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="No experiment is left for the training file; collect more runs"):
        twotime("collect", str(tmp_path), "--sample", "no such sample")

    assert list(tmp_path.iterdir()) == []


def test_evaluation_writes_a_report(twotime: Any, tmp_path: Path, measured_data: Path) -> None:
    small = _some_targets(measured_data / "cnn_ed_validation.npz", tmp_path / "small.npz")

    found = json.loads(twotime("evaluate", str(small), "--json", "--report", str(tmp_path / "report")))

    assert found["denoised"]["one_time_mse"] < 0.2 * found["raw"]["one_time_mse"]
    assert {(row["against"], row["alpha"]) for row in found["tables"]} == {
        (against, alpha) for against in ("target", "honest truth") for alpha in ("free", "1")
    }
    assert found == json.loads((tmp_path / "report" / "report.json").read_text())
    text = (tmp_path / "report" / "report.md").read_text()
    for picture in ("example", "parameters", "parameters_alpha_1", "error", "gain", "coverage"):
        assert f"]({picture}.png)" in text
        assert (tmp_path / "report" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def _some_targets(path: Path, out: Path) -> Path:
    """A small file: the measurements of many windows from a few experiments."""
    examples = load_examples(path)
    long = np.flatnonzero(np.bincount(examples.target_index) >= 39)[:14]
    own = examples.of_targets(np.isin(np.arange(len(examples.targets)), long))
    with np.load(path) as file:
        roi = file["roi"][long]
    np.savez(
        out,
        inputs=own.inputs,
        targets=own.targets,
        target_index=own.target_index,
        window=own.position,
        experiment=own.experiment,
        roi=roi,
        frame_stride=own.frame_stride,
    )
    return out
