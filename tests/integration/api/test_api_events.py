"""Server-sent events: what happens, as it happens."""

import json
from collections.abc import Iterator
from typing import Any

import httpx


def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and data of each event of a stream."""
    kind = ""
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def test_stream_of_an_ended_analysis_says_so_and_ends(client: httpx.Client, done: dict[str, Any]) -> None:
    with client.stream("GET", f"/analyses/{done['id']}/events", headers={"Last-Event-ID": "17"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = list(events(answer))
    assert [(kind, data["status"]) for kind, data in heard] == [("analysis", "done")]


def test_stream_follows_an_analysis_to_its_end(client: httpx.Client, run_uid: str) -> None:
    recipe = {"rois": [{"unit": "pixel", "edges": [[31, 44]]}], "denoise": {"enabled": False}, "fit": {"ages": 0}}
    asked = client.post("/analyses", json={"uid": run_uid, "recipe": recipe}).json()
    with client.stream("GET", f"/analyses/{asked['id']}/events", timeout=240) as answer:
        heard = [data for _, data in events(answer)]
    assert heard[-1]["status"] == "done", heard[-1]
    assert {data["id"] for data in heard} == {asked["id"]}
    plain = client.get(f"/analyses/{asked['id']}/two-time/1.png", params={"kind": "denoised"})
    assert plain.status_code == 404
    assert "two_time_denoised" in plain.json()["detail"]


def test_stream_of_everything_carries_new_analyses(client: httpx.Client, run_uid: str, done: dict[str, Any]) -> None:
    with client.stream("GET", "/events", timeout=240) as answer:
        again = {"uid": run_uid, "recipe": {"rois": done["recipe"]["rois"], "denoise": {"enabled": False}}}
        asked = client.post("/analyses", json=again).json()
        for kind, data in events(answer):
            if kind == "analysis" and data["id"] == asked["id"]:
                break
    assert data["raw_uid"] == run_uid
