"""Recipes of denoised frames: what they say, what is refused, and what stays as it was for correlation functions."""

import pytest

from twotime.errors import RecipeError
from twotime.recipe import (
    FrameRecipe,
    Recipe,
    ResolvedRecipe,
    RunFacts,
    digest,
    parse_recipe,
    resolve_frames,
)

FACTS = RunFacts("1a2b3c4d-0000", "eiger4m_single_image", (24, 64, 80), orientation="flipped", scalars=("temperature",))


def frames(**fields: object) -> FrameRecipe:
    recipe = parse_recipe({"kind": "frames", **fields})
    assert isinstance(recipe, FrameRecipe)
    return recipe


def test_recipe_without_a_kind_is_one_of_correlation_functions() -> None:
    assert parse_recipe({}) == parse_recipe(None) == Recipe()
    assert parse_recipe({"kind": "xpcs", "min_pixels": 12}) == Recipe(min_pixels=12)


def test_kind_changes_no_digest_of_correlation_functions() -> None:
    versions = {"twotime": "0.2.0", "numerics": "1"}
    plain, named = (ResolvedRecipe(recipe=parse_recipe(one), sources={}) for one in ({}, {"kind": "xpcs"}))

    assert "kind" not in plain.recipe.model_dump(mode="json")
    assert digest("1a2b", plain, versions) == digest("1a2b", named, versions)
    # Computed before there were kinds.
    assert digest("1a2b", plain, versions) == "95175f18ea73a29722ab620c59e7ef8b870075f199cb44bf6c400980dc165d70"


def test_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"kind is 'saxs', but analyses are of the kinds xpcs, frames"):
        parse_recipe({"kind": "saxs"})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"rois": []}, "rois is not a field of the recipe"),
        ({"gain": 0}, "gain: "),
        ({"frames": {"sum": 0}}, "frames.sum: "),
        ({"masks": {"from_data": True}}, "masks.from_data is not a field"),
        ({"peaks": {"significance": 1}}, "peaks.significance: "),
        (
            {"regions": [{"kind": "rings"}]},
            "regions.0.kind: there is no kind 'rings'; regions are box, polygon, labels",
        ),
        ({"regions": [{"rows": [0, 4], "columns": [0, 4], "q": 0.1}]}, "regions.0 names a momentum transfer"),
        ({"regions": [{"columns": [0, 4]}]}, "regions.0.rows: "),
    ],
)
def test_field_that_does_not_fit_is_named(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        frames(**fields)

    assert sentence in str(error.value)


def test_recipe_is_filled_from_the_run() -> None:
    resolved = resolve_frames(frames(frames={"sum": 4}), FACTS)

    assert resolved.recipe.detector == "eiger4m_single_image"
    assert resolved.orientation == "flipped"
    assert resolved.recipe.frames.stop == 24
    assert resolved.sources["orientation"] == "detector eiger4m_single_image"
    assert resolved.sources["regions"] == "default"
    # What Tiled keeps leads to the same recipe again.
    assert parse_recipe(resolved.recipe.model_dump(mode="json")) == resolved.recipe


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"frames": {"stop": 25}}, "frames.stop is 25, but run 1a2b3c4d has 24 frames"),
        ({"frames": {"start": 24}}, "frames.start is 24, but frames.stop is 24"),
        ({"frames": {"sum": 13, "stride": 2}}, "frames.sum is 13, but only 12 frames are taken"),
        (
            {"scan_variable": "field"},
            "scan_variable is 'field', but run 1a2b3c4d records no such scalar; it records temp",
        ),
    ],
)
def test_recipe_that_does_not_fit_the_run_is_refused(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        resolve_frames(frames(**fields), FACTS)

    assert sentence in str(error.value)


def test_every_choice_has_a_digest_of_its_own() -> None:
    choices: list[dict[str, object]] = [{}, {"frames": {"sum": 2}}, {"gain": 2.0}, {"peaks": {"significance": 4.0}}]
    found = {digest(FACTS.uid, resolve_frames(frames(**one), FACTS), {"frame_denoiser": "1"}) for one in choices}

    assert len(found) == len(choices)
