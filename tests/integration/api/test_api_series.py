"""Series over HTTP: scans of a sample at several temperatures, published in a real Tiled, one by an older version."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.publishing import ENERGY, LAGS, QS, STARTED, publish

from twotime.api.server import Server
from twotime.client import connect

SAMPLE = "colloid in a furnace"
TEMPERATURES = (290.0, 300.0, 310.0, 320.0)


@pytest.fixture(scope="session")
def published(server: Server) -> Callable[..., str]:
    """Publishes a scan where the service reads; returns the id of its analysis."""

    def _published(scan_id: int, temperature: float, *, sample: str = SAMPLE, **options: Any) -> str:
        return publish(server.app.state.service.settings, scan_id, temperature, sample=sample, **options)

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
    assert found["rows"]["columns"]["group"] == [1, 2, 3] * 4
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
    assert [one["group"] for one in by_group] == [1, 2, 3]
    assert "temperature in K" in asked(client, sample=SAMPLE, law="arrhenius")["fits"][0]["reason"]


def test_map_holds_every_roi_and_names_the_scan_that_is_unlike_the_others(
    client: httpx.Client, server: Server, published: Callable[..., str]
) -> None:
    usual = [published(720 + k, 300.0, sample="repeats", seed=k) for k in range(5)]
    odd = published(730, 300.0, sample="repeats", seed=9, place=(1.9, 2.2))

    found = client.get("/series/map", params={"sample": "repeats"}).json()

    assert (found["n_scans"], found["without_place"], found["dots"]["n_rows"]) == (6, 0, 18)
    assert found["scans"]["columns"]["analysis_id"] == [*usual, odd]
    assert found["scans"]["columns"]["unlike"] == [False] * 5 + [True]
    assert found["sentences"][0].startswith("Scan 730 is unlike the earlier scans of repeats")
    assert found["dots"]["units"] | {"map_x": "1", "relaxation_rate": "1/s", "time": "s"} == found["dots"]["units"]
    with connect(server.url, server.key) as notebook:
        by_client = notebook.map(sample="repeats")
    assert by_client.dots["map_x"].tolist() == found["dots"]["columns"]["map_x"]
    assert len(by_client.plot("alpha").axes) == 2


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

    assert found["n_rows"] == len(LAGS) * len(furnace)
    assert set(found["columns"]["roi"]) == {2}
    first = client.get(f"/analyses/{furnace[-1]}/g2", params={"roi": 2}).json()["columns"]
    assert found["columns"]["g2"][: len(LAGS)] == first["g2_raw"]
    assert found["units"]["lag_s"] == "s"
    assert client.get("/series/g2", params={"sample": SAMPLE, "group": 4}).status_code == 400


def test_csv_has_the_same_rows_and_no_formulas(client: httpx.Client, published: Callable[..., str]) -> None:
    evil = '=HYPERLINK("http://evil.example","<img src=x onerror=alert(1)>")'
    published(801, 300.0, sample=evil)

    answer = client.get("/series.csv", params={"sample": evil})

    rows = [*csv.DictReader(io.StringIO(answer.text))]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["sample"] for row in rows] == [f"'{evil}"] * 3
    assert [row["scan_id"] for row in rows] == ["801"] * 3


def test_newest_analysis_of_a_run_counts_unless_ids_are_given(
    client: httpx.Client, published: Callable[..., str]
) -> None:
    first = published(810, 300.0, sample="twice")
    uid = client.get(f"/analyses/{first}").json()["raw_uid"]
    second = published(810, 310.0, sample="twice", uid=uid, detector="another_image")

    assert asked(client, sample="twice")["scans"]["columns"]["analysis_id"] == [second]
    assert set(asked(client, id=[first, second])["scans"]["columns"]["analysis_id"]) == {first, second}


def test_notebook_has_tables_with_units_a_dataset_and_a_picture(
    server: Server, furnace: list[str], tmp_path: Path
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


def test_bad_scans_leave_the_series_and_marks_are_found(client: httpx.Client, published: Callable[..., str]) -> None:
    good, bad = [published(820 + k, 300.0 + k, sample="marked") for k in range(2)]

    said = client.post(f"/analyses/{bad}/mark", json={"mark": "bad", "note": "beam lost\x00 <b>half-way</b>"}).json()
    client.post(f"/analyses/{good}/mark", json={"note": "the sample was new"})

    assert (said["mark"]["value"], said["mark"]["note"]) == ("bad", "beam lost  <b>half-way</b>")
    found = asked(client, sample="marked")
    assert (found["scans"]["columns"]["analysis_id"], found["marked_bad"]) == ([good], 1)
    assert asked(client, sample="marked", with_bad=True)["n_scans"] == 2
    assert asked(client, id=[good, bad])["n_scans"] == 2
    listed = client.get("/analyses", params={"mark": "bad", "sample": "marked"}).json()
    assert [one["id"] for one in listed["analyses"]] == [bad]

    client.post(f"/analyses/{bad}/mark", json={})
    assert client.get(f"/analyses/{bad}").json()["mark"] is None
    assert asked(client, sample="marked")["n_scans"] == 2


def test_mark_takes_the_scope_submit_and_says_who(
    client: httpx.Client, keys: dict[str, str], published: Callable[..., str]
) -> None:
    one = published(830, 300.0, sample="whose mark")

    with httpx.Client(base_url=str(client.base_url)) as others:
        path, said = f"/analyses/{one}/mark", {"mark": "look again"}
        refused = others.post(path, json=said, headers={"X-API-Key": keys["read"]})
        taken = others.post(path, json=said, headers={"X-API-Key": keys["submit"]})

    assert refused.status_code == 403
    assert taken.json()["mark"]["by"] == "for-submit"
    assert client.post("/analyses/nosuch-analysis/mark", json=said).status_code == 404
    assert client.post(path, json={"mark": "excellent"}).status_code == 422


def test_report_of_a_series_is_one_page_with_verdicts_pictures_and_laws(
    client: httpx.Client, published: Callable[..., str], furnace: list[str]
) -> None:
    evil = "<script>alert(1)</script>"
    one = published(840, 300.0, sample=evil)
    client.post(f"/analyses/{one}/mark", json={"mark": "look again", "note": evil})

    asked = {"sample": SAMPLE, "x": "temperature", "y": "diffusion", "law": "arrhenius"}
    whole = client.get("/series/report.html", params=asked)
    other = client.get("/series/report.html", params={"sample": evil, "x": "time"})

    assert whole.headers["content-type"] == "text/html; charset=utf-8"
    assert f"{SAMPLE}, {len(furnace)} scans" in whole.text
    assert "activation energy 25" in whole.text
    assert "kJ/mol" in whole.text
    assert whole.text.count("data:image/png;base64,iVBOR") == 1
    assert all(f"<td>{700 + k}</td>" in whole.text for k in range(len(furnace)))
    assert "<script" not in other.text
    assert "look again: &lt;script&gt;" in other.text
