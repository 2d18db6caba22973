"""A Tiled with proposals: results carry the access tags of their runs, and a key of Tiled opens what Tiled shows."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.guarded import ALICE, BEAMLINE, BOB, SERVICE, GuardedTiled
from tests.proposals import SAMPLE, Site, site_beside
from tests.waiting import until
from tests.writing import RINGS

from twotime.api.security.keys import WITHIN_S
from twotime.catalog.results.publish import run_uid
from twotime.catalog.server.tiled_client import open_root

pytestmark = pytest.mark.long

_ENDINGS = ("nxs", "h5", "pychx.h5", "html", "txt")


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedTiled]:
    """A server with two proposals."""
    with GuardedTiled(tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture(scope="module")
def site(tiled: GuardedTiled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service that accepts keys of Tiled, with a finished analysis of each kind."""
    with site_beside(tiled, tmp_path_factory.mktemp("service")) as running:
        yield running


def nodes_below(node: Any) -> Iterator[Any]:
    """A node and all that it holds."""
    yield node
    if hasattr(node, "values"):
        container = getattr(node, "base", node)
        for inner in container.values():
            yield from nodes_below(inner)


def test_every_node_of_a_run_has_its_tags_and_no_others(site: Site) -> None:
    root = open_root(site.tiled.settings(BEAMLINE))
    results = root["processed"]
    written = [results[site.analysis], results["live"][site.run], results["runs"][run_uid(site.analysis)]]
    nodes = [node for one in written for node in nodes_below(one)]

    assert len(nodes) > 20
    assert {tuple(node.access_tags) for node in nodes} == {("proposal_a",)}
    assert [list(results[shared].access_tags) for shared in ("live", "runs")] == [["everybody"]] * 2
    root.context.close()


def test_tiled_shows_the_results_of_a_proposal_to_its_user_only(site: Site) -> None:
    seen = {}
    for user in (ALICE, BOB, SERVICE):
        root = open_root(site.tiled.settings(user))
        results = root["processed"]
        seen[user] = [site.analysis in results, site.run in results["live"], len(results["runs"]), len(root["raw"])]
        root.context.close()

    assert seen[ALICE] == seen[SERVICE] == [True, True, 2, 1]
    assert seen[BOB] == [False, False, 0, 0]


def test_caller_sees_the_proposal_of_his_own(site: Site) -> None:
    with site.client(site.tiled.keys[ALICE]) as alice:
        listed = alice.get("/api/v1/analyses").json()
        assert {one["id"] for one in listed["analyses"]} == {site.analysis, site.frames_analysis}
        assert listed["total"] == 2
        assert [run["uid"] for run in alice.get("/api/v1/runs").json()["runs"]] == [site.run]
        assert [scan["uid"] for scan in alice.get("/api/v1/live").json()["scans"]] == [site.run]
        assert alice.get("/api/v1/latest").json()["sample"] == SAMPLE
        one = f"/api/v1/analyses/{site.analysis}"
        assert len(alice.get(f"{one}/result").json()["rois"]) == 2
        assert alice.get(f"{one}/two-time/1.png").content.startswith(b"\x89PNG")
        assert alice.get(f"/api/v1/runs/{site.run}/frame.png").content.startswith(b"\x89PNG")


def test_access_token_of_tiled_does_the_same(site: Site) -> None:
    with site.client(Authorization=f"Bearer {site.tiled.token_of(ALICE)}") as alice:
        assert alice.get(f"/api/v1/analyses/{site.analysis}").status_code == 200
    with site.client(Authorization=f"Bearer {site.tiled.token_of(BOB)}") as bob:
        assert bob.get(f"/api/v1/analyses/{site.analysis}").status_code == 404


def operations(site: Site) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the OpenAPI document, and of its body the schema's example."""
    with site.client(site.server.key) as client:
        document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            body = document["components"]["schemas"][name]["examples"][0] if name else {}
            yield method, path, body


def asked(site: Site, client: httpx.Client, run: str, analysis: str) -> dict[str, tuple[int, str]]:
    """Status and body of the answer to every operation, asked with this run and this analysis.

    What it was asked with stands in an answer as RUN and ANALYSIS.
    """
    answers = {}
    for method, path, example in operations(site):
        meant = {"uid": run, "sample": SAMPLE, "recipe": RINGS}
        body = {name: meant.get(name, value) for name, value in example.items()}
        for ending in _ENDINGS if "{ending}" in path else ("",):
            place = path.format(analysis_id=analysis, uid=run, roi=1, frame=0, ending=ending)
            query = {"roi": 1, "age_s": 0.3} if path.endswith("age-cut") else {}
            query |= {"size": 64} if path.endswith(".png") else {}
            query |= {"row": 1, "column": 1, "row_stop": 9, "column_stop": 9} if path.endswith("/profile") else {}
            # The example of a mark, which has been set by then, says that the scan is bad.
            query |= {"sample": SAMPLE, "group": 1, "with_bad": True} if "/series" in path else {}
            with client.stream(method, place, params=query, json=body or None) as answer:
                # A stream that is open to the caller has no end; its first line will do.
                streamed = "event-stream" in answer.headers.get("content-type", "")
                text = next(answer.iter_lines()) if streamed else answer.read().decode("latin-1")
            operation, words = [one.replace(analysis, "ANALYSIS").replace(run, "RUN") for one in (place, text)]
            answers[f"{method} {operation}"] = (answer.status_code, words)
    return answers


def test_nothing_of_another_proposal_leaves_by_any_route(site: Site) -> None:
    with site.client(site.tiled.keys[BOB]) as bob:
        answers = asked(site, bob, site.run, site.analysis)
        of_nothing = asked(site, bob, site.run[::-1], site.analysis[::-1])

    assert len(answers) > 40
    # What is there and what is not are answered alike, and where nothing is named, nothing is told.
    assert answers == of_nothing
    for operation, (_, text) in of_nothing.items():
        assert [word for word in (site.run, site.analysis, SAMPLE) if word in text] == [], operation
    refused = {operation for operation, (status, _) in answers.items() if status >= 400}
    open_to_all = {"get /healthz", "get /readyz", "get /api/v1/analyses", "get /api/v1/runs", "get /api/v1/live"}
    assert set(answers) - refused == open_to_all | {"post /api/v1/analyses/many"}
    assert answers["post /api/v1/analyses/many"] == (202, '{"runs":[]}')
    assert {status for operation, (status, _) in answers.items() if "ANALYSIS" in operation} == {403, 404}


def test_the_same_routes_do_show_it_to_its_own_user(site: Site) -> None:
    with site.client(site.tiled.keys[ALICE]) as alice:
        answers = asked(site, alice, site.run, site.analysis)

    refused = {operation: status for operation, (status, _) in answers.items() if status >= 400}
    # No variants were fitted, no frames denoised by this analysis, and no webhook is registered.
    absent = ("fits-variant", "frame", "peaks", "regions")
    missing = ("post /api/v1/hooks/tiled", *(f"get /api/v1/analyses/ANALYSIS/{name}" for name in absent))
    missing += tuple(f"get /api/v1/live/RUN/{name}" for name in ("frame", "peaks", "regions"))
    unexpected = [one for one, status in refused.items() if status != 403 and not one.startswith(missing)]
    assert unexpected == [], [answers[one] for one in unexpected]
    assert len(answers) - len(refused) > 35
    assert sum("ANALYSIS" in text for _, text in answers.values()) > 5


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/queue"),
        ("GET", "/api/v1/events"),
        ("GET", "/metrics"),
        ("POST", "/api/v1/queue/pause"),
        ("POST", "/api/v1/queue/resume"),
        ("DELETE", "/api/v1/analyses"),
    ],
)
def test_what_is_about_all_runs_takes_a_key_of_the_service(site: Site, method: str, path: str) -> None:
    with site.client(site.tiled.keys[ALICE]) as alice:
        answer = alice.request(method, path)

    assert answer.status_code == 403
    assert "key of Tiled" in answer.json()["detail"]


def test_key_for_metadata_opens_no_data(site: Site) -> None:
    with site.client(site.tiled.key_of(ALICE, ("read:metadata",))) as alice:
        assert alice.get(f"/api/v1/analyses/{site.analysis}").status_code == 200
        for part in ("result", "g2", "two-time/1.png", "export.txt", "intensity"):
            assert alice.get(f"/api/v1/analyses/{site.analysis}/{part}").status_code == 404
        assert alice.get(f"/api/v1/live/{site.run}/mean-frame.png").status_code == 404
        assert alice.get(f"/api/v1/runs/{site.run}/frame.png").status_code == 404
        assert alice.get("/api/v1/latest").status_code == 404


def test_label_array_that_tiled_does_not_show_is_not_used(site: Site) -> None:
    run = site.write(tiled_access_tags=["proposal_b"], sample="of proposal B")
    labels = f"tiled:processed/{site.analysis}/final/roi_labels"
    wanted = {"uid": run, "recipe": {"rois": [{"kind": "labels", "array": labels}]}}

    with site.client(site.tiled.keys[BOB]) as bob:
        refused = [bob.post(f"/api/v1/{route}", json=wanted) for route in ("plans", "plans/rois.png", "analyses")]
    with site.client(site.server.key) as client:
        allowed = client.post("/api/v1/plans", json=wanted)

    assert [answer.status_code for answer in refused] == [422] * 3
    assert allowed.status_code == 200, allowed.text
    assert all("that this key can read" in answer.json()["detail"] for answer in refused)


def test_caller_asks_for_an_analysis_of_his_run_and_stops_it(site: Site) -> None:
    run = site.write(tiled_access_tags=["proposal_b"], sample="of proposal B")
    with site.client(site.tiled.keys[BOB]) as bob, site.client(site.tiled.keys[ALICE]) as alice:
        asked_for = bob.post("/api/v1/analyses", json={"uid": run, "recipe": RINGS})
        assert asked_for.status_code == 202, asked_for.text
        one = f"/api/v1/analyses/{asked_for.json()['id']}"
        assert alice.post(f"{one}/cancel").status_code == 404
        assert bob.post(f"{one}/cancel").status_code == 202
        until(lambda: bob.get(one).json()["status"] in ("cancelled", "done"))
        assert alice.get(one).status_code == 404
        assert alice.post("/api/v1/analyses", json={"uid": run, "recipe": RINGS}).status_code == 404


def test_run_whose_tags_the_service_may_not_give_is_refused_in_words(site: Site) -> None:
    run = site.write(tiled_access_tags=["not_ours"])

    with site.client(site.tiled.keys[ALICE]) as alice:
        answer = alice.post("/api/v1/analyses", json={"uid": run, "recipe": RINGS})

    assert answer.status_code == 422
    assert "access tags not_ours" in answer.json()["detail"]


@pytest.fixture
def address() -> dict[str, str]:
    """Header of a client at an address of its own, as a proxy on this machine would tell it."""
    return {"X-Forwarded-For": "2001:db8::7"}


def test_keys_that_tiled_refuses_are_wrong_and_slowed(site: Site, address: dict[str, str]) -> None:
    wrong = ["nonsense", "ü".encode(), "a" * 9000, "0" * 64, f"{site.tiled.keys[ALICE]}00"]
    with site.client(**address) as client:
        statuses = [client.get("/api/v1/analyses", headers={"X-API-Key": key}).status_code for key in wrong]
        slowed = client.get("/api/v1/analyses", headers={"X-API-Key": site.tiled.key_of(ALICE)})
        known = client.get("/api/v1/analyses", headers={"X-API-Key": site.server.key})

    assert statuses == [401] * 5
    assert slowed.status_code == 429
    assert 0 < int(slowed.headers["Retry-After"]) <= WITHIN_S
    assert known.status_code == 200


def test_key_that_was_revoked_opens_nothing_more(site: Site) -> None:
    key = site.tiled.key_of(ALICE)
    with site.client(key) as alice:
        assert alice.get(f"/api/v1/analyses/{site.analysis}").status_code == 200
        site.tiled.revoke(key)
        assert alice.get(f"/api/v1/analyses/{site.analysis}").status_code in (401, 404)
        assert alice.get("/api/v1/analyses").status_code in (401, 404)


def test_key_of_tiled_is_neither_logged_nor_written_down(site: Site, logs: io.StringIO) -> None:
    key = site.tiled.key_of(BOB)
    with site.client(key) as bob:
        assert bob.get("/api/v1/analyses").status_code == 200
        assert bob.get("/api/v1/analyses", headers={"X-API-Key": f"{key}0"}).status_code == 401

    files: list[Path] = [path for path in site.server.settings.var_dir.rglob("*") if path.is_file()]
    assert "wrong_key" in logs.getvalue()
    assert key not in logs.getvalue()
    assert [path for path in files if key.encode() in path.read_bytes()] == []


def test_page_takes_no_key_of_tiled(site: Site) -> None:
    with site.client() as client:
        answer = client.post("/session", data={"api_key": site.tiled.keys[ALICE]})

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
