"""Denoised frames over HTTP and in a notebook: tables, pictures, numbers, files, and what they are not asked for."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fabio
import h5py
import httpx
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from tests.writing import GEOMETRY

from twotime.api.server import Server
from twotime.client import AnalysisHandle, connect
from twotime.errors import UnusableRun
from twotime.files import open_frames
from twotime.pipeline import plan_of
from twotime.recipe import Recipe
from twotime.results import DENOISED_FRAMES
from twotime.simulate.beamline import Scan, write_scan

SHAPE = (32, 48)
RECIPE = {"kind": "frames", "frames": {"sum": 2}, "regions": [{"rows": [8, 21], "columns": [20, 33]}]}


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Six frames of a peak that fades, in the analysis frame."""
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = np.exp(-((row - 14) ** 2 + (column - 26) ** 2) / 6)
    brightness = np.linspace(20, 0, 6)[:, None, None]
    return np.random.default_rng(8).poisson(0.3 + brightness * peak).astype(np.uint16)


@pytest.fixture(scope="module")
def denoised(
    client: httpx.Client, raw: Any, detector_folder: Path, ended: Callable[[str], dict[str, Any]], frames: np.ndarray
) -> dict[str, Any]:
    """An analysis of kind frames."""
    temperatures = ("K", [10.0, 11.0, 20.0, 21.0, 30.0, 31.0])
    scan = Scan(sample="charge order", scan_id=701, layout="frames", variables={"temperature": temperatures})
    uid = write_scan(raw, frames, GEOMETRY, detector_folder / "api_frames", scan)
    answer = client.post("/analyses", json={"uid": uid, "recipe": RECIPE})
    assert answer.status_code in (200, 202), answer.text
    found = ended(answer.json()["id"])
    assert (found["status"], found["error"]) == ("done", None)
    return found


@pytest.fixture
def handle(server: Server, denoised: dict[str, Any]) -> Iterator[AnalysisHandle]:
    """The same in a notebook."""
    with connect(server.url, server.key) as notebook:
        yield notebook.analysis(denoised["id"])


def test_kind_stands_in_lists_and_records(client: httpx.Client, denoised: dict[str, Any], done: dict[str, Any]) -> None:
    listed = {one["id"]: one["kind"] for one in client.get("/analyses", params={"limit": 500}).json()["analyses"]}

    assert (listed[denoised["id"]], listed[done["id"]]) == ("frames", "xpcs")
    assert denoised["request"]["kind"] == denoised["recipe"]["kind"] == "frames"


def test_list_is_filtered_by_kind(
    client: httpx.Client, handle: AnalysisHandle, denoised: dict[str, Any], done: dict[str, Any]
) -> None:
    for kind, own, other in (("frames", denoised, done), ("xpcs", done, denoised)):
        listed = client.get("/analyses", params={"kind": kind, "limit": 500}).json()
        ids = {one["id"] for one in listed["analyses"]}
        assert own["id"] in ids
        assert other["id"] not in ids
        assert {one["kind"] for one in listed["analyses"]} == {kind}
        assert listed["total"] == len(ids)
    assert denoised["id"] in {one.id for one in handle.client.analyses(kind="frames")}
    assert client.get("/analyses", params={"kind": "images"}).status_code == 422


def test_plan_shows_regions_before_anything_is_computed(client: httpx.Client, denoised: dict[str, Any]) -> None:
    plan = client.post("/plans", json={"uid": denoised["raw_uid"], "recipe": RECIPE}).json()
    outlines = client.post("/plans/rois.png", json={"uid": denoised["raw_uid"], "recipe": RECIPE})

    assert (plan["analysis_id"], plan["n_frames"]) == (denoised["id"], 3)
    assert [(one["roi"], one["q"], one["n_pixels"]) for one in plan["rois"]] == [(1, None, 169)]
    assert outlines.headers["content-type"] == "image/png"


def test_summary_says_what_was_denoised(client: httpx.Client, denoised: dict[str, Any]) -> None:
    summary = client.get(f"/analyses/{denoised['id']}/frames/summary").json()

    assert (summary["n_frames"], summary["shape"], summary["frames_summed"]) == (3, list(SHAPE), 2)
    assert summary["scan_variable"] == {"name": "temperature", "unit": "K"}
    assert summary["regions"] == [{"region": 1, "n_pixels": 169}]
    assert summary["frame_time_s"] == pytest.approx(2 * GEOMETRY.frame_time_s)


def test_tables_come_as_json_and_csv(client: httpx.Client, denoised: dict[str, Any], frames: np.ndarray) -> None:
    one = f"/analyses/{denoised['id']}"
    regions = client.get(f"{one}/regions").json()
    counts = frames.reshape(3, 2, *SHAPE).sum(axis=1)[:, 8:21, 20:33].sum(axis=(1, 2))

    assert regions["columns"]["counts"] == counts.tolist()
    assert regions["columns"]["scan_value"] == [10.5, 20.5, 30.5]
    assert regions["units"] | {"scan_value": "K", "counts": "counts"} == regions["units"]
    assert client.get(f"{one}/regions", params={"frame": 2}).json()["columns"]["counts"] == counts[2:].tolist()
    csv = pd.read_csv(io.StringIO(client.get(f"{one}/peaks.csv").text))
    first = csv[csv["frame"] == 0].iloc[0]
    assert np.hypot(first["row"] - 14, first["column"] - 26) < 1.5
    assert client.get(f"{one}/frames", headers={"Accept": "text/csv"}).text.startswith("frame,frame_number,")


@pytest.mark.parametrize("kind", ["raw", "rate", "error", "residual"])
def test_frame_is_a_picture_and_numbers(client: httpx.Client, denoised: dict[str, Any], kind: str) -> None:
    one = f"/analyses/{denoised['id']}/frame/0"
    picture = client.get(f"{one}.png", params={"kind": kind, "size": 96})
    again = client.get(
        f"{one}.png", params={"kind": kind, "size": 96}, headers={"If-None-Match": picture.headers["etag"]}
    )
    numbers = client.get(f"{one}.f32", params={"kind": kind})

    assert imread(io.BytesIO(picture.content)).shape == (64, 96, 4)
    assert again.status_code == 304
    assert numbers.headers["x-shape"] == "32,48"
    assert np.isfinite(np.frombuffer(numbers.content, "<f4")).all()


def test_raw_counts_and_rate_share_their_colours(client: httpx.Client, denoised: dict[str, Any]) -> None:
    one = f"/analyses/{denoised['id']}/frame/0.png"
    scales = [client.get(one, params={"kind": kind}).headers["x-scale"] for kind in ("raw", "rate", "residual")]

    assert scales[0] == scales[1]
    assert scales[2] == "-4,4"


def test_part_of_a_frame_is_that_part(client: httpx.Client, denoised: dict[str, Any], frames: np.ndarray) -> None:
    window = {"kind": "raw", "row": 8, "row_stop": 20, "column": 4, "column_stop": 9}
    answer = client.get(f"/analyses/{denoised['id']}/frame/1.f32", params=window)

    assert (answer.headers["x-shape"], answer.headers["x-start"], answer.headers["x-step"]) == ("12,5", "8,4", "1")
    expected = frames[2:4].sum(axis=0)[8:20, 4:9]
    np.testing.assert_array_equal(np.frombuffer(answer.content, "<f4").reshape(12, 5), expected)


def test_profile_goes_through_raw_counts_and_rate(handle: AnalysisHandle, frames: np.ndarray) -> None:
    found = handle.profile(0, (14, 10), (14, 40), width=3)

    own = frames[:2].sum(axis=0)[13:16, 10:41]
    np.testing.assert_allclose(found["raw"], own.mean(axis=0))
    np.testing.assert_allclose(found["rate"], handle.frame(0).values[13:16, 10:41].mean(axis=0), rtol=1e-6)
    assert found["rate"].idxmax() == pytest.approx(16, abs=1)
    assert found.attrs["units"]["rate_error"] == "counts"


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        (
            "frame/0/profile?row=1&column=1&row_stop=1&column_stop=1",
            400,
            "The line cannot be drawn: start and stop are",
        ),
        ("frame/0/profile?row=1&column=1&row_stop=1&column_stop=99", 400, "stop is (1, 99), expected a point within"),
        ("frame/3.png", 400, "frame is 3, but analysis {id} has the frames 0 to 2."),
        ("frame/0.f32?row=5&row_stop=40", 400, "row is 5 and row_stop is 40, but there are 32 rows"),
        ("frame/0.png?vmin=2&vmax=1", 400, "vmin is 2 and vmax is 1"),
        ("frame/0.png?vmin=-1", 400, "vmin is -1, but colours are logarithmic"),
        ("fits", 404, "Analysis {id} holds denoised frames and no correlation functions"),
        ("result", 404, "Analysis {id} holds denoised frames and no correlation functions"),
        ("two-time/1.png", 404, "Analysis {id} holds denoised frames and no correlation functions"),
        ("advice", 404, "Analysis {id} holds denoised frames and no correlation functions"),
        ("intensity", 404, "Analysis {id} holds denoised frames and no correlation functions"),
        ("export.pychx.h5", 404, "Analysis {id} holds denoised frames; there are export.nxs, export.h5, "),
        ("export.h5?image=raw", 400, "image is raw, but export.h5 holds all quantities; leave image out."),
    ],
)
def test_what_it_does_not_hold_is_said(
    client: httpx.Client, denoised: dict[str, Any], path: str, status: int, sentence: str
) -> None:
    answer = client.get(f"/analyses/{denoised['id']}/{path}")

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert sentence.format(id=denoised["id"]) in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["frames", "peaks.csv", "regions", "frame/0.png", "frame/0.f32", "frames/summary", "export.tif"]
)
def test_correlation_functions_hold_no_denoised_frames(client: httpx.Client, done: dict[str, Any], path: str) -> None:
    answer = client.get(f"/analyses/{done['id']}/{path}")

    assert answer.status_code == 404
    assert "holds correlation functions" in answer.json()["detail"]


def test_verdict_and_mean_frame_are_there_for_both_kinds(client: httpx.Client, denoised: dict[str, Any]) -> None:
    verdict = client.get(f"/analyses/{denoised['id']}/verdict").json()
    picture = client.get(f"/analyses/{denoised['id']}/mean-frame.png", params={"rois": True, "size": 64})

    assert "change with temperature" in verdict["text"]
    assert {one["picture"] for one in verdict["statements"]} <= {"frames", "peaks", "regions"}
    assert picture.status_code == 200


def test_latest_stays_with_the_dynamics(client: httpx.Client, denoised: dict[str, Any], done: dict[str, Any]) -> None:
    assert client.get("/latest", params={"sample": done["sample"]}).status_code == 200
    assert client.get("/latest").json()["id"] != denoised["id"]
    assert client.get("/latest", params={"sample": "charge order"}).status_code == 409


def test_notebook_has_frames_and_tables_with_units(handle: AnalysisHandle, frames: np.ndarray) -> None:
    rate, raw = handle.frame(0), handle.frame(0, "raw")
    regions, peaks = handle.regions(), handle.peaks()

    assert rate.dims == ("row", "column")
    assert (rate.name, rate.attrs["units"]) == ("rate", "counts")
    np.testing.assert_array_equal(raw.values, frames[:2].sum(axis=0))
    assert regions.attrs["scan_variable"] == "temperature"
    assert (regions.attrs["units"]["scan_value"], peaks.attrs["units"]["width"]) == ("K", "pixel")
    assert len(handle.frames()) == 3
    assert "change with temperature" in handle.verdict


def test_files_hold_rate_errors_and_raw_counts(handle: AnalysisHandle, tmp_path: Path, frames: np.ndarray) -> None:
    for ending in ("nxs", "h5"):
        handle.save(str(tmp_path / f"result.{ending}"))

    with h5py.File(tmp_path / "result.nxs") as file:
        data = file["entry/data"]
        assert list(data.attrs["axes"]) == ["scan_value", "row", "column"]
        assert data.attrs["signal"] == "data"
        np.testing.assert_array_equal(data["raw"], frames.reshape(3, 2, *SHAPE).sum(axis=1))
        np.testing.assert_array_equal(data["data"][0], handle.frame(0).values)
        np.testing.assert_array_equal(data["data_errors"][0], handle.frame(0, "error").values)
        assert data["scan_value"][()].tolist() == [10.5, 20.5, 30.5]
        assert file["entry/tables/regions/counts"].shape == (3,)
        assert file["entry/process/frame_denoiser"].asstr()[()]
    with h5py.File(tmp_path / "result.h5") as file:
        assert file["rate"].shape == (3, *SHAPE)


@pytest.mark.parametrize("ending", ["tif", "edf"])
def test_images_hold_one_quantity_of_each_frame(handle: AnalysisHandle, tmp_path: Path, ending: str) -> None:
    handle.save(str(tmp_path / f"rate.{ending}"))
    handle.save(str(tmp_path / f"error.{ending}"), "error")

    for kind in ("rate", "error"):
        with fabio.open(str(tmp_path / f"{kind}.{ending}")) as images:
            assert images.nframes == 3
            last = images.get_frame(2)
            np.testing.assert_array_equal(last.data, handle.frame(2, kind).values)
            told = str(dict(last.header))
            assert all(one in told for one in (DENOISED_FRAMES, "temperature", "30.5", handle.state["raw_uid"]))
    with pytest.raises(UnusableRun, match="holds denoised frames"):
        open_frames(tmp_path / f"rate.{ending}")


def test_exported_frames_are_refused_where_they_would_be_correlated(handle: AnalysisHandle, tmp_path: Path) -> None:
    handle.save(str(tmp_path / "result.nxs"))
    facts = open_frames(tmp_path / "result.nxs").facts

    assert facts.denoised == f"attribute {DENOISED_FRAMES} of result.nxs"
    with pytest.raises(UnusableRun, match="no speckle left"):
        plan_of(facts, Recipe())
