"""The recipe: what it accepts, what it says when it does not, and where resolved values come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotime.errors import RecipeError
from twotime.recipe import Found, RunFacts, analysis_id, digest, parse_recipe, resolve

VERSIONS = {"twotime": "1", "ensemble": "v1", "estimate": "e1"}
RECORDED = {
    "beam_center_y": 10.5,
    "beam_center_x": 20.25,
    "distance_m": 16.0,
    "wavelength_angstrom": 1.285,
    "pixel_size_m": 75e-6,
    "frame_time_s": 0.002,
}


def facts(n_frames: int = 100, **geometry: float) -> RunFacts:
    recorded = RECORDED | geometry
    found = {name: Found(value, f"descriptor configuration {name}") for name, value in recorded.items()}
    return RunFacts("1a2b3c4d-0000", "eiger4m_single_image", (n_frames, 64, 48), geometry=found)


def test_values_come_from_the_run_unless_the_recipe_overrides_them() -> None:
    resolved = resolve(parse_recipe({"geometry": {"distance_m": 5.0}}), facts())

    assert resolved.geometry.distance_m == 5.0
    assert resolved.sources["geometry.distance_m"] == "recipe"
    assert resolved.geometry.beam_center_x == 20.25
    assert resolved.sources["geometry.beam_center_x"] == "descriptor configuration beam_center_x"


def test_missing_geometry_names_the_field_its_unit_and_the_remedy() -> None:
    run = facts()
    run.geometry.pop("distance_m")

    with pytest.raises(RecipeError, match=r"geometry\.distance_m is missing.*give geometry\.distance_m \(m\)"):
        resolve(parse_recipe({}), run)


def test_impossible_value_of_the_run_is_refused_with_its_source() -> None:
    with pytest.raises(RecipeError, match=r"geometry\.distance_m.*16000.*descriptor configuration"):
        resolve(parse_recipe({}), facts(distance_m=16000.0))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"roi": []}, "roi is not a field of the recipe; remove it or correct its name."),
        ({"rois": [{"unit": "nm", "edges": [[1, 2]]}]}, "rois.0.unit: Input should be '1/A' or 'pixel' (got 'nm')."),
        ({"rois": [{"unit": "pixel"}]}, "rings need either edges, or centers and width, or inner_radius, width and"),
        ({"rois": [{"unit": "pixel", "edges": [[1, 2]], "centers": [3]}]}, "rings take either edges, or centers"),
        ({"rois": [{"kind": "ring"}]}, "rois.0.kind: there is no kind 'ring'; ROIs are rings, qphi, box, polygon,"),
        (
            {"rois": [{"kind": "polygon", "vertices": [[0, 1], [2, 2]]}]},
            "rois.0.vertices: Tuple should have at least 3",
        ),
        ({"rois": [{"kind": "box", "rows": [0, 1], "column": [2, 2]}]}, "rois.0.column is not a field of the recipe"),
        ({"rois": [{"unit": "pixel", "edges": [[5, 2]]}]}, "ring edges [5, 2] must rise from zero or above"),
        ({"frames": {"stride": 0}}, "frames.stride: Input should be greater than or equal to 1 (got 0)."),
        ({"fit": {"bounds": {"beta": [2, 1]}}}, "bounds of beta are [2, 1]; the first must be below the second"),
        ({"fit": {"fixed": {"gamma": 1}}}, "'relaxation_rate', 'beta', 'baseline' or 'alpha'"),
        ({"geometry": {"distance_m": -1}}, "geometry.distance_m: Input should be greater than 0 (got -1)."),
    ],
)
def test_bad_recipe_is_refused_in_one_sentence(document: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(document)

    assert sentence in str(caught.value)


def test_frame_range_outside_the_run_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"frames\.stop is 200, but run 1a2b3c4d has 100 frames"):
        resolve(parse_recipe({"frames": {"stop": 200}}), facts())
    with pytest.raises(RecipeError, match=r"frames\.start is 150"):
        resolve(parse_recipe({"frames": {"start": 150}}), facts())


def test_rings_by_width_and_by_edges_are_the_same_rings() -> None:
    by_width = parse_recipe({"rois": [{"unit": "pixel", "inner_radius": 10, "width": 5, "spacing": 1, "num_rings": 3}]})

    assert by_width.rois[0].all_edges() == [(10, 15), (16, 21), (22, 27)]


@given(st.integers(0, 99), st.integers(1, 9), st.booleans())
def test_digest_is_stable_and_told_apart_by_every_change(start: int, stride: int, enabled: bool) -> None:
    document = {"frames": {"start": start, "stride": stride}, "denoise": {"enabled": enabled}}
    resolved = resolve(parse_recipe(document), facts())
    again = resolve(parse_recipe(document), facts())
    other = resolve(parse_recipe(document | {"frames": {"start": start, "stride": stride + 1}}), facts())

    assert digest("u", resolved, VERSIONS) == digest("u", again, VERSIONS)
    assert digest("u", resolved, VERSIONS) != digest("u", other, VERSIONS)
    assert digest("u", resolved, VERSIONS) != digest("u", resolved, VERSIONS | {"estimate": "e2"})
    assert digest("u", resolved, VERSIONS) != digest("w", resolved, VERSIONS)


def test_a_recipe_that_spells_out_the_resolved_values_has_the_same_digest() -> None:
    resolved = resolve(parse_recipe({}), facts())
    spelt_out = resolve(parse_recipe(resolved.recipe.model_dump(mode="json")), facts())

    assert digest("u", resolved, VERSIONS) == digest("u", spelt_out, VERSIONS)


def test_analysis_id_begins_with_the_first_block_of_the_uid() -> None:
    assert analysis_id("1a2b3c4d-9999-1", "f" * 64) == "1a2b3c4d-ffffffffff"
