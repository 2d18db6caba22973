"""Two proposals under a Tiled with an access policy: on no route does B learn anything of A, nor by how long it takes.

`TABLE` names every operation of the service; a test fails where one is missing from it.
"""

import importlib
import pkgutil
import statistics
import time
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from tests.guarded import ALICE, BOB, GuardedTiled
from tests.proposals import DENOISED, SAMPLE, SCAN_ID, Site, follow, site_beside
from tests.writing import RINGS

from twotime.api import routes
from twotime.api.security.auth import LOGIN_PATH

pytestmark = pytest.mark.long

Kind = Literal["same", "list", "one", "whole"]
"""The same for everybody; a list of what Tiled shows to the caller; about one run or analysis; about all runs."""

API = "/api/v1"
ONE = f"{API}/analyses/{{analysis_id}}"
LIVE = f"{API}/live/{{uid}}"
TABLE: dict[str, Kind] = {
    "GET /": "same",
    "GET /docs": "same",
    "GET /openapi.json": "same",
    "GET /page/plotly.min.js": "same",
    "GET /page/{name}": "same",
    "GET /healthz": "same",
    "GET /readyz": "same",
    f"POST {LOGIN_PATH}": "same",
    "GET /metrics": "whole",
    f"GET {API}/events": "whole",
    f"GET {API}/queue": "whole",
    f"POST {API}/queue/pause": "whole",
    f"POST {API}/queue/resume": "whole",
    f"POST {ONE}/first": "whole",
    f"POST {API}/hooks/tiled": "same",
    f"GET {API}/analyses": "list",
    f"GET {API}/runs": "list",
    f"GET {API}/live": "list",
    f"GET {API}/latest": "list",
    f"GET {API}/series": "list",
    f"GET {API}/series.csv": "list",
    f"GET {API}/series/g2": "list",
    f"GET {API}/series/map": "list",
    f"GET {API}/series/report.html": "list",
    f"POST {API}/analyses/many": "list",
    f"POST {API}/analyses": "one",
    f"POST {API}/plans": "one",
    f"POST {API}/plans/rois.png": "one",
    f"GET {API}/runs/{{uid}}/frame.png": "one",
    f"GET {ONE}": "one",
    f"GET {ONE}/events": "one",
    f"POST {ONE}/cancel": "one",
    f"POST {ONE}/mark": "one",
    f"GET {ONE}/result": "one",
    f"GET {ONE}/intensity": "one",
    f"GET {ONE}/age-cut": "one",
    f"GET {ONE}/verdict": "one",
    f"GET {ONE}/advice": "one",
    f"GET {ONE}/mean-frame.png": "one",
    f"GET {ONE}/two-time/{{roi}}.png": "one",
    f"GET {ONE}/two-time/{{roi}}.f32": "one",
    f"GET {ONE}/export.{{ending}}": "one",
    **{f"GET {ONE}/{name}": "one" for name in ("g2", "g2-multitau", "fits", "fits-age", "fits-variant", "q-fit")},
    **{f"GET {ONE}/{name}.csv": "one" for name in ("g2", "g2-multitau", "fits", "fits-age", "fits-variant", "q-fit")},
    f"GET {ONE}/frames/summary": "one",
    **{f"GET {ONE}/{name}": "one" for name in ("frames", "peaks", "regions")},
    **{f"GET {ONE}/{name}.csv": "one" for name in ("frames", "peaks", "regions")},
    f"GET {ONE}/frame/{{frame}}.png": "one",
    f"GET {ONE}/frame/{{frame}}.f32": "one",
    f"GET {ONE}/frame/{{frame}}/profile": "one",
    f"GET {LIVE}": "one",
    f"GET {LIVE}/g2": "one",
    f"GET {LIVE}/intensity": "one",
    f"GET {LIVE}/mean-frame.png": "one",
    f"GET {LIVE}/two-time/{{roi}}.png": "one",
    f"GET {LIVE}/two-time/{{roi}}.f32": "one",
    **{f"GET {LIVE}/{name}": "one" for name in ("frame.png", "frame.f32", "frames", "peaks", "regions")},
}
ONES = [operation for operation, kind in TABLE.items() if kind == "one"]
ABSENT = ("fits-variant", *(f"{LIVE}/{name}" for name in ("frame", "peaks", "regions")))
"""Not fitted by these analyses; and their runs were followed for correlation functions."""
OF_FRAMES = tuple(f"GET {ONE}/{name}" for name in ("frame/", "frames", "peaks", "regions"))
"""Operations about denoised frames, which the analyses of kind frames have."""
TIMED = [f"GET {ONE}", f"GET {ONE}/result", f"GET {LIVE}", f"POST {API}/plans", f"POST {ONE}/cancel"]
TURNS = 25
SLACK_S = 0.05
"""What the scheduler of a busy machine adds to the median of so many turns."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        GuardedTiled(tmp_path_factory.mktemp("guarded")) as tiled,
        site_beside(tiled, tmp_path_factory.mktemp("service")) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def of_b(site: Site) -> tuple[str, str, str]:
    """Run of proposal B, with the scan_id that the run of A has, and its analyses of both kinds."""
    run = site.write(tiled_access_tags=["proposal_b"], sample="of proposal B", scan_id=SCAN_ID)
    analysis = site.analysed(run)
    frames = site.analysed(run, DENOISED)
    follow(site.tiled, run, "of proposal B")
    return run, analysis, frames


@pytest.fixture(scope="module")
def bob(site: Site, of_b: tuple[str, str, str]) -> Iterator[httpx.Client]:
    """B, after A and the service have asked for everything: whatever is kept of their answers is there."""
    assert of_b
    for key in (site.tiled.keys[ALICE], site.server.key):
        with site.client(key) as client:
            for operation in ONES:
                if operation.startswith("GET"):
                    ask(client, operation, site.run, _analysis(site, operation))
    with site.client(site.tiled.keys[BOB]) as client:
        yield client


def _analysis(site: Site, operation: str) -> str:
    """The analysis of A that an operation is about."""
    return site.frames_analysis if operation.startswith(OF_FRAMES) else site.analysis


def ask(
    client: httpx.Client, operation: str, run: str, analysis: str, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of an answer; RUN and ANALYSIS stand there for what was asked with."""
    method, path = operation.split(" ")
    place = path.format(analysis_id=analysis, uid=run, roi=1, frame=0, ending="txt", name="main.js")
    query: dict[str, Any] = {"roi": 1, "age_s": 0.3} if path.endswith("age-cut") else {}
    query |= {"size": 64} if path.endswith(".png") and method == "GET" else {}
    query |= {"row": 1, "column": 1, "row_stop": 9, "column_stop": 9} if path.endswith("/profile") else {}
    body = {"uid": run, "recipe": RINGS} if path in (f"{API}/analyses", f"{API}/plans", f"{API}/plans/rois.png") else {}
    body = {"sample": SAMPLE} if path.endswith("many") else body
    body = {"mark": "good"} if path.endswith("/mark") else body
    wanted = body if method == "POST" and body else None
    with client.stream(method, place, params=query, json=wanted, headers=headers) as answer:
        # A stream that is open to the caller has no end; its first line will do.
        streamed = "event-stream" in answer.headers.get("content-type", "")
        text = next(answer.iter_lines()) if streamed else answer.read().decode("latin-1")
    for name, value in (("ANALYSIS", analysis), ("RUN", run)):
        text = text.replace(value, name)
    return answer.status_code, text, dict(answer.headers)


def test_table_names_every_operation(site: Site) -> None:
    with site.client(site.server.key) as client:
        document = client.get("/openapi.json").json()
    known = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    known |= {"GET /openapi.json", f"POST {LOGIN_PATH}"}
    for module in pkgutil.iter_modules(routes.__path__):
        router = importlib.import_module(f"{routes.__name__}.{module.name}").router
        hidden = [route for route in router.routes if not (router.include_in_schema and route.include_in_schema)]
        known |= {f"{method} {route.path}" for route in hidden for method in route.methods}

    assert known == set(TABLE)


@pytest.mark.parametrize("operation", ONES)
def test_what_is_of_a_is_answered_to_b_as_what_does_not_exist(
    site: Site, bob: httpx.Client, of_b: tuple[str, str, str], operation: str
) -> None:
    analysis = _analysis(site, operation)
    status, text, headers = ask(bob, operation, site.run, analysis)
    nothing = ask(bob, operation, site.run[::-1], analysis[::-1])

    assert status == 404
    assert (status, text) == nothing[:2]
    assert headers.keys() == nothing[2].keys()
    assert [word for word in (SAMPLE, site.run, analysis) if word in text] == []
    own = ask(bob, operation, of_b[0], of_b[2] if operation.startswith(OF_FRAMES) else of_b[1])
    assert own[0] < 400 or any(name in operation for name in ABSENT), own[1]


def test_what_a_browser_kept_of_a_is_not_confirmed_to_b(site: Site, bob: httpx.Client) -> None:
    asked = 0
    with site.client(site.tiled.keys[ALICE]) as alice:
        for operation in ONES:
            if not operation.startswith("GET"):
                continue
            analysis = _analysis(site, operation)
            tag = ask(alice, operation, site.run, analysis)[2].get("etag")
            if tag is not None:
                asked += 1
                kept = {"If-None-Match": tag}
                assert ask(alice, operation, site.run, analysis, kept)[0] in (200, 304)
                assert ask(bob, operation, site.run, analysis, kept)[0] == 404, operation

    assert asked > 5


@pytest.mark.parametrize("operation", [one for one, kind in TABLE.items() if kind == "whole"])
def test_what_is_about_all_runs_is_refused(site: Site, bob: httpx.Client, operation: str) -> None:
    status, text, _ = ask(bob, operation, site.run, site.analysis)

    assert status == 403
    assert [word for word in (SAMPLE, site.run, site.analysis) if word in text] == []


@pytest.mark.parametrize("operation", [one for one, kind in TABLE.items() if kind == "same"])
def test_what_is_the_same_for_all_tells_of_no_run(site: Site, bob: httpx.Client, operation: str) -> None:
    _, text, _ = ask(bob, operation, site.run, site.analysis)

    assert [word for word in (SAMPLE, site.run, site.analysis) if word in text] == []


def test_lists_and_their_counts_hold_what_is_of_b(site: Site, bob: httpx.Client, of_b: tuple[str, str, str]) -> None:
    run, analysis, frames = of_b
    listed = bob.get(f"{API}/analyses").json()
    assert (listed["total"], [one["id"] for one in listed["analyses"]]) == (2, [frames, analysis])
    assert [one["uid"] for one in bob.get(f"{API}/runs").json()["runs"]] == [run]
    assert [one["analyses"] for one in bob.get(f"{API}/runs").json()["runs"]] == [[frames, analysis]]
    assert [one["uid"] for one in bob.get(f"{API}/live").json()["scans"]] == [run]
    assert bob.get(f"{API}/latest").json()["id"] == analysis
    for of_a in ({"sample": SAMPLE}, {"raw_uid": site.run}, {"raw_uid": site.run[:8]}, {"status": "failed"}):
        empty = bob.get(f"{API}/analyses", params=of_a).json()
        assert (empty["total"], empty["analyses"]) == (0, []), of_a
    assert bob.get(f"{API}/analyses", params={"scan_id": SCAN_ID}).json()["total"] == 2
    assert bob.get(f"{API}/analyses", params={"offset": 2}).json()["analyses"] == []
    assert bob.post(f"{API}/analyses/many", json={"sample": SAMPLE}).json() == {"runs": []}
    words = [bob.get(f"{API}/latest", params={"sample": sample}).json()["detail"] for sample in (SAMPLE, "nothing")]
    assert words[0].replace(SAMPLE, "nothing") == words[1]


def test_series_and_their_fields_hold_what_is_of_b(site: Site, bob: httpx.Client, of_b: tuple[str, str, str]) -> None:
    _, analysis, _ = of_b
    series = f"{API}/series"
    with site.client(site.server.key) as everything:  # What the service keeps of A's runs is not shown to B.
        assert everything.get(series, params={"first_scan_id": SCAN_ID}).json()["n_scans"] == 2

    for which in ({"first_scan_id": SCAN_ID}, {"since": 0}, {"id": [analysis, site.analysis]}):
        found = bob.get(series, params=which).json()
        assert (found["n_scans"], found["scans"]["columns"]["analysis_id"]) == (1, [analysis]), which
        assert (found["fields"], {one["n_scans"] for one in found["groups"]}) == ([], {1})
        assert site.analysis not in bob.get(f"{series}.csv", params=which).text
        curves = bob.get(f"{series}/g2", params={**which, "group": 1}).json()["columns"]
        assert set(curves["analysis_id"]) == {analysis}
        on_map = bob.get(f"{series}/map", params=which).json()
        assert (on_map["n_scans"], set(on_map["dots"]["columns"]["analysis_id"])) == (1, {analysis})
    for path in (series, f"{series}.csv", f"{series}/g2", f"{series}/map", f"{series}/report.html"):
        for of_a, of_none in (
            ({"sample": SAMPLE}, {"sample": "nothing"}),
            ({"id": site.analysis}, {"id": site.analysis[::-1]}),
        ):
            answers = [bob.get(path, params={**one, "group": 1}) for one in (of_a, of_none)]
            assert answers[0].status_code == 404
            assert answers[0].text == answers[1].text


def test_reference_that_fits_runs_of_both_means_that_of_b(
    site: Site, bob: httpx.Client, of_b: tuple[str, str, str]
) -> None:
    for reference in (str(SCAN_ID), "-1"):
        assert bob.post(f"{API}/plans", json={"uid": reference, "recipe": RINGS}).json()["raw_uid"] == of_b[0]
    words = [
        bob.post(f"{API}/plans", json={"uid": reference, "recipe": RINGS}).json()["detail"].replace(reference, "")
        for reference in ("-2", "-7", site.run[:8], site.run[:8][::-1])
    ]
    assert words[0] == words[1]
    assert words[2] == words[3]


@pytest.mark.parametrize("operation", TIMED)
def test_not_yours_takes_as_long_as_not_there(site: Site, bob: httpx.Client, operation: str) -> None:
    asked = {"not yours": (site.run, site.analysis), "not there": (site.run[::-1], site.analysis[::-1])}
    took: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(TURNS):
        for name, one in asked.items():
            began = time.perf_counter()
            assert ask(bob, operation, *one)[0] == 404
            took[name].append(time.perf_counter() - began)
    mine, nothing = (statistics.median(took[name]) for name in asked)
    noise = statistics.quantiles(took["not there"], n=4)

    print(
        f"{operation}: not yours {1e3 * mine:.1f} ms, not there {1e3 * nothing:.1f} ms "
        f"(quartiles {1e3 * noise[0]:.1f} to {1e3 * noise[2]:.1f} ms), medians of {TURNS}"
    )
    assert abs(mine - nothing) < max(SLACK_S, 0.5 * nothing)
