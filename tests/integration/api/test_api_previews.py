"""What a run looks like and where the ROIs of a plan lie, before anything is computed."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from matplotlib.image import imread
from tests.integration.api.conftest import RECIPE, SHAPE
from tests.integration.api.test_api_bad_input import problem


def picture(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return imread(BytesIO(answer.content), format="png")


@pytest.mark.parametrize("which", [{}, {"frame": 119}, {"orientation": "flipped"}])
def test_frame_of_a_run_has_its_size(client: httpx.Client, run_uid: str, which: dict[str, str]) -> None:
    drawn = picture(client.get(f"/runs/{run_uid}/frame.png", params=which))

    assert drawn.shape[:2] == SHAPE
    assert len(np.unique(drawn[..., :3].reshape(-1, 3), axis=0)) > 3


def test_flipped_frame_stands_upside_down(client: httpx.Client, run_uid: str) -> None:
    raw, flipped = (
        picture(client.get(f"/runs/{run_uid}/frame.png", params={"orientation": one})) for one in ("raw", "flipped")
    )

    np.testing.assert_array_equal(flipped, raw[::-1])


@pytest.mark.parametrize("size", [700, 20])
def test_outlines_fit_over_the_frame(client: httpx.Client, run_uid: str, size: int) -> None:
    frame = picture(client.get(f"/runs/{run_uid}/frame.png", params={"size": size}))

    outlines = picture(client.post("/plans/rois.png", json={"uid": run_uid, "recipe": RECIPE, "size": size}))

    assert outlines.shape[:2] == frame.shape[:2]
    opaque = outlines[..., 3] > 0
    assert 0 < opaque.mean() < 1
    assert (outlines[opaque] == 1).all()


def test_frame_that_does_not_exist(client: httpx.Client, run_uid: str) -> None:
    answer = client.get(f"/runs/{run_uid}/frame.png", params={"frame": 120})
    assert problem(answer, 400) == f"frame is 120, but run {run_uid[:8]} has the frames 0 to 119."


def test_frame_of_an_unknown_run_or_detector_or_orientation(client: httpx.Client, run_uid: str) -> None:
    assert "ffffffff-0000" in problem(client.get("/runs/ffffffff-0000/frame.png"), 404)
    assert "nocam" in problem(client.get(f"/runs/{run_uid}/frame.png", params={"detector": "nocam"}), 422)
    askew = client.get(f"/runs/{run_uid}/frame.png", params={"orientation": "askew"})
    assert "'raw', 'flipped'" in problem(askew, 422)


def test_outlines_of_a_recipe_that_does_not_fit(client: httpx.Client, run_uid: str) -> None:
    recipe = {"rois": [{"unit": "pixel", "edges": [[5000, 5010]]}]}
    assert problem(client.post("/plans/rois.png", json={"uid": run_uid, "recipe": recipe}), 422).startswith("rois:")
    assert "size" in problem(client.post("/plans/rois.png", json={"uid": run_uid, "size": 5}), 422)


def test_key_that_may_read_sees_frames_and_outlines(client: httpx.Client, run_uid: str, keys: dict[str, str]) -> None:
    shown = {"X-API-Key": keys["read"]}
    assert client.get(f"/runs/{run_uid}/frame.png", headers=shown).status_code == 200
    asked = {"uid": run_uid, "recipe": RECIPE}
    assert client.post("/plans/rois.png", json=asked, headers=shown).status_code == 200


def test_plan_and_analysis_tell_what_was_asked_without_the_rest(client: httpx.Client, run_uid: str) -> None:
    recipe = {"rois": [{"unit": "pixel", "edges": [[30, 40]]}]}

    plan = client.post("/plans", json={"uid": run_uid, "recipe": recipe}).json()

    assert plan["request"] == recipe
    assert plan["recipe"]["fit"]["ages"] == 8
