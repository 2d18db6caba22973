"""Series over HTTP: scans of a sample at several temperatures, published in a real Tiled, one by an older version."""

import csv
import io
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from bluesky_tiled_plugins import TiledWriter
from event_model import compose_run
from tests.asking import request, run_facts

from twotime.api.server import Server
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.server.tiled_client import open_root, results_container
from twotime.client import connect
from twotime.results import Analysis
from twotime.series.laws import GAS_CONSTANT
from twotime.settings import Settings

SAMPLE = "colloid in a furnace"
TEMPERATURES = (290.0, 300.0, 310.0, 320.0)
ENERGY = 25.0
QS = (0.01, 0.02)
STARTED = 1.6e9


def analysis_at(temperature: float, *, sample: str = SAMPLE) -> Analysis:
    """What an analysis of a diffusive sample with an activated rate publishes."""
    diffusion = 1e5 * np.exp(-ENERGY / GAS_CONSTANT * (1 / temperature - 1 / 300.0))
    q = np.array(QS)
    fits = pd.DataFrame({"roi": [1, 2], "q": q, "phi": np.nan, "headline": "estimate", "trusted": [True, True]})
    for name, value in (("relaxation_rate", diffusion * q**2), ("beta", 0.2), ("baseline", 1.0), ("alpha", 0.98)):
        fits[name] = value
        fits[f"{name}_error"] = 0.02 * fits[name]
    fits["flag"] = ""
    lag = np.arange(1, 6)
    g2 = pd.concat(
        pd.DataFrame({"roi": roi, "q": one, "lag_frames": lag, "lag_s": 0.01 * lag, "g2_raw": 1.2 - 0.01 * lag})
        for roi, one in enumerate(QS, 1)
    ).assign(g2_raw_error=0.001, g2_raw_fit=1.1, g2_denoised=1.1, g2_denoised_error=0.1, g2_denoised_fit=1.1)
    law = {"kind": "headline", "n_rois": 2, "rois": "1, 2", "diffusion": diffusion, "diffusion_error": 0.02 * diffusion}
    return Analysis(
        arrays={"frame_number": np.arange(5), "bad_frames": np.zeros(5, bool)},
        tables={"fits": fits, "g2": g2, "q_fit": pd.DataFrame([law | {"exponent": 2.0, "exponent_error": 0.1}])},
        resolved={"sample": sample, "frame_time_s": 0.01, "recipe": {}, "sources": {}},
    )


@pytest.fixture(scope="session")
def published(server: Server, raw: Any) -> Callable[..., str]:
    """Writes documents of a run with a baseline and publishes its analysis; returns the id of the analysis."""
    own: Settings = server.app.state.service.settings

    def document(scan_id: int, sample: str, temperature: float) -> str:
        writer = TiledWriter(raw, batch_size=10)
        run = compose_run(
            metadata={"scan_id": scan_id, "sample": sample, "exposure time": "0.01"}, time=STARTED + scan_id
        )
        writer("start", run.start_doc)
        key = {"source": "furnace", "dtype": "number", "shape": [], "units": "K"}
        stream = run.compose_descriptor(name="baseline", data_keys={"temperature": key, "dose": key})
        writer("descriptor", stream.descriptor_doc)
        for change in (-0.5, 0.5):
            data = {"temperature": temperature + change, "dose": float("nan")}
            writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, time.time())))
        writer("stop", run.compose_stop())
        return str(run.start_doc["uid"])

    def _published(
        scan_id: int, temperature: float, *, sample: str = SAMPLE, older: bool = False, uid: str = "", **changes: Any
    ) -> str:
        uid = uid or document(scan_id, sample, temperature)
        root = open_root(own)
        try:
            store = AnalysisStore(results_container(root, own))
            facts = run_facts(uid=uid, scan_id=scan_id, sample=sample, **changes)
            record = store.claim(request(store, facts).id, "test", 0)
            assert record is not None
            TiledSink(store, record).publish(analysis_at(temperature, sample=sample))
            if older:
                before = {name: value for name, value in store.get(record.id).facts.items() if name != "headline"}
                patch = [{"op": "replace", "path": "/facts", "value": before}]
                store.node(record.id).patch_metadata(metadata_patch=patch)
        finally:
            root.context.close()
        return str(record.id)

    return _published


@pytest.fixture(scope="session")
def furnace(published: Callable[..., str]) -> list[str]:
    """Ids of analyses of one sample, the temperature falling from scan to scan."""
    return [published(700 + k, T, older=k == 0) for k, T in enumerate(reversed(TEMPERATURES))]


def asked(client: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = client.get("/series", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_series_finds_the_field_that_varies_and_is_sorted_by_it(client: httpx.Client, furnace: list[str]) -> None:
    found = asked(client, sample=SAMPLE, x="temperature")

    assert found["x"] == {"name": "baseline.temperature", "unit": "K", "low": 290.0, "high": 320.0, "n_scans": 4}
    assert found["scans"]["columns"]["analysis_id"] == furnace[::-1]
    assert found["scans"]["columns"]["x"] == list(TEMPERATURES)
    assert found["rows"]["columns"]["group"] == [1, 2] * 4
    assert found["rows"]["units"]["relaxation_rate_error"] == "1/s"
    assert found["scans"]["units"] | {"x": "K", "diffusion": "Å²/s", "time": "s"} == found["scans"]["units"]
    assert [one["name"] for one in found["fields"]] == ["baseline.temperature"]
    assert [one["name"] for one in asked(client, sample=SAMPLE)["fields"]] == ["baseline.temperature"]


def test_numbers_are_those_that_were_published_by_old_and_new_versions(
    client: httpx.Client, furnace: list[str]
) -> None:
    columns = asked(client, sample=SAMPLE)["rows"]["columns"]

    for one in furnace:
        fits = client.get(f"/analyses/{one}/fits").json()["columns"]
        own = [k for k, name in enumerate(columns["analysis_id"]) if name == one]
        for name in ("relaxation_rate", "relaxation_rate_error", "beta", "alpha", "q"):
            assert [columns[name][k] for k in own] == fits[name]


def test_law_recovers_the_activation_energy(client: httpx.Client, furnace: list[str]) -> None:
    assert furnace
    found = asked(client, sample=SAMPLE, x="temperature", y="diffusion", law="arrhenius")

    (law,) = found["fits"]
    assert law["parameters"]["activation_energy"]["value"] == pytest.approx(ENERGY, rel=1e-3)
    assert law["parameters"]["activation_energy"]["unit"] == "kJ/mol"
    by_group = asked(client, sample=SAMPLE, x="temperature", law="arrhenius")["fits"]
    assert [one["group"] for one in by_group] == [1, 2]
    assert "temperature in K" in asked(client, sample=SAMPLE, law="arrhenius")["fits"][0]["reason"]


def test_scans_are_chosen_by_number_time_and_id(client: httpx.Client, furnace: list[str]) -> None:
    def scans(**params: Any) -> list[int]:
        return list(asked(client, **params)["scans"]["columns"]["scan_id"])

    assert scans(first_scan_id=701, last_scan_id=702) == [701, 702]
    assert scans(id=[furnace[3], furnace[0]]) == [700, 703]
    assert scans(sample=SAMPLE, since=STARTED + 701, until=STARTED + 702.5) == [701, 702]
    assert scans(sample=SAMPLE, limit=2) == [702, 703]
    assert scans(sample=SAMPLE, x="time") == [700, 701, 702, 703]


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({}, 400, "Nothing says which scans"),
        ({"sample": "no such sample"}, 404, "No finished analysis fits"),
        ({"sample": SAMPLE, "x": "pressure"}, 400, "there are scan_id, time, baseline.temperature"),
        ({"first_scan_id": 5, "last_scan_id": 4}, 400, "first_scan_id must not be above last_scan_id"),
        ({"sample": SAMPLE, "y": "colour"}, 422, "y"),
        ({"id": "../secret"}, 422, "id"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    client: httpx.Client, furnace: list[str], params: dict[str, Any], status: int, words: str
) -> None:
    assert furnace
    answer = client.get("/series", params=params)

    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_curves_of_one_q_come_in_one_table(client: httpx.Client, furnace: list[str]) -> None:
    found = client.get("/series/g2", params={"sample": SAMPLE, "x": "temperature", "group": 2}).json()

    assert found["n_rows"] == 5 * len(furnace)
    assert set(found["columns"]["roi"]) == {2}
    assert found["columns"]["g2"][:5] == pytest.approx([1.19, 1.18, 1.17, 1.16, 1.15])
    assert found["units"]["lag_s"] == "s"
    assert client.get("/series/g2", params={"sample": SAMPLE, "group": 3}).status_code == 400


def test_csv_has_the_same_rows_and_no_formulas(client: httpx.Client, published: Callable[..., str]) -> None:
    evil = '=HYPERLINK("http://evil.example","<img src=x onerror=alert(1)>")'
    published(801, 300.0, sample=evil)

    answer = client.get("/series.csv", params={"sample": evil})

    rows = [*csv.DictReader(io.StringIO(answer.text))]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["sample"] for row in rows] == [f"'{evil}"] * 2
    assert [row["scan_id"] for row in rows] == ["801"] * 2


def test_newest_analysis_of_a_run_counts_unless_ids_are_given(
    client: httpx.Client, published: Callable[..., str]
) -> None:
    first = published(810, 300.0, sample="twice")
    uid = client.get(f"/analyses/{first}").json()["raw_uid"]
    second = published(810, 310.0, sample="twice", uid=uid, detector="another_image")

    assert asked(client, sample="twice")["scans"]["columns"]["analysis_id"] == [second]
    assert set(asked(client, id=[first, second])["scans"]["columns"]["analysis_id"]) == {first, second}


def test_notebook_has_tables_with_units_a_dataset_and_a_picture(
    server: Server, furnace: list[str], tmp_path: Any
) -> None:
    with connect(server.url, server.key) as notebook:
        found = notebook.series(sample=SAMPLE, x="temperature")
        fit = found.fit("diffusion", "arrhenius")
        figure = found.plot("relaxation_rate", law="arrhenius")

    figure.savefig(tmp_path / "series.png")
    dataset = found.to_xarray()
    assert found.rows.attrs["units"]["relaxation_rate"] == "1/s"
    assert dataset["relaxation_rate"].shape == (len(furnace), len(QS))
    assert dataset["x"].attrs == {"field": "baseline.temperature", "units": "K"}
    assert fit["activation_energy"][0] == pytest.approx(ENERGY, rel=1e-3)
    assert fit.attrs["units"]["activation_energy"] == "kJ/mol"
    assert "4 scans against baseline.temperature" in repr(found)
    assert (tmp_path / "series.png").stat().st_size > 20_000
