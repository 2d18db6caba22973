"""g2 at constant age, cut from the published two-time correlation function."""

from typing import Any

import httpx
import numpy as np
import pytest
from tests.integration.api.conftest import RECIPE
from tests.integration.api.test_api_bad_input import problem

from twotime.xpcs import age_cuts, decay


def numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if one is None else one for one in values])


@pytest.mark.parametrize(("asked", "nearest"), [(0.0, 0), (0.59, 0), (0.61, 1), (1.2, 1)])
def test_cut_is_the_fitted_one_nearest_to_the_age(
    client: httpx.Client, done: dict[str, Any], asked: float, nearest: int
) -> None:
    ages = client.get(f"/analyses/{done['id']}/fits-age", params={"roi": 2}).json()["columns"]

    cut = client.get(f"/analyses/{done['id']}/age-cut", params={"roi": 2, "age_s": asked}).json()

    assert cut["age_s"] == ages["age_s"][nearest]
    assert (cut["first_age_s"], cut["last_age_s"]) == pytest.approx((0.6 * nearest, 0.6 * nearest + 0.6))
    assert cut["raw"]["relaxation_rate"]["value"] == ages["raw_relaxation_rate"][nearest]


def test_curves_are_those_of_the_two_time_correlation_function(client: httpx.Client, done: dict[str, Any]) -> None:
    address = f"/analyses/{done['id']}"
    c2 = np.frombuffer(client.get(f"{address}/two-time/1.f32").content, "<f4").reshape(120, 120)
    g2 = client.get(f"{address}/g2", params={"roi": 1}).json()["columns"]

    cut = client.get(f"{address}/age-cut", params={"roi": 1, "age_s": 0.3}).json()

    lag = np.array(g2["lag_frames"])
    np.testing.assert_allclose(numbers(cut["g2_raw"]), age_cuts(c2, 2).g2[0, lag - 1], rtol=1e-6)
    assert cut["lag_s"] == g2["lag_s"]
    known = np.isfinite(numbers(cut["g2_raw"]))
    assert (numbers(cut["g2_raw_error"])[known] > numbers(g2["g2_raw_error"])[known]).all()
    fit = cut["denoised"]
    names = ("relaxation_rate", "beta", "baseline", "alpha")
    expected = decay(lag * 0.01, *(fit[name]["value"] for name in names))
    np.testing.assert_allclose(numbers(cut["g2_denoised_fit"]), expected, rtol=1e-6)


def test_age_or_roi_that_does_not_exist(client: httpx.Client, done: dict[str, Any]) -> None:
    address = f"/analyses/{done['id']}/age-cut"
    late = problem(client.get(address, params={"roi": 1, "age_s": 5}), 400)
    assert late == f"age_s is 5, but the frames of analysis {done['id']} end at 1.2 s."
    assert problem(client.get(address, params={"roi": 9, "age_s": 0}), 400).startswith("roi is 9, but")
    for wrong in (
        {"roi": 1, "age_s": -1},
        {"roi": 1, "age_s": "nan"},
        {"roi": 1},
        {"age_s": 0},
        {"roi": 0, "age_s": 0},
    ):
        problem(client.get(address, params=wrong), 422)


def test_analysis_without_ages_says_how_to_get_them(client: httpx.Client, run_uid: str, ended: Any) -> None:
    asked = client.post("/analyses", json={"uid": run_uid, "recipe": {**RECIPE, "fit": {"ages": 0}}}).json()
    found = ended(asked["id"])

    sentence = problem(client.get(f"/analyses/{found['id']}/age-cut", params={"roi": 1, "age_s": 0}), 404)

    assert "set fit.ages in its recipe" in sentence
