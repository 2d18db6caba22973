"""The id of an analysis changes when, and only when, its numbers can change."""

import pytest
from tests.reference_numbers import changed, computed, kept

from twotime.pipeline.numerics import NUMERICS
from twotime.recipe import Found, RunFacts, digest, parse_recipe, resolve

AGAIN = "keep the new numbers: python -m tests.reference_numbers"


def test_numbers_are_those_of_the_numerics_version() -> None:
    before, now = kept(), computed()

    if before["versions"] != now["versions"]:
        pytest.fail(f"versions were {before['versions']} and are {now['versions']}; {AGAIN}")
    names = changed(before, now)
    if names:
        pytest.fail(
            f"numbers changed: raise NUMERICS ({NUMERICS}) in twotime/pipeline/numerics.py, then {AGAIN}. "
            f"Changed: {', '.join(names)}"
        )


def test_a_number_that_moves_by_a_percent_counts_as_changed() -> None:
    before = {"numbers": {"fits.beta": [0.2, None], "fits.alpha": [1.0]}}

    assert changed(before, {"numbers": {"fits.beta": [0.202, None], "fits.alpha": [1.0001]}}) == ["fits.beta"]
    assert changed(before, {"numbers": {"fits.beta": [0.2, 0.1], "new": [1.0]}}) == ["fits.beta"]


def test_id_depends_on_the_numerics_and_not_on_the_software() -> None:
    geometry = {
        name: Found(1.0, "test") for name in ("beam_center_y", "beam_center_x", "distance_m", "wavelength_angstrom")
    }
    geometry |= {"pixel_size_m": Found(75e-6, "test"), "frame_time_s": Found(0.01, "test")}
    resolved = resolve(parse_recipe({}), RunFacts("1a2b3c4d-0000", "eiger4m_image", (100, 64, 48), geometry=geometry))
    versions = {"twotime": "0.2.0", "numerics": "1", "ensemble": "v2", "estimate": "e1"}

    assert digest("u", resolved, versions) == digest("u", resolved, versions | {"twotime": "0.3.0"})
    for name in ("numerics", "ensemble", "estimate"):
        assert digest("u", resolved, versions) != digest("u", resolved, versions | {name: "another"})
