"""Asking for analyses, finding, following and stopping them."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest


def test_analysis_is_accepted_with_its_address_and_computed(run_uid: str, done: dict[str, Any]) -> None:
    assert done["status"] == "done", done["error"]
    assert done["raw_uid"] == run_uid
    assert done["recipe"]["frames"]["stop"] == 120
    assert done["sources"]["rois"] == "recipe"
    assert "configuration" in done["sources"]["geometry.distance_m"]
    assert done["versions"]["ensemble"]
    assert sum(done["timings_s"].values()) > 0
    assert done["finished_time"] > done["created_time"]


def test_same_request_finds_the_same_analysis(client: httpx.Client, done: dict[str, Any]) -> None:
    recipe = {"rois": done["recipe"]["rois"], "masks": {"from_data": False}, "fit": {"ages": 2}}
    again = client.post("/analyses", json={"uid": done["raw_uid"][:8], "recipe": recipe})
    assert again.status_code == 200
    assert again.json()["id"] == done["id"]
    assert again.headers["location"] == f"/api/v1/analyses/{done['id']}"
    assert again.json()["attempt"] == done["attempt"]


def test_plan_says_every_value_and_its_source_and_computes_nothing(client: httpx.Client, run_uid: str) -> None:
    recipe = {"rois": [{"unit": "pixel", "edges": [[30, 50]]}], "geometry": {"distance_m": 6.0}}
    plan = client.post("/plans", json={"uid": run_uid, "recipe": recipe}).json()
    geometry = {row["name"]: row for row in plan["geometry"]}
    assert geometry["distance_m"] == {"name": "distance_m", "value": 6.0, "unit": "m", "source": "recipe"}
    assert "configuration" in geometry["wavelength_angstrom"]["source"]
    assert plan["rois"][0]["n_pixels"] > 0
    assert plan["rois"][0]["q_inner"] < plan["rois"][0]["q"] < plan["rois"][0]["q_outer"]
    assert plan["status"] is None
    assert client.get(f"/analyses/{plan['analysis_id']}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [{"status": "done"}, {"sample": "colloid in water"}, {"scan_id": 501}],
    ids=lambda query: next(iter(query)),
)
def test_list_is_filtered(client: httpx.Client, done: dict[str, Any], query: dict[str, Any]) -> None:
    listed = client.get("/analyses", params=query).json()
    assert done["id"] in {one["id"] for one in listed["analyses"]}
    assert listed["total"] == len(listed["analyses"])


def test_list_by_run_and_by_page(client: httpx.Client, done: dict[str, Any]) -> None:
    own = client.get("/analyses", params={"raw_uid": done["raw_uid"]}).json()
    assert all(one["raw_uid"] == done["raw_uid"] for one in own["analyses"])
    beyond = client.get("/analyses", params={"raw_uid": done["raw_uid"], "offset": own["total"]}).json()
    assert beyond["total"] == own["total"]
    assert beyond["analyses"] == []
    assert client.get("/analyses", params={"sample": "nobody has this"}).json()["total"] == 0


def test_cancelled_analysis_has_no_result(
    client: httpx.Client, run_uid: str, ended: Callable[[str], dict[str, Any]]
) -> None:
    recipe = {"rois": [{"unit": "pixel", "inner_radius": 30, "width": 1, "num_rings": 20}]}
    asked = client.post("/analyses", json={"uid": run_uid, "recipe": recipe}).json()
    assert client.post(f"/analyses/{asked['id']}/cancel").status_code == 202
    assert ended(asked["id"])["status"] == "cancelled"
    answer = client.get(f"/analyses/{asked['id']}/result")
    assert answer.status_code == 409
    assert "was cancelled" in answer.json()["detail"]


def test_runs_say_what_the_automatic_mode_makes_of_them(
    client: httpx.Client, done: dict[str, Any], write_documents: Callable[..., str]
) -> None:
    without = write_documents(scan_id=502)
    runs = {run["uid"]: run for run in client.get("/runs", params={"limit": 50}).json()["runs"]}
    assert done["id"] in runs[done["raw_uid"]]["analyses"]
    assert runs[done["raw_uid"]]["automatic"] == "off"
    assert runs[without]["detectors"] == []
    assert runs[without]["reason"]
