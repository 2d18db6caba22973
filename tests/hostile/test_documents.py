"""Runs and recipes may say anything: answers are sentences, names are text, and one bad run stops no other."""

import io
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
from databroker.client import CatalogOfBlueskyRuns
from pypdf import PdfReader
from tests.waiting import until
from tests.writing import FRAMES, GEOMETRY, RINGS
from tiled.client.container import Container
from tiled.structures.core import Spec

from twotime.api.content.png import two_time_figure
from twotime.api.server import Server
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog
from twotime.errors import RecipeError
from twotime.recipe import parse_recipe
from twotime.settings import Settings
from twotime.simulate import write_run

ANALYSES = "/api/v1/analyses"
SAMPLE = "=cmd|'/c calc'!A1 <script>alert(1)</script> $\\frac{$ 50% {x} [/bold] \x1b[31m\nSECOND\u202e nul\x00 &amp;"
"""A name that would be a formula, a script, mathematics, markup, colours and a line of its own, if it were let."""
SHOWN = "=cmd|'/c calc'!A1 <script>alert(1)</script> $\\frac{$ 50% {x} [/bold]  [31m SECOND  nul  &amp;"
HUGE = 10**30
MANY: list[dict[str, Any]] = [
    {"frames": {"stride": HUGE}},
    {"frames": {"start": HUGE}},
    {"frames": {"stop": HUGE}},
    {"frames": {"exclude": [HUGE]}},
    {"frames": {"keep": [-HUGE]}},
    {"frames": {"exclude": [1] * 1_000_000}},
    {"min_pixels": HUGE},
    {"detector": "x" * 10_000},
    {"detector": "a\nb"},
    {"masks": {"hot_above_counts": HUGE}},
    {"masks": {"boxes": [{"rows": [0, 1], "columns": [0, 3]}] * 100_000}},
    {"masks": {"boxes": [{"rows": [0, HUGE], "columns": [0, 3]}]}},
    {"masks": {"registry": [{"name": "x"}] * 2000}},
    {"masks": {"registry": [{"name": "x" * 100_000}]}},
    {"masks": {"registry": [{"name": "x", "version": HUGE}]}},
    {"masks": {"files": ["a.npy"] * 2000}},
    {"masks": {"files": ["a\x00b.npy"]}},
    {"rois": [{"kind": "labels", "array": "tiled:" + "x/" * 3000}]},
    {"rois": [{"kind": "labels", "array": "tiled:a\nb"}]},
    {"rois": [{"kind": "labels", "array": "a.npy", "q_list": [0.1] * 2000}]},
    {"rois": [{"kind": "named", "name": "x" * 5000}]},
    {"rois": [{"kind": "qmap", "file": "x" * 5000}]},
    {"rois": [{"kind": "box", "rows": [0, HUGE], "columns": [0, 10]}]},
]
STARTS: dict[str, dict[str, Any]] = {
    "no documents": {},
    "no start": {"start": None},
    "text for a start": {"start": "x"},
    "list for a start": {"start": [1]},
    "no uid": {"start": {}},
    "number for a uid": {"start": {"uid": 5}, "stop": {"exit_status": "success", "uid": "s"}},
    "uid of nothing": {"start": {"uid": "../../nothing"}, "stop": {"exit_status": "success", "uid": "s"}},
    "text for a stop": {"start": {"uid": "a"}, "stop": "over"},
    "list for a stop": {"start": {"uid": "b"}, "stop": [1]},
    "list for a status": {"start": {"uid": "c"}, "stop": {"exit_status": [1], "uid": "s"}},
    "scan beyond all numbers": {
        "start": {"uid": "d", "scan_id": "1e300"},
        "stop": {"exit_status": "success", "uid": "s"},
    },
    "object for a plan": {"start": {"uid": "e", "plan_name": {"a": 1}, "motors": 5, "detectors": 7, "hints": 3}},
}


@pytest.mark.parametrize("recipe", MANY, ids=lambda one: str(one)[:60])
def test_recipe_without_bounds_is_refused(recipe: dict[str, Any]) -> None:
    began = time.monotonic()

    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe)

    assert time.monotonic() - began < 5
    assert next(iter(recipe)) in str(caught.value)


def test_title_with_dollars_is_text() -> None:
    picture = two_time_figure(np.ones((20, 20)), "raw", 0.0, 2.0, 600, 0.01, SHOWN)

    assert picture.startswith(b"\x89PNG")


class Site:
    """A service in automatic mode beside a Tiled of its own, into which anybody writes."""

    def __init__(self, server: Server, root: Container, raw: CatalogOfBlueskyRuns, detector_folder: Path) -> None:
        self.server = server
        self.root = root
        self.raw = raw
        self.detector_folder = detector_folder

    def client(self) -> httpx.Client:
        """A client with the key of the service."""
        return httpx.Client(base_url=self.server.url, headers={"X-API-Key": self.server.key}, timeout=120)

    def write(self, sample: str) -> str:
        """Write a run that can be analysed; returns its uid."""
        return write_run(self.raw, FRAMES[:60], GEOMETRY, self.detector_folder, sample=sample, shape_style="frames")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "recipe.json").write_text(str(RINGS).replace("'", '"'))
    tiled = EmbeddedTiled(folder / "tiled")
    tiled.start()
    settings = Settings(
        tiled_uri=tiled.uri,  # type: ignore[arg-type]  # pydantic turns text into an address
        tiled_api_key=tiled.api_key,  # type: ignore[arg-type]  # and into a secret
        var_dir=folder / "service",
        port=0,
        live=False,
        reconcile_s=2.0,
        threads_per_worker=1,
        recipe_file=folder / "recipe.json",
        detector_dirs=[tiled.detector_folder],
    )
    root = open_root(settings)
    raw = raw_catalog(root, settings)
    for metadata in STARTS.values():
        time_s = {"time": time.time()}
        documents = {name: one | time_s if isinstance(one, dict) else one for name, one in metadata.items()}
        raw.create_container(str(uuid.uuid4()), metadata=documents, specs=[Spec("BlueskyRun", "3.0")])
    with Server(settings) as server:
        made = Site(server, root, raw, tiled.detector_folder)
        with made.client() as client:
            until(lambda: client.get("/readyz").status_code == 200, lambda: client.get("/readyz").text)
        yield made
    root.context.close()
    tiled.stop()


@pytest.fixture(scope="module")
def analysis(site: Site) -> str:
    """Analysis of a run with such a name, which the automatic mode finds beside all the others."""
    uid = site.write(SAMPLE)
    with site.client() as client:

        def found() -> dict[str, Any] | None:
            listed = client.get(ANALYSES, params={"raw_uid": uid}).json()["analyses"]
            return next((one for one in listed if one["status"] in ("done", "failed")), None)

        one = until(found, lambda: client.get("/readyz").text)
    assert one["status"] == "done", one["error"]
    return str(one["id"])


@pytest.mark.long
def test_automatic_mode_goes_on_beside_runs_that_are_none(site: Site, analysis: str) -> None:
    with site.client() as client:
        state = client.get("/readyz").json()
        listed = client.get("/api/v1/runs", params={"limit": 100})

    assert analysis
    assert state["ready"], state
    assert listed.status_code == 200, listed.text
    assert {run["sample"] for run in listed.json()["runs"]} == {SHOWN, None}


@pytest.mark.long
def test_runs_that_are_none_are_refused_in_a_sentence(site: Site) -> None:
    with site.client() as client:
        answers = [client.post("/api/v1/plans", json={"uid": key}) for key in site.raw]
        many = client.post(f"{ANALYSES}/many", json={"since": 1, "limit": 20})

    assert {answer.status_code for answer in answers} <= {200, 404, 409, 422}, [one.text for one in answers]
    assert many.status_code == 202, many.text


@pytest.mark.long
@pytest.mark.parametrize("below", ["final/two_time/x", "final/fits/x", "final/roi_labels/x/y", "nothing"])
def test_label_array_behind_an_array_is_refused_at_once(site: Site, analysis: str, below: str) -> None:
    uid = site.write("plain")
    wanted = {"uid": uid, "recipe": {"rois": [{"kind": "labels", "array": f"tiled:processed/{analysis}/{below}"}]}}
    with site.client() as client:
        began = time.monotonic()
        answer = client.post("/api/v1/plans", json=wanted)

    assert answer.status_code == 422, answer.text
    assert "rois.array" in answer.json()["detail"]
    assert time.monotonic() - began < 20


@pytest.mark.long
def test_name_of_a_sample_is_shown_as_text_and_nothing_else(site: Site, analysis: str) -> None:
    one = f"{ANALYSES}/{analysis}"
    with site.client() as client:
        assert client.get(one).json()["sample"] == SHOWN
        picture = client.get(f"{one}/two-time/1.png", params={"axes": "true", "size": 200})
        assert picture.content.startswith(b"\x89PNG"), picture.text
        exported = {ending: client.get(f"{one}/export.{ending}") for ending in ("html", "pdf", "txt", "nxs")}
        tables = [client.get(f"{one}/{table}.csv").text for table in ("fits", "g2", "q-fit")]
    assert {ending: answer.status_code for ending, answer in exported.items()} == dict.fromkeys(exported, 200)

    assert "<script>alert" not in exported["html"].text
    assert "&lt;script&gt;alert(1)" in exported["html"].text
    text = exported["txt"].text
    assert not any(line.startswith("SECOND") for line in text.splitlines())
    assert not set(text) & {"\x00", "\x1b", "\u202e"}
    assert "alert(1)" in PdfReader(io.BytesIO(exported["pdf"].content)).pages[0].extract_text()
    cells = [cell.strip('"') for table in tables for line in table.splitlines() for cell in line.split(",")]
    assert [cell for cell in cells if cell[:1] in ("=", "@", "\t", "\r")] == []
    with h5py.File(io.BytesIO(exported["nxs"].content), "r") as file:
        assert file["entry/sample/name"].asstr()[()] == SHOWN
