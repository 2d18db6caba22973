"""The command line as a person uses it: real processes, a real Tiled server of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from twotime.files import write_multifile
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry

pytestmark = pytest.mark.long
BINARY = Path(sys.executable).parent / "twotime"


def run(*arguments: str, var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the environment holds no settings but those given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWOTIME_")}
    return subprocess.run(
        [BINARY, *arguments],
        env=clean | {"TWOTIME_VAR_DIR": str(var), **environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a demonstration has filled."""
    folder = tmp_path_factory.mktemp("demo")
    done = run("demo", "--once", "--port", "0", var=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "output").write_text(done.stdout)
    return folder


def test_demo_shows_every_roi_and_fits_the_truth(var: Path) -> None:
    output = (var / "output").read_text()

    assert "Γ true (1/s)" in output
    assert [f"\n  {roi} │" in output for roi in range(1, 7)] == [True] * 6
    assert "The result fits what is known of this scan." in output
    assert "/?api_key=" in output


def test_demo_with_measured_frames_finds_the_ring_values(var: Path, measured_data: Path) -> None:
    done = run("demo", "--once", "--port", "0", "--frames", str(measured_data / "id10_maxipix_frames.h5"), var=var)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the decay is incomplete" in done.stdout


def test_process_finds_the_newest_run_and_publishes(var: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "rings.yml"
    recipe.write_text(
        "rois: [{unit: pixel, edges: [[60, 70], [120, 130]]}]\nfit: {ages: 0}\nmasks: {from_data: false}\n"
    )

    plan = run("process", "1", "--dry-run", "--recipe", str(recipe), var=var)
    done = run("process", "1", "--recipe", str(recipe), var=var)

    assert plan.returncode == 0, plan.stderr
    assert "descriptor configuration eiger4m_single_det_distance" in plan.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Published as processed/" in done.stdout

    (analysis,) = re.findall(r"Published as processed/(\S+)/final", " ".join(done.stdout.split()))
    exported = run("export", analysis, str(tmp_path / "result.nxs"), var=var)
    assert exported.returncode == 0, exported.stdout + exported.stderr
    with h5py.File(tmp_path / "result.nxs") as file:
        assert file["entry/data/g2"].shape[1] == 2
        assert file["entry/twotime/two_time_corr_func"].shape[2] == 2
        assert json.loads(file["entry/process/recipe"][()])["recipe"]["rois"][0]["kind"] == "rings"
    exported = run("export", analysis, str(tmp_path / "folder"), "--as", "pychx", var=var)
    assert exported.returncode == 0, exported.stdout + exported.stderr
    assert {path.name.rsplit("_", 1)[-1] for path in (tmp_path / "folder").iterdir()} == {
        "Res.h5",
        "g2.csv",
        "g2b.csv",
        "paras.csv",
    }


def test_frames_in_a_file_are_analysed_without_tiled(tmp_path: Path) -> None:
    model = SpeckleModel((40, 40), Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01), diffusion=6e5, mean_counts=2.0)
    write_multifile(tmp_path / "frames.cmp", simulate_frames(model, 60), model.geometry)
    recipe = tmp_path / "rings.yml"
    recipe.write_text("rois: [{unit: pixel, edges: [[35, 45], [50, 60]]}]\n")
    result = tmp_path / "result.h5"

    plan = run("process", str(tmp_path / "frames.cmp"), "--dry-run", "--recipe", str(recipe), var=tmp_path)
    done = run("process", str(tmp_path / "frames.cmp"), "--recipe", str(recipe), "--out", str(result), var=tmp_path)

    assert plan.returncode == 0, plan.stderr
    assert "header of frames.cmp" in plan.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    with h5py.File(result) as file:
        assert file["two_time"].shape == (2, 60, 60)
    assert not (tmp_path / "tiled").exists()


def test_doctor_finds_nothing_wrong(var: Path) -> None:
    done = run("doctor", var=var, TWOTIME_PORT="0")

    assert done.returncode == 0, done.stdout
    assert "10 models, checksums right" in done.stdout
    assert "read in place from its files" in done.stdout
    assert "Tiled keeps no access tags" in done.stdout


def test_doctor_says_that_tiled_is_unreachable(tmp_path: Path) -> None:
    done = run("doctor", var=tmp_path, TWOTIME_TILED_URI="http://127.0.0.1:9", TWOTIME_PORT="0")

    assert done.returncode == 1
    assert "does not answer" in done.stdout
    assert "check that the server runs" in done.stdout


def test_doctor_says_that_nobody_publishes_documents(tmp_path: Path) -> None:
    away = {"TWOTIME_TILED_URI": "http://127.0.0.1:9", "TWOTIME_DOCUMENTS_ADDRESS": "127.0.0.1:9"}

    done = run("doctor", var=tmp_path, TWOTIME_PORT="0", **away)

    assert "!!  documents      No 0MQ proxy answers at 127.0.0.1:9; start bluesky-0MQ-proxy there" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("process", "nosuchrun"), "No run has the uid 'nosuchrun'"),
        (("process", "-1", "--recipe", "/no/such/file"), "The recipe /no/such/file cannot be read"),
        (("demo", "--once", "--frames", "/no/such/frames.h5"), "/no/such/frames.h5 cannot be read as HDF5"),
        (("simulate", "--contrast", "2"), "contrast is 2.0, expected above 0"),
        (("evaluate", "/no/such/data.npz"), "There is no file /no/such/data.npz"),
        (("process", "/no/such/series_master.h5"), "There is no file /no/such/series_master.h5"),
        (("export", "nosuch-0123456789", "result.nxs"), "nosuch-0123456789"),
        (
            ("plan-capacity", "--frames=1000", "--frame-rate=1", "--scans-per-day=100", "--measurement=/no/such.json"),
            "/no/such.json holds no measurement",
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_exit_1(var: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments, var=var)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_misspelt_setting_is_refused(tmp_path: Path) -> None:
    done = run("doctor", var=tmp_path, TWOTIME_TILED_URL="http://127.0.0.1:9")

    assert done.returncode == 1
    assert "did you mean TWOTIME_TILED_URI" in done.stderr


@pytest.mark.parametrize(
    "command", ["serve", "demo", "process", "simulate", "doctor", "picture", "train", "evaluate", "export", "epics"]
)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    done = run(command, "--help", var=tmp_path)

    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_serve_ends_on_interrupt_with_its_children_and_without_a_traceback(var: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWOTIME_")}
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [BINARY, "serve", "--port", "0"],
            env=clean | {"TWOTIME_VAR_DIR": str(var), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert "/docs" in process.stdout.readline()
        deadline = time.monotonic() + 60
        while "tiled_reachable" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        tiled = int((var / "tiled" / "pid").read_text())
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    assert "Traceback" not in log.read_text()
    assert not Path(f"/proc/{tiled}").exists() or "Z" in Path(f"/proc/{tiled}/stat").read_text().split()[2]
