"""Scans beside each other: fields that are found, ROIs of the same q, laws that recover a simulated truth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twotime.series import OF_ROIS, ScanResult, fit_law, laws_of, offered, scalars, series
from twotime.series.laws import GAS_CONSTANT, ZERO_CELSIUS

QS = (0.01, 0.02, 0.03)


def fits(rate: float, qs: tuple[float, ...] = QS, *, error: float = 0.05, trusted: bool = True) -> pd.DataFrame:
    """Rows of `fits` whose rates are diffusive."""
    q = np.array(qs)
    rates = rate * (q / qs[0]) ** 2
    values = {name: np.full(len(q), 1.0) for name in OF_ROIS} | {"relaxation_rate": rates}
    errors = {f"{name}_error": error * one for name, one in values.items()}
    fixed = {"roi": np.arange(1, len(q) + 1), "q": q, "phi": np.full(len(q), np.nan)}
    return pd.DataFrame({**fixed, **values, **errors, "headline": "estimate", "trusted": trusted, "flag": ""})


def one(scan_id: int, rate: float = 10.0, **changes: object) -> ScanResult:
    """One scan, started at 1000 s times its number."""
    plain = {"time": 1000.0 * scan_id, "fits": fits(rate), "conditions": {}, "sample": "gel"}
    known = plain | changes
    return ScanResult(f"analysis-{scan_id}", f"run-{scan_id}", scan_id, **known)  # type: ignore[arg-type]


def test_numbers_of_documents_are_found_also_as_text_and_nested() -> None:
    start = {
        "temperature": {"value": 295.0, "unit": "K"},
        "acquire period": "0.00134",
        "motors": {"x": 1, "inner": {"deep": 2.5}},
        "dark": True,
        "user": "me",
        "list": [1, 2],
        "bad": "nan",
    }

    assert scalars(start, {"acquire period": "s"}) == {
        "temperature": (295.0, "K"),
        "acquire period": (0.00134, "s"),
        "motors.x": (1.0, "1"),
        "motors.inner.deep": (2.5, "1"),
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.dictionaries(st.text(), x), max_leaves=20
    )
)
@settings(max_examples=60)
def test_any_document_gives_finite_numbers_with_printable_names(document: object) -> None:
    found = scalars({"any": document})

    assert all(np.isfinite(value) and name.isprintable() for name, (value, _) in found.items())


def test_fields_that_vary_are_offered_and_no_others() -> None:
    known = [{"T": (280.0 + k, "K"), "same": (1.0, "1"), "uid": (k, "1")} for k in range(3)]
    known[0]["dose"] = (5.0, "1")
    known[1]["dose"] = (6.0, "1")

    assert [(field.name, field.unit, field.n_scans) for field in offered(known)] == [("T", "K", 3), ("dose", "1", 2)]


def test_series_is_sorted_by_x_and_holds_what_was_published() -> None:
    scans = [one(k, rate=10.0 + k, conditions={"baseline.T": (300.0 - k, "K")}) for k in (3, 1, 2)]

    found = series(scans, "T")

    assert (found.x.name, found.x.unit, found.without_x) == ("baseline.T", "K", 0)
    assert found.scans["scan_id"].tolist() == [3, 2, 1]
    assert found.rows["x"].tolist() == [297.0] * 3 + [298.0] * 3 + [299.0] * 3
    assert found.rows["relaxation_rate"][0] == 13.0
    assert [group.q for group in found.groups] == pytest.approx(QS)


def test_unknown_field_names_those_that_vary() -> None:
    scans = [one(k, conditions={"dose": (float(k), "1")}) for k in (1, 2)]

    with pytest.raises(ValueError, match=r"x is 'T', but no scan .* there are scan_id, time, dose"):
        series(scans, "T")


def test_scan_without_x_is_counted_and_left_out() -> None:
    found = series([one(1, conditions={"T": (1.0, "K")}), one(2)], "T")

    assert (found.without_x, found.scans["scan_id"].tolist()) == (1, [1])


def test_rois_of_the_same_q_are_one_group_whatever_their_number() -> None:
    other = fits(10.0, (0.0201, 0.0302, 0.05))

    found = series([one(1), one(2, fits=other)])

    assert [(round(group.q, 3), group.n_scans) for group in found.groups] == [
        (0.01, 1),
        (0.02, 2),
        (0.03, 2),
        (0.05, 1),
    ]
    assert found.rows["group"].tolist() == [1, 2, 3, 2, 3, 4]


def test_narrow_rings_of_one_scan_stay_apart() -> None:
    narrow = (0.0300, 0.0303, 0.0306)

    found = series([one(k, fits=fits(10.0, narrow)) for k in (1, 2)])

    assert found.rows["group"].tolist() == [1, 2, 3, 1, 2, 3]


def test_sectors_of_the_same_ring_are_apart() -> None:
    sectors = fits(10.0, (0.02, 0.02)).assign(phi=[0.0, 90.0])

    found = series([one(k, fits=sectors) for k in (1, 2)])

    assert [(group.phi, group.n_scans) for group in found.groups] == [(0.0, 2), (90.0, 2)]


def test_older_tables_without_a_column_give_nan() -> None:
    found = series([one(1, fits=fits(10.0).drop(columns=["phi", "alpha", "alpha_error"]))])

    assert found.rows["alpha"].isna().all()


@pytest.mark.parametrize("law", ["linear", "power", "arrhenius"])
def test_law_recovers_the_truth_with_errors_that_hold_it(law: str) -> None:
    rng = np.random.default_rng(5)
    x = np.linspace(280.0, 340.0, 15)
    truth = {
        "linear": 3.0 + 0.2 * x,
        "power": 2.0 * x**1.7,
        "arrhenius": np.exp(-32.0 / GAS_CONSTANT * (1 / x - 1 / 300.0)),
    }[law]
    name, true = {"linear": ("slope", 0.2), "power": ("exponent", 1.7), "arrhenius": ("activation_energy", 32.0)}[law]
    error = 0.02 * truth
    pulls = []
    for _ in range(200):
        found = fit_law(law, x, truth + error * rng.normal(size=len(x)), error, x_unit="K")  # type: ignore[arg-type]
        pulls.append((found.values[name] - true) / found.errors[name])

    assert abs(np.mean(pulls)) < 0.25
    assert 0.75 < np.std(pulls) < 1.1  # Errors grow where chi2 exceeds 1 and never shrink.


def test_arrhenius_in_degrees_is_that_in_kelvin() -> None:
    kelvin = np.linspace(280.0, 340.0, 8)
    y = np.exp(-20.0 / GAS_CONSTANT / kelvin) * 1e4

    found = fit_law("arrhenius", kelvin - ZERO_CELSIUS, y, 0.01 * y, x_unit="°C")

    assert found.values["activation_energy"] == pytest.approx(20.0, rel=1e-4)
    assert found.units["activation_energy"] == "kJ/mol"
    assert (found.x[0], found.x[-1]) == pytest.approx((280.0 - ZERO_CELSIUS, 340.0 - ZERO_CELSIUS))


@pytest.mark.parametrize(
    ("law", "x", "y", "unit", "reason"),
    [
        ("arrhenius", [280.0, 290.0, 300.0], [1.0, 2.0, 3.0], "1", "needs a temperature in K or °C"),
        ("power", [1.0, 2.0], [1.0, 2.0], "1", "2 values are too few"),
        ("power", [0.0, 1.0, 2.0], [1.0, 2.0, 3.0], "1", "x above 0, but the least is 0"),
        ("power", [1.0, 2.0, 3.0], [-1.0, 2.0, 3.0], "1", "values above 0, but the least is -1"),
        ("linear", [2.0, 2.0, 2.0], [1.0, 2.0, 3.0], "1", "same x, 2"),
        ("arrhenius", [-300.0, 20.0, 30.0], [1.0, 2.0, 3.0], "°C", "absolute zero"),
        ("linear", [1.0, 2.0, np.nan], [1.0, 2.0, 3.0], "1", "2 values are too few"),
    ],
)
def test_law_that_cannot_be_fitted_says_why(law: str, x: list[float], y: list[float], unit: str, reason: str) -> None:
    found = fit_law(law, np.array(x), np.array(y), np.full(len(x), 0.1), x_unit=unit)  # type: ignore[arg-type]

    assert found.values == {}
    assert reason in found.reason


def test_laws_of_a_series_go_through_trusted_values_of_each_group() -> None:
    scans = [one(k, rate=2.0 * k) for k in range(1, 7)]
    scans.append(one(7, rate=1e6, fits=fits(1e6, trusted=False)))

    found = laws_of(series(scans), "relaxation_rate", "power")

    assert [number for number, _ in found] == [1, 2, 3]
    assert all(law.values["exponent"] == pytest.approx(1.0, abs=1e-4) for _, law in found)


def test_law_of_whole_scans_is_one() -> None:
    scans = [one(k, q_fit={"diffusion": 2.0 * k, "diffusion_error": 0.1}) for k in range(1, 5)]

    ((group, law),) = laws_of(series(scans), "diffusion", "linear")

    assert (group, law.n, law.units["slope"]) == (None, 4, "Å²/s / 1")
    assert law.values["slope"] == pytest.approx(2.0)
