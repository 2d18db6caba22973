"""Every column of a published table has a unit and a description."""

import pytest
from tests.reference_numbers import RECIPE, Speckle

from cnn_ed import Ensemble
from twotime.columns import COLUMNS, unit_of
from twotime.pipeline import analyse
from twotime.recipe import parse_recipe
from twotime.results import Analysis, nodes_of


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(Speckle(), parse_recipe(RECIPE), Ensemble.load())


@pytest.mark.parametrize("table", [node.name for node in nodes_of("xpcs") if node.is_table])
def test_columns_of_a_table_are_those_that_are_described(analysis: Analysis, table: str) -> None:
    assert set(analysis.tables[table].columns) == set(COLUMNS[table])


def test_every_column_says_what_it_is() -> None:
    for columns in COLUMNS.values():
        assert all(column.unit and len(column.description) > 2 for column in columns.values())


@pytest.mark.parametrize(
    ("table", "column", "unit"),
    [
        ("fits", "denoised_relaxation_rate_error", "1/s"),
        ("fits", "raw_relaxation_rate_per_frame", "1/frame"),
        ("fits", "estimate_covariance_relaxation_rate_relaxation_rate", "1/s²"),
        ("fits", "raw_covariance_relaxation_rate_beta", "1/s"),
        ("fits_age", "age_s", "s"),
        ("q_fit", "diffusion", "Å²/s"),
        ("q_fit", "diffusion_chi2", "1"),
        ("fits", "column of a later version", "1"),
    ],
)
def test_units_follow_the_quantity(table: str, column: str, unit: str) -> None:
    assert unit_of(table, column) == unit


def test_rates_in_both_units_differ_by_the_frame_time(analysis: Analysis) -> None:
    fits = analysis.tables["fits"]

    assert fits["raw_relaxation_rate_per_frame"].to_numpy() == pytest.approx(0.01 * fits["raw_relaxation_rate"])
