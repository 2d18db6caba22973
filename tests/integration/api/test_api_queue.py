"""The queue in the hands of an operator: paused, put in another order, filled by a search."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.integration.api.conftest import RECIPE
from tests.waiting import until


@pytest.fixture
def paused(client: httpx.Client) -> Iterator[None]:
    """A queue that begins nothing and runs nothing; empty and open again afterwards."""
    assert client.post("/queue/pause").json()["paused"]
    # A pause lets what another test started run to its end.
    _until_nothing_runs(client)
    yield
    for one in client.get("/queue").json()["waiting"]:
        client.post(f"/analyses/{one}/cancel")
    assert not client.post("/queue/resume").json()["paused"]
    _until_nothing_runs(client)


def _until_nothing_runs(client: httpx.Client) -> None:
    until(lambda: client.get("/queue").json()["running"] == [], lambda: client.get("/queue").text)


def ask(client: httpx.Client, uid: str, ages: int) -> str:
    answer = client.post("/analyses", json={"uid": uid, "recipe": {**RECIPE, "fit": {"ages": ages}}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.usefixtures("paused")
def test_paused_queue_begins_nothing_and_keeps_the_order(client: httpx.Client, run_uid: str) -> None:
    ids = [ask(client, run_uid, ages) for ages in (21, 22, 23)]

    queue = client.get("/queue").json()

    assert (queue["paused"], queue["running"], queue["waiting"]) == (True, [], ids)
    assert len(queue["expected_starts_s"]) == 3
    assert {client.get(f"/analyses/{one}").json()["status"] for one in ids} == {"queued"}


@pytest.mark.usefixtures("paused")
def test_waiting_analysis_can_be_moved_to_the_front(client: httpx.Client, run_uid: str) -> None:
    ids = [ask(client, run_uid, ages) for ages in (24, 25, 26)]

    client.post(f"/analyses/{ids[1]}/first")
    queue = client.post(f"/analyses/{ids[2]}/first").json()

    assert queue["waiting"] == [ids[2], ids[1], ids[0]]


def test_analysis_that_does_not_wait_cannot_be_moved(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.post(f"/analyses/{done['id']}/first")

    assert answer.status_code == 409
    assert "does not wait" in answer.json()["detail"]


def test_all_runs_of_a_sample_are_asked_for_at_once(
    client: httpx.Client, write: Callable[..., str], ended: Callable[[str], dict[str, Any]]
) -> None:
    uids = [write(60, sample="many", scan_id=number) for number in (9101, 9102, 9103)]
    uids.append(write(60, sample="many", scan_id=9104, exit_status="abort"))

    answer = client.post("/analyses/many", json={"sample": "many", "first_scan_id": 9102, "recipe": RECIPE})

    assert answer.status_code == 202, answer.text
    runs = answer.json()["runs"]
    assert [one["uid"] for one in runs] == uids[1:]
    assert "ended with exit_status 'abort'" in runs[2]["reason"]
    assert [one["analysis_id"] is None for one in runs] == [False, False, True]
    assert [ended(one["analysis_id"])["status"] for one in runs[:2]] == ["done", "done"]


def test_search_for_no_run_in_particular_is_refused(client: httpx.Client) -> None:
    answer = client.post("/analyses/many", json={"recipe": RECIPE})

    assert answer.status_code == 404
    assert "Nothing says which runs" in answer.json()["detail"]
