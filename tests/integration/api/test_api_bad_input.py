"""The sentence that each kind of bad input gets."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest


def problem(answer: httpx.Response, status: int) -> str:
    """The sentence of a problem document; checks all its fields."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "instance"}
    assert document["status"] == status
    assert document["instance"] == answer.request.url.path
    sentence: str = document["detail"]
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("address", ["/analyses", "/plans"])
def test_unknown_uid(client: httpx.Client, address: str) -> None:
    sentence = problem(client.post(address, json={"uid": "ffffffff-0000"}), 404)
    assert "ffffffff-0000" in sentence


def test_missing_uid(client: httpx.Client) -> None:
    assert problem(client.post("/analyses", json={}), 422) == "uid is missing in the body; give it."


def test_unknown_field_of_the_request(client: httpx.Client) -> None:
    sentence = problem(client.post("/analyses", json={"uid": "1", "recepie": {}}), 422)
    assert sentence == "recepie is not a field of this request; remove it or correct its name."


def test_body_that_is_no_json(client: httpx.Client) -> None:
    sentence = problem(client.post("/analyses", content=b"{uid", headers={"Content-Type": "application/json"}), 422)
    assert sentence.startswith("The body is not JSON")


@pytest.mark.parametrize("body", [b'{"uid": "\xff\xfe"}', b'{"a":' * 100_000, b"[" * 100_000])
def test_body_that_cannot_be_read(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/plans", content=body, headers={"Content-Type": "application/json"})
    assert "JSON" in problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)


def test_unknown_key_of_the_recipe(client: httpx.Client, run_uid: str) -> None:
    answer = client.post("/plans", json={"uid": run_uid, "recipe": {"masks": {"hot": 5}}})
    assert problem(answer, 422) == "masks.hot is not a field of the recipe; remove it or correct its name."


def test_wrong_unit_in_the_recipe(client: httpx.Client, run_uid: str) -> None:
    rings = {"unit": "1/nm", "edges": [[1, 2]]}
    sentence = problem(client.post("/analyses", json={"uid": run_uid, "recipe": {"rois": [rings]}}), 422)
    assert "rois.0.unit" in sentence
    assert "'1/A' or 'pixel'" in sentence
    assert "'1/nm'" in sentence


def test_roi_outside_the_detector(client: httpx.Client, run_uid: str) -> None:
    recipe = {"rois": [{"unit": "pixel", "edges": [[5000, 5010]]}]}
    sentence = problem(client.post("/analyses", json={"uid": run_uid, "recipe": recipe}), 422)
    assert sentence.startswith("rois:")
    assert "5000" in sentence


def test_more_frames_than_there_are(client: httpx.Client, run_uid: str) -> None:
    sentence = problem(client.post("/analyses", json={"uid": run_uid, "recipe": {"frames": {"stop": 500}}}), 422)
    assert sentence.startswith("frames.stop is 500, but run ")
    assert "has 120 frames" in sentence


def test_run_without_detector(client: httpx.Client, write_documents: Callable[..., str]) -> None:
    uid = write_documents(scan_id=511)
    sentence = problem(client.post("/analyses", json={"uid": uid}), 422)
    assert uid[:8] in sentence
    assert "detector" in sentence


def test_run_with_a_detector_but_without_frames(client: httpx.Client, write_documents: Callable[..., str]) -> None:
    uid = write_documents(scan_id=515, detector=True)
    sentence = problem(client.post("/analyses", json={"uid": uid}), 422)
    assert uid[:8] in sentence
    assert "frames" in sentence


def test_run_that_still_runs(client: httpx.Client, write: Callable[..., str]) -> None:
    uid = write(10, scan_id=512, exit_status=None)
    sentence = problem(client.post("/analyses", json={"uid": uid}), 409)
    assert "still running" in sentence


def test_run_of_zeros_fails_and_says_why(
    client: httpx.Client, write: Callable[..., str], ended: Callable[[str], dict[str, Any]]
) -> None:
    uid = write(60, scan_id=516, dark=True)
    asked = client.post("/analyses", json={"uid": uid, "recipe": {"rois": [{"unit": "pixel", "edges": [[30, 40]]}]}})
    assert asked.status_code == 202
    failed = ended(asked.json()["id"])
    assert failed["status"] == "failed"
    assert "frames of run" in failed["error"]
    assert "are zero" in failed["error"]
    sentence = problem(client.get(f"/analyses/{failed['id']}/result"), 409)
    assert failed["error"] in sentence


def test_run_that_failed_is_refused_and_can_be_accepted(client: httpx.Client, write: Callable[..., str]) -> None:
    uid = write(60, scan_id=513, exit_status="fail")
    recipe = {"rois": [{"unit": "pixel", "edges": [[30, 40]]}]}
    sentence = problem(client.post("/plans", json={"uid": uid, "recipe": recipe}), 422)
    assert "accept_failed_run" in sentence
    accepted = client.post("/plans", json={"uid": uid, "recipe": recipe | {"frames": {"accept_failed_run": True}}})
    assert accepted.status_code == 200


def test_short_run_is_accepted_and_the_plan_says_that_it_stays_raw(
    client: httpx.Client, write: Callable[..., str]
) -> None:
    uid = write(30, scan_id=514)
    recipe = {"rois": [{"unit": "pixel", "edges": [[30, 40]]}]}
    plan = client.post("/plans", json={"uid": uid, "recipe": recipe})
    assert plan.status_code == 200
    assert (
        "30 frames are fewer than the 50 that denoising needs; the raw result stands alone." in plan.json()["warnings"]
    )


def test_unknown_analysis(client: httpx.Client) -> None:
    for path in ("", "/result", "/g2", "/two-time/1.png", "/events"):
        sentence = problem(client.get(f"/analyses/deadbeef-0123456789{path}"), 404)
        assert "deadbeef-0123456789" in sentence


@pytest.mark.parametrize("roi", [3, 99])
def test_roi_that_does_not_exist(client: httpx.Client, done: dict[str, Any], roi: int) -> None:
    sentence = problem(client.get(f"/analyses/{done['id']}/two-time/{roi}.png"), 400)
    assert sentence == f"roi is {roi}, but analysis {done['id']} has the ROIs 1 to 2."


def test_roi_that_is_no_number(client: httpx.Client, done: dict[str, Any]) -> None:
    sentence = problem(client.get(f"/analyses/{done['id']}/two-time/first.png"), 422)
    assert sentence.startswith("roi: ")
    assert "'first'" in sentence


def test_colours_upside_down(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"/analyses/{done['id']}/two-time/1.png", params={"vmin": 2, "vmax": 1})
    assert problem(answer, 400) == "vmin is 2 and vmax is 1; vmin must be below vmax."


def test_frames_beyond_the_end(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"/analyses/{done['id']}/two-time/1.f32", params={"start": 10, "stop": 999})
    assert "there are 120 frames" in problem(answer, 400)


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (
            {"start_2": 50, "stop_2": 50},
            "start_2 is 50 and stop_2 is 50, but there are 120 frames; give 0 <= start_2 <",
        ),
        ({"start": 30, "stop_2": 20}, "start_2 is 30 and stop_2 is 20"),
        ({"stop": 40, "stop_2": 121}, "start_2 is 0 and stop_2 is 121"),
    ],
)
def test_window_that_leaves_the_frames(
    client: httpx.Client, done: dict[str, Any], window: dict[str, int], sentence: str
) -> None:
    answer = client.get(f"/analyses/{done['id']}/two-time/1.f32", params=window)
    assert sentence in problem(answer, 400)


@pytest.mark.parametrize("start", [-1, "first"])
def test_frame_that_is_none(client: httpx.Client, done: dict[str, Any], start: Any) -> None:
    sentence = problem(client.get(f"/analyses/{done['id']}/two-time/1.f32", params={"start_2": start}), 422)
    assert sentence.startswith("start_2: ")


def test_unknown_kind_of_picture(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"/analyses/{done['id']}/two-time/1.png", params={"kind": "smooth"})
    assert "'raw', 'denoised', 'spread' or 'difference'" in problem(answer, 422)


def test_unknown_status_in_the_filter(client: httpx.Client) -> None:
    assert "'queued', 'running', 'done'" in problem(client.get("/analyses", params={"status": "ready"}), 422)


def test_unknown_address_and_method(client: httpx.Client) -> None:
    assert "/docs" in problem(client.get("/analysis"), 404)
    assert problem(client.delete("/analyses"), 405).startswith("DELETE is not possible at /api/v1/analyses")
