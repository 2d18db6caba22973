"""What a live scan shows over REST is what its frames say."""

from typing import Any

import httpx
import numpy as np
import pytest
from tests.writing import FRAMES, GEOMETRY, RINGS

from cnn_ed import Ensemble
from frame_denoiser import FrameDenoiser
from twotime.api.server import Server
from twotime.catalog.results.live_scans import LiveSink
from twotime.catalog.server.tiled_client import results_container
from twotime.live.display import denoised_arrays, denoised_numbers, shown_arrays, shown_numbers
from twotime.live.growing_analysis import GrowingAnalysis, Grown
from twotime.live.growing_frames import GrowingFrames, NewestFrame
from twotime.pipeline import plan, plan_frames
from twotime.recipe import GEOMETRY_UNITS, Found, FrameRecipe, RunFacts, parse_recipe

UID = "11112222-live-scan"


@pytest.fixture(scope="module")
def grown() -> Grown:
    """What the first 150 frames of a scan of 240 say."""
    geometry = {name: Found(getattr(GEOMETRY, name), "test") for name in GEOMETRY_UNITS}
    facts = RunFacts(UID, "camera_image", FRAMES.shape, scan_id=77, sample="growing", geometry=geometry)
    growing = GrowingAnalysis(plan(facts, parse_recipe(RINGS)), Ensemble.load())
    growing.take(0, FRAMES[:150])
    found = growing.grown()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def sink(root: Any, server: Server, grown: Grown) -> LiveSink:
    """The node of that scan, as its session writes it."""
    described = {"scan_id": 77, "sample": "growing", "detector": "camera_image", "state": "running", "message": ""}
    frames = {"n_frames": 160, "announced": 240, "frame_time_s": 0.01, "warnings": []}
    one = LiveSink(results_container(root, server.settings), UID, described | frames)
    one.write(shown_arrays(grown), **shown_numbers(grown), state="running", lag_s=1.5)
    return one


@pytest.mark.usefixtures("sink")
def test_view_holds_the_fits_of_every_roi_with_errors(client: httpx.Client, grown: Grown) -> None:
    view = client.get(f"/live/{UID}").json()

    assert (view["sample"], view["state"], view["n_frames"], view["n_shown"]) == ("growing", "running", 160, 150)
    assert [roi["roi"] for roi in view["rois"]] == [1, 2]
    rates = [result.raw.fits.relaxation_rate[0] for result in grown.results]
    assert [roi["raw"]["relaxation_rate"]["value"] for roi in view["rois"]] == pytest.approx(rates)
    assert all(roi["raw"]["relaxation_rate"]["error"] > 0 for roi in view["rois"])
    assert UID in [scan["uid"] for scan in client.get("/live").json()["scans"]]


@pytest.mark.usefixtures("sink")
def test_two_time_goes_as_far_as_the_scan(client: httpx.Client, grown: Grown) -> None:
    answer = client.get(f"/live/{UID}/two-time/1.f32")

    assert answer.headers["X-Shape"] == "150,150"
    values = np.frombuffer(answer.content, "<f4").reshape(150, 150)
    np.testing.assert_allclose(values, grown.results[0].c2, rtol=1e-6)
    denoised = client.get(f"/live/{UID}/two-time/1.f32", params={"kind": "denoised"})
    assert denoised.status_code == 200
    assert client.get(f"/live/{UID}/two-time/2.png").content.startswith(b"\x89PNG")


@pytest.mark.usefixtures("sink")
def test_curve_intensity_and_mean_frame_are_there(client: httpx.Client) -> None:
    g2 = client.get(f"/live/{UID}/g2", params={"roi": 2}).json()
    intensity = client.get(f"/live/{UID}/intensity").json()

    assert g2["columns"]["lag_s"][0] == pytest.approx(0.01)
    assert g2["n_rows"] == len(g2["columns"]["g2_raw"]) > 20
    assert len(intensity["time_s"]) == len(intensity["counts"][0]) == 150
    assert client.get(f"/live/{UID}/mean-frame.png").content.startswith(b"\x89PNG")


@pytest.mark.usefixtures("sink")
def test_latest_numbers_are_those_of_the_running_scan_where_asked_for(client: httpx.Client, grown: Grown) -> None:
    latest = client.get("/latest", params={"live": True, "sample": "growing"}).json()

    assert (latest["state"], latest["raw_uid"], latest["id"]) == ("running", UID, None)
    assert len(latest["relaxation_rate"]) == len(latest["relaxation_rate_error"]) == 2
    assert latest["q"] == pytest.approx(list(grown.reading.rois.q))


@pytest.mark.usefixtures("sink")
@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/live/nowhere", 404, "No scan 'nowhere' is followed live"),
        (f"/live/{UID}/two-time/9.f32", 400, "has the ROIs 1 to 2"),
        (f"/live/{UID}/g2?roi=0", 400, "has the ROIs 1 to 2"),
    ],
)
def test_what_is_not_there_is_said(client: httpx.Client, path: str, status: int, words: str) -> None:
    answer = client.get(path)

    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_scan_without_frames_yet_is_not_ready(client: httpx.Client, root: Any, server: Server) -> None:
    described = {"scan_id": 78, "sample": "waits", "detector": "camera_image", "state": "running", "message": ""}
    LiveSink(results_container(root, server.settings), "waits", {**described, "n_frames": 0, "frame_time_s": 0.01})

    assert client.get("/live/waits").json()["rois"] == []
    assert client.get("/live/waits/two-time/1.f32").status_code == 409


FRAMES_UID = "33334444-live-frames"
REGION = {"rows": [5, 12], "columns": [6, 15]}


@pytest.fixture(scope="module")
def newest(root: Any, server: Server) -> NewestFrame:
    """The newest frame of a scan whose frames are denoised as they come, as its session writes it."""
    recipe = parse_recipe({"kind": "frames", "frames": {"sum": 2}, "regions": [REGION], "peaks": {"significance": 3}})
    assert isinstance(recipe, FrameRecipe)
    facts = RunFacts(FRAMES_UID, "camera_image", FRAMES.shape, scan_id=79, sample="growing frames")
    growing = GrowingFrames(plan_frames(facts, recipe), FrameDenoiser.load())
    one = LiveSink(
        results_container(root, server.settings),
        FRAMES_UID,
        {"kind": "frames", "scan_id": 79, "sample": "growing frames", "detector": "camera_image", "message": ""}
        | {"recipe": recipe.model_dump(mode="json"), "n_frames": 0, "state": "running", "frame_time_s": None},
    )
    for first in (0, 2):
        growing.take(first, FRAMES[first : first + 2])
        found = growing.newest()
        assert found is not None
        one.write(denoised_arrays(found), **denoised_numbers(found), n_frames=first + 2)
    return found


def test_newest_denoised_frame_of_a_running_scan(client: httpx.Client, newest: NewestFrame) -> None:
    view = client.get(f"/live/{FRAMES_UID}").json()

    assert (view["kind"], view["n_frames"], view["n_shown"], view["frame_time_s"]) == ("frames", 4, 2, None)
    assert {name: view["newest"][name] for name in ("frame", "frame_number", "frames_summed")} == {
        "frame": 1,
        "frame_number": 2,
        "frames_summed": 2,
    }
    assert view["newest"]["shape"] == list(FRAMES.shape[1:])
    assert view["newest"]["regions"][0]["rows"] == REGION["rows"]
    for kind, expected in (("rate", newest.denoised.rate), ("residual", newest.denoised.residual)):
        answer = client.get(f"/live/{FRAMES_UID}/frame.f32", params={"kind": kind})
        shape = tuple(map(int, answer.headers["x-shape"].split(",")))
        np.testing.assert_array_equal(np.frombuffer(answer.content, "<f4").reshape(shape), expected)
        picture = client.get(f"/live/{FRAMES_UID}/frame.png", params={"kind": kind, "size": 64})
        assert picture.content.startswith(b"\x89PNG")


def test_tables_of_a_running_scan_go_as_far_as_it(client: httpx.Client, newest: NewestFrame) -> None:
    regions = client.get(f"/live/{FRAMES_UID}/regions").json()
    peaks = client.get(f"/live/{FRAMES_UID}/peaks").json()

    counts = FRAMES[:4].reshape(2, 2, *FRAMES.shape[1:]).sum(axis=1)[:, 5:12, 6:15].sum(axis=(1, 2))
    assert regions["columns"]["counts"] == counts.tolist()
    assert (regions["units"]["counts"], regions["columns"]["scan_value"]) == ("counts", [None, None])
    assert peaks["columns"]["row"] == pytest.approx(newest.tables["peaks"]["row"].tolist())
    assert client.get(f"/live/{FRAMES_UID}/frames").json()["n_rows"] == 2


@pytest.mark.usefixtures("sink", "newest")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"/live/{FRAMES_UID}/g2", "are denoised and not correlated"),
        (f"/live/{FRAMES_UID}/two-time/1.png", "are denoised and not correlated"),
        (f"/live/{UID}/frame.png", "are correlated and not denoised"),
        (f"/live/{UID}/regions", "are correlated and not denoised"),
    ],
)
def test_each_kind_of_running_scan_says_what_it_does_not_hold(client: httpx.Client, path: str, words: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert words in answer.json()["detail"]
