"""``twotime frames``: a file of frames denoised without Tiled, and a training that is written and used."""

import json
from dataclasses import asdict
from pathlib import Path

import fabio
import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console
from typer.testing import CliRunner

from frame_denoiser import FrameDenoiser
from frame_denoiser.detection import CASES
from frame_denoiser.evaluate import LEVELS
from frame_denoiser.network import Architecture, FrameNetwork
from frame_denoiser.published_versions import read_rival
from frame_denoiser.region_quality import RegionQuality
from frame_denoiser.simulation import peak_image
from frame_denoiser.stored import write_version
from twotime.cli import app
from twotime.cli.frames_training import adapt_version
from twotime.errors import UnusableRun
from twotime.export.frame_denoising import coverage_picture, detection_picture, example_picture, report_markdown
from twotime.export.frame_images import ImageFile
from twotime.files import open_frames

RATE = 0.1 + 60 * peak_image((64, 80), 30.0, 40.0, (1.8, 1.8), 0.0)
DEAD, HOT = (5, 6), (50, 70)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Six frames of a detector with a dead and a hot pixel and a gap that holds the largest value of its type."""
    frames = np.random.default_rng(6).poisson(RATE, (6, *RATE.shape)).astype(np.uint16)
    frames[:, *DEAD], frames[:, *HOT] = 0, 900
    frames[:, :, 20:23] = 65535
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as target:
        target["entry/data/data"] = frames
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["frames", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_file_of_frames_is_denoised(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "denoised.h5"
    output = run("denoise", file, "--out", out, "--sum", 3)
    assert "Wrote 2 denoised images" in output
    with h5py.File(out) as found, h5py.File(file) as source:
        group = found["entry/denoised"]
        frames = source["entry/data/data"][:]
        assert group["rate"].shape == (2, *RATE.shape)
        assert group["rate"].attrs["units"] == "counts per pixel"
        assert group.attrs["version"] == FrameDenoiser.load().version
        assert group.attrs["frames_summed"] == 3
        mask = group["mask"][()]
        assert not mask[HOT]
        assert not mask[:, 20:23].any()
        np.testing.assert_array_equal(group["raw"][1][mask], frames[3:].sum(axis=0)[mask])
        assert np.isfinite(group["rate"][()]).all()
        assert np.isnan(group["residual"][0][~mask]).all()
        peaks = group["peaks"]
        assert sorted(peaks["frame"]) == [0, 1]
        np.testing.assert_allclose(peaks["row"], 30, atol=1)
        assert peaks["counts"].attrs["units"] == "counts"
        assert (np.abs(peaks["counts"][()] - 180) < 4 * peaks["counts_error"][()]).all()
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("ending", ["tif", "edf"])
def test_denoised_images_lie_side_by_side_in_files_of_images(file: Path, tmp_path: Path, ending: str) -> None:
    run("denoise", file, "--out", tmp_path / "all.h5", "--sum", 3)
    run("denoise", file, "--out", tmp_path / f"own.{ending}", "--sum", 3)

    with h5py.File(tmp_path / "all.h5") as found:
        group = found["entry/denoised"]
        expected = {name: group[name][()] for name in ("raw", "rate", "error", "residual")}
        expected["raw"] = np.where(group["mask"][()], expected["raw"], np.nan)
        rows = group["peaks/row"][()]
    for name, images in expected.items():
        path = tmp_path / ("own" if name == "rate" else f"own_{name}")
        with fabio.open(f"{path}.{ending}") as stored:
            read = [stored.get_frame(number).data for number in range(stored.nframes)]
        np.testing.assert_array_equal(read, images)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "own_peaks.csv")["row"], rows)
    with pytest.raises(UnusableRun, match="holds denoised frames"):
        open_frames(tmp_path / f"own.{ending}")
    assert not list(tmp_path.glob(".*"))


def test_large_tiff_file_has_offsets_of_64_bits(tmp_path: Path) -> None:
    with ImageFile(tmp_path / "large.tif", "rate", (5000, 1024, 1024)) as file:
        file.add(RATE)
    with tifffile.TiffFile(tmp_path / "large.tif") as found:
        assert found.is_bigtiff
        np.testing.assert_array_equal(found.asarray(), RATE.astype(np.float32))


def test_broken_off_file_of_images_is_not_left_behind(tmp_path: Path) -> None:
    file = ImageFile(tmp_path / "one.tif", "rate", (2, *RATE.shape))
    with pytest.raises(ValueError, match="broadcast"), file:
        file.add(RATE + np.zeros((2, 3)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--out", "denoised.csv"), "out is 'denoised.csv', expected a name that ends with one of .h5"),
        (("--out", "denoised.h5", "--sum", "7"), "sum_frames is 7, expected at most 6"),
        (("--out", "denoised.h5", "--version", "none"), "version_or_folder is 'none', expected one of"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["frames", "denoise", str(file), *options])
    assert result.exit_code == 1
    assert sentence in " ".join(result.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["frames.h5"]


def test_network_adapted_to_measured_frames_is_written_and_used(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    write_version(folder, FrameNetwork(Architecture((4, 6))), {"calibration": None, "limits": None})
    adapt_version(tmp_path / "own", file, folder, 2, 5, Console(quiet=True), assessed=12)
    denoiser = FrameDenoiser.load(tmp_path / "own")
    assert denoiser.version.startswith("own+")
    assert np.isfinite(denoiser.denoise(np.random.default_rng(1).poisson(RATE)).rate).all()


def test_report_has_all_tables_and_figures() -> None:
    rates = [
        {
            "level": level,
            "methods": {
                name: {"relative_error": 0.2, "exposure": 20.0, "psnr": 30.0, "ms_ssim": 0.9}
                for name in ("raw counts", "denoised")
            },
            "coverage": {"one": 0.68, "two": 0.95, "peak_one": 0.7, "peak_two": 0.94},
        }
        for level in (0.1, 1.0)
    ]
    detection = [
        {
            "case": {"level": 0.1, "width": 3.0, "significance": 5.0, "structured": structured},
            "found": {"denoised": 0.9, "Gaussian": 0.8},
            "raw": {1: 0.1, 10: 0.6},
            "exposure": 10.0,
        }
        for structured in (False, True)
    ]
    peaks = [{"significance": 5.0, "found": 0.8, "counts_bias": 0.01, "counts_bias_error": 0.02}]
    peaks[0] |= {"counts_denoised_bias": -0.1, "within": 0.7, "position_within": 0.66, "width_bias": 0.1}
    measured = [
        {
            "frames": 1,
            "level": 0.07,
            "exposure": {"denoised": 8.0},
            "scatter": 1.1,
            "within_one": 0.66,
            "within_two": 0.94,
        }
    ]
    text = report_markdown(
        {
            "version": "v1",
            "seed": 1,
            "count": 2,
            "rates": rates,
            "detection": detection,
            "peaks": peaks,
            "regions": [asdict(RegionQuality(6, 0.1, 10.0, 0.7, 0.95, 0.68, 2.0))],
            "false_peaks_per_megapixel": 0.0,
            "measured": measured,
            "measured_file": "frames.h5",
        }
    )
    for heading in (
        "## Rates",
        "## Errors",
        "## Weak satellites",
        "## Peaks",
        "## Regions",
        "## Measured frames (frames.h5)",
    ):
        assert heading in text
    for picture in (coverage_picture(rates), detection_picture(detection), example_picture(FrameDenoiser.load(), 1)):
        assert picture.startswith(b"\x89PNG")


def test_written_file_is_refused_where_it_would_be_correlated(file: Path, tmp_path: Path) -> None:
    run("denoise", file, "--out", tmp_path / "denoised.h5")

    with pytest.raises(
        UnusableRun, match=r"holds denoised frames \(attribute twotime_denoised_frames of denoised.h5\)"
    ):
        open_frames(tmp_path / "denoised.h5")


@pytest.mark.long
def test_published_network_is_trained_by_its_name(tmp_path: Path) -> None:
    output = run("train", tmp_path / "own", "--network", "vdsr", "--steps", 1)

    assert f"twotime frames evaluate --rival {tmp_path / 'own'}" in " ".join(output.split())
    card = json.loads((tmp_path / "own" / "card.json").read_text())
    assert (card["published_network"], card["schedule"]["shape"]) == ("vdsr", [192, 240])
    assert read_rival(tmp_path / "own").name == "vdsr own"


@pytest.mark.long
def test_network_is_evaluated_on_simulated_and_measured_frames(file: Path, tmp_path: Path) -> None:
    run("evaluate", "--count", 2, "--frames", file, "--report", tmp_path / "report")
    found = json.loads((tmp_path / "report" / "report.json").read_text())
    assert found["version"] == FrameDenoiser.load().version
    assert [one["level"] for one in found["rates"]] == list(LEVELS)
    assert len(found["detection"]) == len(CASES)
    assert {path.name for path in (tmp_path / "report").glob("*.png")} == {
        "coverage.png",
        "detection.png",
        "example.png",
    }
    assert "frames.h5" in (tmp_path / "report" / "report.md").read_text()
