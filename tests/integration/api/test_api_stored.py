"""An analysis that version 0.1.0 wrote is still read: over REST, as the page and the client do, and by every export.

`stored_0_1_0` holds the nodes as they stood in Tiled: two ROIs of a simulated scan of 60 frames.
"""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from twotime.api.server import Server
from twotime.catalog.server.tiled_client import results_container
from twotime.client import AnalysisHandle, connect
from twotime.settings import Settings

STORED = Path(__file__).parents[1] / "stored_0_1_0"
DESCRIBED = json.loads((STORED / "analysis.json").read_text())
ARRAYS = np.load(STORED / "arrays.npz")
ID = DESCRIBED["key"]


@pytest.fixture(scope="module")
def stored(root: Any, settings: Settings, server: Server) -> str:
    """Its id in the results of the server."""
    path = server.app.state.service.settings.results_path
    results = results_container(root, settings.model_copy(update={"results_path": path}))
    analysis = results.create_container(ID, metadata=DESCRIBED["metadata"], specs=DESCRIBED["specs"])
    final = DESCRIBED["final"]
    container = analysis.create_container("final", metadata=final["metadata"], specs=final["specs"])
    for name, node in final["nodes"].items():
        if node["family"] == "array":
            dims = node["metadata"]["axes"]
            container.write_array(ARRAYS[name], key=name, metadata=node["metadata"], specs=node["specs"], dims=dims)
        else:
            container.write_table(table(name), key=name, metadata=node["metadata"])
    return str(ID)


@pytest.fixture
def handle(server: Server, stored: str) -> Iterator[AnalysisHandle]:
    with connect(server.url, server.key) as client:
        yield client.analysis(stored)


def table(name: str) -> pd.DataFrame:
    return pd.read_json(STORED / f"{name}.json", orient="table", precise_float=True)


def test_state_and_headline_are_those_that_were_written(client: httpx.Client, stored: str) -> None:
    state = client.get(f"/analyses/{stored}").json()
    result = client.get(f"/analyses/{stored}/result").json()

    assert state["status"] == "done"
    assert state["versions"] == {"twotime": "0.1.0", "ensemble": "v1"}
    fits = table("fits")
    rates = [roi[roi["headline"]]["relaxation_rate"]["value"] for roi in result["rois"]]
    np.testing.assert_allclose(rates, fits["relaxation_rate"], rtol=1e-12)
    assert [roi["estimate"] for roi in result["rois"]] == [None, None]


def test_analysis_is_found_by_its_run(client: httpx.Client, stored: str) -> None:
    found = client.get("/analyses", params={"raw_uid": DESCRIBED["metadata"]["raw_uid"]}).json()

    assert [one["id"] for one in found["analyses"]] == [stored]


@pytest.mark.parametrize("path", ["fits", "g2", "fits-age", "q-fit"])
def test_tables_come_with_units(client: httpx.Client, stored: str, path: str) -> None:
    answer = client.get(f"/analyses/{stored}/{path}").json()

    expected = table(path.replace("-", "_"))
    assert answer["n_rows"] == len(expected)
    assert set(answer["units"]) == set(expected)
    assert answer["units"].get("relaxation_rate", "1/s") == "1/s"


@pytest.mark.parametrize(
    "path",
    [
        "two-time/1.png?kind=denoised",
        "two-time/2.png?kind=difference",
        "two-time/1.f32?kind=spread",
        "mean-frame.png",
        "intensity",
        "age-cut?roi=1&age_s=0.3",
        "fits.csv",
    ],
)
def test_pictures_and_curves_of_the_page_come(client: httpx.Client, stored: str, path: str) -> None:
    answer = client.get(f"/analyses/{stored}/{path}")

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["g2-multitau", "fits-variant"])
def test_tables_that_did_not_exist_then_are_told_missing(client: httpx.Client, stored: str, path: str) -> None:
    answer = client.get(f"/analyses/{stored}/{path}")

    assert answer.status_code == 404
    assert "it holds" in answer.json()["detail"]


@pytest.mark.parametrize("ending", ["nxs", "h5", "pychx.h5", "html", "pdf", "txt"])
def test_every_export_is_written(client: httpx.Client, stored: str, ending: str) -> None:
    answer = client.get(f"/analyses/{stored}/export.{ending}", timeout=120)

    assert answer.status_code == 200, answer.text
    assert len(answer.content) > 500


def test_client_reads_tables_and_two_time_functions(handle: AnalysisHandle) -> None:
    fits, c2 = handle.fits(), handle.two_time(2, "raw")

    assert fits.attrs["units"]["relaxation_rate"] == "1/s"
    np.testing.assert_allclose(fits["relaxation_rate"], table("fits")["relaxation_rate"], rtol=1e-12)
    np.testing.assert_array_equal(c2.values, ARRAYS["two_time"][1])
    assert len(handle.g2(1)) == 45
    assert len(handle.ages(2)) == 3
    assert handle.plot(1) is not None


def test_same_request_is_planned_under_an_id_of_its_own(
    client: httpx.Client, stored: str, write: Callable[..., str]
) -> None:
    uid = write(60, scan_id=777)

    plan = client.post("/plans", json={"uid": uid, "recipe": DESCRIBED["metadata"]["request"]}).json()

    assert plan["versions"]["numerics"]
    assert plan["analysis_id"] != stored
    assert plan["status"] is None


def test_csv_holds_the_numbers(client: httpx.Client, stored: str) -> None:
    rows = pd.read_csv(io.StringIO(client.get(f"/analyses/{stored}/g2.csv").text))

    np.testing.assert_allclose(rows["g2_raw"], table("g2")["g2_raw"], rtol=1e-9)
