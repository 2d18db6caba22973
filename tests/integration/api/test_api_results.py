"""Everything that a finished analysis shows."""

import json
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from pypdf import PdfReader

from twotime.export.tables import with_error


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def strict(answer: httpx.Response) -> Any:
    """The JSON of an answer; NaN and infinity are no JSON."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=refuse_constant)


def two_time(client: httpx.Client, analysis: dict[str, Any], roi: int = 1, **params: Any) -> np.ndarray:
    answer = client.get(f"/analyses/{analysis['id']}/two-time/{roi}.f32", params=params)
    assert answer.status_code == 200, answer.text
    shape = tuple(int(edge) for edge in answer.headers["x-shape"].split(","))
    return np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)


def test_summary_has_error_unit_and_flag_for_every_roi(client: httpx.Client, done: dict[str, Any]) -> None:
    result = strict(client.get(f"/analyses/{done['id']}/result"))
    assert [roi["roi"] for roi in result["rois"]] == [1, 2]
    assert result["n_frames"] == 120
    assert result["frame_time_s"] == pytest.approx(0.01)
    for roi in result["rois"]:
        assert roi["headline"] == "estimate"
        assert roi["estimate"] is not None
        assert roi["raw"]["relaxation_rate"]["unit"] == "1/s"
        assert roi["raw"]["relaxation_rate"]["value"] > 0
        assert roi["raw"]["trusted"] or roi["raw"]["reason"]
        assert roi["denoised"] is not None
        assert {"beta", "baseline", "alpha", "chi2", "on_bound"} <= set(roi["denoised"])
    assert {one["kind"] for one in result["q_dependence"]} == {"raw", "denoised", "headline"}


@pytest.mark.parametrize(("address", "column"), [("g2", "g2_raw"), ("fits", "raw_relaxation_rate")])
def test_table_is_the_same_as_json_and_as_csv(
    client: httpx.Client, done: dict[str, Any], address: str, column: str
) -> None:
    table = strict(client.get(f"/analyses/{done['id']}/{address}"))
    assert table["n_rows"] == len(table["columns"]["roi"])
    assert set(table["units"]) == set(table["columns"])
    for answer in (
        client.get(f"/analyses/{done['id']}/{address}.csv"),
        client.get(f"/analyses/{done['id']}/{address}", params={"format": "csv"}),
        client.get(f"/analyses/{done['id']}/{address}", headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["content-type"].startswith("text/csv")
        csv = pd.read_csv(StringIO(answer.text))
        assert list(csv.columns) == list(table["columns"])
        np.testing.assert_allclose(csv[column], np.array(table["columns"][column], float))


def test_tables_of_ages_and_of_q(client: httpx.Client, done: dict[str, Any]) -> None:
    ages = strict(client.get(f"/analyses/{done['id']}/fits-age", params={"roi": 2}))
    assert ages["columns"]["roi"] == [2, 2]
    assert ages["units"]["age_s"] == "s"
    law = strict(client.get(f"/analyses/{done['id']}/q-fit"))
    assert law["units"]["diffusion"] == "Å²/s"


@pytest.mark.parametrize("table", ["g2", "g2.csv", "fits-age"])
def test_table_of_a_roi_that_is_not_there_is_refused(client: httpx.Client, done: dict[str, Any], table: str) -> None:
    answer = client.get(f"/analyses/{done['id']}/{table}", params={"roi": 99})

    assert answer.status_code == 400
    assert f"roi is 99, but analysis {done['id']} has the ROIs 1 to 2." in answer.text


def test_raw_numbers_have_the_symmetry_of_a_two_time_correlation(client: httpx.Client, done: dict[str, Any]) -> None:
    values = two_time(client, done)
    assert values.shape == (120, 120)
    np.testing.assert_allclose(values, values.T)


def test_square_of_the_numbers_is_cut_out(client: httpx.Client, done: dict[str, Any]) -> None:
    part = two_time(client, done, start=10, stop=40, kind="denoised")
    np.testing.assert_array_equal(part, two_time(client, done, kind="denoised")[10:40, 10:40])


def test_window_beside_the_diagonal_is_cut_out_and_keeps_the_scale_of_the_whole(
    client: httpx.Client, done: dict[str, Any]
) -> None:
    params = {"start": 10, "stop": 40, "start_2": 60, "stop_2": 110, "kind": "denoised"}
    answer = client.get(f"/analyses/{done['id']}/two-time/1.f32", params=params)
    whole = client.get(f"/analyses/{done['id']}/two-time/1.f32", params={"kind": "denoised"})

    assert (answer.headers["x-shape"], answer.headers["x-start"], answer.headers["x-step"]) == ("30,50", "10,60", "1")
    assert answer.headers["x-scale"] == whole.headers["x-scale"]
    np.testing.assert_array_equal(
        np.frombuffer(answer.content, "<f4").reshape(30, 50),
        np.frombuffer(whole.content, "<f4").reshape(120, 120)[10:40, 60:110],
    )


@pytest.mark.parametrize("kind", ["raw", "denoised", "spread", "difference"])
def test_window_for_the_screen_is_averaged_over_what_is_known(
    client: httpx.Client, done: dict[str, Any], kind: str
) -> None:
    window = {"start": 11, "stop": 60, "start_2": 5, "stop_2": 30}

    small = two_time(client, done, kind=kind, size=17, **window)

    values = two_time(client, done, kind=kind)[11:60, 5:30]
    blocks = [[values[i : i + 3, j : j + 3] for j in range(0, 25, 3)] for i in range(0, 49, 3)]
    means = [[np.nan if np.isnan(one).all() else np.nanmean(one) for one in row] for row in blocks]
    np.testing.assert_allclose(small, means, rtol=1e-5, atol=1e-6)


def test_numbers_for_the_screen_are_averages(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"/analyses/{done['id']}/two-time/1.f32", params={"size": 60})
    assert answer.headers["x-shape"] == "60,60"
    assert answer.headers["x-step"] == "2"
    small = np.frombuffer(answer.content, "<f4").reshape(60, 60)
    assert small[5, 9] == pytest.approx(np.nanmean(two_time(client, done)[10:12, 18:20]), rel=1e-5)


def test_difference_is_raw_minus_denoised(client: httpx.Client, done: dict[str, Any]) -> None:
    difference = two_time(client, done, kind="difference")
    np.testing.assert_allclose(
        difference, two_time(client, done) - two_time(client, done, kind="denoised"), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["raw", "denoised", "spread", "difference"])
def test_picture_of_each_kind(client: httpx.Client, done: dict[str, Any], kind: str) -> None:
    bare = client.get(f"/analyses/{done['id']}/two-time/2.png", params={"kind": kind, "size": 240})
    assert bare.headers["content-type"] == "image/png"
    assert imread(BytesIO(bare.content), format="png").shape[:2] == (240, 240)
    figure = client.get(f"/analyses/{done['id']}/two-time/2.png", params={"kind": kind, "size": 500, "axes": 1})
    assert imread(BytesIO(figure.content), format="png").shape[1] == 500


def test_raw_and_denoised_share_their_colours_unless_asked(client: httpx.Client, done: dict[str, Any]) -> None:
    def colours(**params: Any) -> str:
        answer = client.get(f"/analyses/{done['id']}/two-time/1.png", params=params)
        return answer.headers["x-scale"]

    assert colours(kind="raw") == colours(kind="denoised")
    assert colours(kind="raw", own_scale=True) != colours(kind="denoised")
    assert colours(kind="raw", vmin=1, vmax=1.25) == "1,1.25"


def test_answer_that_the_client_has_is_not_sent_again(client: httpx.Client, done: dict[str, Any]) -> None:
    address = f"/analyses/{done['id']}/two-time/1.png"
    tag = client.get(address).headers["etag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304


def test_mean_frame_with_and_without_rois(client: httpx.Client, done: dict[str, Any]) -> None:
    bare = client.get(f"/analyses/{done['id']}/mean-frame.png")
    outlined = client.get(f"/analyses/{done['id']}/mean-frame.png", params={"rois": True})
    assert imread(BytesIO(bare.content), format="png").shape[:2] == (48, 56)
    assert bare.content != outlined.content


def test_intensity_per_frame_and_roi(client: httpx.Client, done: dict[str, Any]) -> None:
    intensity = strict(client.get(f"/analyses/{done['id']}/intensity"))
    assert intensity["frame"] == list(range(120))
    assert len(intensity["bad"]) == 120
    assert [len(roi) for roi in intensity["counts"]] == [120, 120]
    assert np.mean(intensity["counts"][0]) > 0


def test_latest_is_flat_and_that_of_the_newest_analysis(client: httpx.Client, done: dict[str, Any]) -> None:
    now = strict(client.get("/latest", params={"sample": done["sample"]}))
    result = strict(client.get(f"/analyses/{now['id']}/result"))

    assert now["sample"] == done["sample"]
    assert len(now["q"]) == len(now["relaxation_rate"]) == len(now["trusted"]) == len(result["rois"])
    for k, roi in enumerate(result["rois"]):
        rate = roi[roi["headline"]]["relaxation_rate"]
        assert (now["relaxation_rate"][k], now["relaxation_rate_error"][k]) == (rate["value"], rate["error"])
    nothing = client.get("/latest", params={"sample": "no such sample"})
    assert nothing.status_code == 409
    assert "No analysis of sample 'no such sample' has ended yet" in nothing.json()["detail"]


@pytest.mark.parametrize("ending", ["nxs", "h5"])
def test_whole_analysis_comes_as_one_file(
    client: httpx.Client, done: dict[str, Any], ending: str, tmp_path: Path
) -> None:
    answer = client.get(f"/analyses/{done['id']}/export.{ending}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith(f'filename="{done["id"]}.{ending}"')
    path = tmp_path / "result.h5"
    path.write_bytes(answer.content)

    with h5py.File(path) as file:
        c2 = file["entry/twotime/two_time_corr_func"][:, :, 0] if ending == "nxs" else file["two_time"][0]
    np.testing.assert_array_equal(c2, two_time(client, done, 1, kind="raw"))


def test_report_and_its_numbers_are_read_in_the_browser(client: httpx.Client, done: dict[str, Any]) -> None:
    for ending, kind in (("html", "text/html; charset=utf-8"), ("txt", "text/plain; charset=utf-8")):
        answer = client.get(f"/analyses/{done['id']}/export.{ending}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert done["raw_uid"] in answer.text
        assert "UTC" in answer.text


def test_report_comes_as_pdf(client: httpx.Client, done: dict[str, Any]) -> None:
    answer = client.get(f"/analyses/{done['id']}/export.pdf")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    first = PdfReader(BytesIO(answer.content)).pages[0].extract_text()
    assert done["raw_uid"] in first
    row = pd.read_csv(StringIO(client.get(f"/analyses/{done['id']}/fits.csv").text)).iloc[0]
    assert with_error(row["alpha"], row["alpha_error"]) in first


def test_names_of_pychx_come_as_one_file(client: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    answer = client.get(f"/analyses/{done['id']}/export.pychx.h5")
    (tmp_path / "result.h5").write_bytes(answer.content)

    with h5py.File(tmp_path / "result.h5") as file:
        np.testing.assert_array_equal(file["g12b"][:, :, 0], two_time(client, done, 1, kind="raw"))


def test_unknown_ending_is_refused(client: httpx.Client, done: dict[str, Any]) -> None:
    assert client.get(f"/analyses/{done['id']}/export.mat").status_code == 422


def test_verdict_is_the_same_by_rest_in_tiled_and_in_the_report(
    client: httpx.Client, done: dict[str, Any], root: Any
) -> None:
    found = strict(client.get(f"/analyses/{done['id']}/verdict"))

    assert found["text"] == " ".join(one["sentence"] for one in found["statements"])
    assert "ROIs" in found["text"]
    for one in found["statements"]:
        assert one["values"]
        assert set(one["rois"]) <= {1, 2}
    in_tiled = root["processed_api"][done["id"]]["final"].metadata["verdict"]
    assert [one["sentence"] for one in in_tiled] == [one["sentence"] for one in found["statements"]]
    assert found["statements"][0]["sentence"] in client.get(f"/analyses/{done['id']}/export.txt").text
    assert strict(client.get("/latest", params={"sample": done["sample"]}))["verdict"]


def test_advice_says_what_reaches_the_target(client: httpx.Client, done: dict[str, Any]) -> None:
    found = strict(client.get(f"/analyses/{done['id']}/advice", params={"roi": 2, "relative_error": 0.01}))

    assert found["roi"] == 2
    assert found["target"] == 0.01
    assert {one["change"] for one in found["options"]} == {"frames", "repeats", "flux", "frame_time"}
    assert found["sentence"].startswith("ROI 2")
    for one in found["needed"]:
        assert one["relative_error"] < found["relative_error"]


@pytest.mark.parametrize(("params", "status"), [({"roi": 9}, 400), ({"relative_error": 2}, 422), ({"roi": 0}, 422)])
def test_impossible_advice_is_refused(
    client: httpx.Client, done: dict[str, Any], params: dict[str, Any], status: int
) -> None:
    assert client.get(f"/analyses/{done['id']}/advice", params=params).status_code == status
