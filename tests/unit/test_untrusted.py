"""Recipes and run documents are written by others: whatever they hold is used, or refused in a sentence."""

import math
from contextlib import suppress
from types import NoneType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from twotime.catalog.runs.document_values import integer_or_none, sample_name
from twotime.catalog.runs.run_facts import CONFIGURATION_KEYS, START_KEYS, ImageNode, _configuration, _geometry
from twotime.errors import RecipeError
from twotime.jobs.requests.eligibility import judge, judge_beginning
from twotime.jobs.requests.site_rules import SiteRule
from twotime.pipeline import plan
from twotime.recipe import GEOMETRY_UNITS, Found, Recipe, RunFacts, parse_recipe
from twotime.recipe.regions import Angles, Box, Labels, Named, Polygon, QMap, QPhi, Rings

quick = settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

numbers = st.integers(-3, 60) | st.integers() | st.floats() | st.sampled_from([10**400, -0.0, 1e308, 5e-324, True])
words = st.text(max_size=8) | st.sampled_from(["auto", "pixel", "a\0b", "1e5", "inf", "nan", "../x.npy", "success"])
scalars = st.none() | numbers | words
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)
spans = st.lists(st.lists(numbers, min_size=2, max_size=2), max_size=3)
finite = st.integers(-10, 100) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
rising = st.tuples(finite, finite).map(sorted)


def shaped(model: type[BaseModel], **known: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Documents with the fields of a model, and anything in them."""
    fields = {name: known.get(name, anything | spans) for name in model.model_fields}
    return st.fixed_dictionaries({}, optional=fields)


def objects(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.just(one) if isinstance(one, str) else one for name, one in fields.items()})


RINGS = objects(unit="pixel", edges=st.lists(rising, min_size=1, max_size=3)) | objects(
    unit="1/A", inner_radius=finite, width=finite, spacing=finite, num_rings=st.integers(1, 9)
)
ANGLES = objects(num=st.integers(1, 5), inner=finite, outer=finite, flow_angle=finite)
regions = st.one_of(
    shaped(Rings, unit=st.just("pixel")),
    shaped(QPhi, kind=st.just("qphi"), rings=shaped(Rings), angles=shaped(Angles)),
    *(shaped(kind, kind=st.just(kind.__name__.lower())) for kind in (Box, Polygon, Labels, Named, QMap)),
)
fitting = st.one_of(
    RINGS,
    objects(kind="qphi", rings=RINGS, angles=ANGLES),
    objects(kind="box", rows=rising, columns=rising),
    objects(kind="polygon", vertices=st.lists(st.tuples(finite, finite), min_size=3, max_size=5)),
)
parts = {
    name: shaped(field.annotation)
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


@pytest.mark.slow
@quick
@given(anything | shaped(Recipe, rois=st.lists(regions, max_size=3), version=st.just(1), **parts))
def test_recipe_is_read_or_refused(document: Any) -> None:
    with suppress(RecipeError):
        assert parse_recipe(document).version == 1


@pytest.mark.parametrize("document", [0, "", [], False])
def test_what_is_no_object_is_no_recipe(document: Any) -> None:
    with pytest.raises(RecipeError):
        parse_recipe(document)


@quick
@given(
    st.lists(fitting, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(list(GEOMETRY_UNITS)), finite),
    st.dictionaries(st.sampled_from(["start", "stop", "stride", "bin"]), st.integers(0, 70) | st.integers(1)),
    st.dictionaries(st.sampled_from(list(GEOMETRY_UNITS)), st.floats(), min_size=3),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of values beyond all floats; the sentence comes afterwards
def test_plan_is_made_or_refused(rois: Any, given: Any, frames: Any, recorded: Any) -> None:
    known = dict(zip(GEOMETRY_UNITS, (10.0, 12.0, 5.0, 1.2, 75e-6, 0.01), strict=True)) | recorded
    facts = RunFacts("1a2b", "x_image", (60, 20, 24), geometry={name: Found(one, "t") for name, one in known.items()})
    with suppress(RecipeError):
        recipe = parse_recipe({"rois": rois, "geometry": given, "frames": frames, "min_pixels": 1})
        assert plan(facts, recipe).rois.number >= 1


documents = st.dictionaries(
    words | st.sampled_from(["motors", "XPCS_data", "sample", "exit_status", "reason", *START_KEYS.values()]),
    anything,
    max_size=6,
)


@pytest.mark.slow
@quick
@given(documents, st.none() | documents, st.lists(words, max_size=2))
def test_run_is_judged_whatever_its_documents_hold(start: Any, stop: Any, detectors: list[str]) -> None:
    assert judge(start, stop, detectors).reason
    assert judge_beginning(start).reason
    SiteRule(name="x", where={"motors": 1.0, "sample.name": "a*", "detectors": "x*"}).fits(start, detectors)


keys = st.sampled_from([f"eiger4m_single_{key}" for key in CONFIGURATION_KEYS.values()])
devices = st.dictionaries(
    words, anything | objects(data=anything | st.dictionaries(keys | words, anything)), max_size=3
)


@pytest.mark.slow
@quick
@given(documents, documents | objects(configuration=anything | devices))
def test_geometry_is_found_or_not_whatever_the_documents_hold(start: Any, descriptor: Any) -> None:
    image = ImageNode("eiger4m_single_image", None, descriptor)  # type: ignore[arg-type]  # the array is not looked at

    for name, found in _geometry(image, start, None):
        assert name in GEOMETRY_UNITS
        assert isinstance(found.value, float)
    assert all(isinstance(integer_or_none(value), int | NoneType) for value in _configuration(image).values())
    assert isinstance(sample_name(start), str | NoneType)


@pytest.mark.parametrize("value", [math.inf, math.nan, "inf", "1e999", 10**400, [np.inf]])
def test_count_that_is_no_number_is_not_recorded(value: Any) -> None:
    assert integer_or_none(value) is None
