"""Filling a recipe from a run, with the source of every value."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from twotime.errors import RecipeError
from twotime.recipe.document import Document
from twotime.recipe.facts import GEOMETRY_UNITS, RunFacts
from twotime.recipe.options import FrameOptions, GeometryOptions, Recipe, sentence
from twotime.recipe.regions import Angles, QPhi, Rings
from twotime.recipe.resolve_frames import ResolvedFrameRecipe
from twotime.xpcs.orientation import Orientation, oriented_point
from twotime.xpcs.types import Geometry

PLAUSIBLE = {
    "distance_m": (0.05, 100.0, "metres"),
    "wavelength_angstrom": (0.05, 30.0, "ångström"),
    "pixel_size_m": (1e-6, 2e-3, "metres"),
    "frame_time_s": (1e-9, 1e5, "seconds"),
}
"""Lowest and highest plausible value and its unit: beyond stands a value in another unit."""
KEV_ANGSTROM = 12.398


class ResolvedRecipe(Document):
    """A recipe in which nothing is missing, with the source of every value."""

    recipe: Recipe
    sources: dict[str, str]

    @property
    def geometry(self) -> Geometry:
        """The geometry to compute with."""
        return Geometry(**self.recipe.geometry.model_dump(include=set(GEOMETRY_UNITS)))

    @property
    def orientation(self) -> Orientation:
        """From the frame as written to the analysis frame."""
        assert self.recipe.geometry.orientation is not None
        return self.recipe.geometry.orientation


AnyResolved = ResolvedRecipe | ResolvedFrameRecipe


def resolve(recipe: Recipe, facts: RunFacts) -> ResolvedRecipe:
    """Fill a recipe from the run and say where each value came from.

    Raises
    ------
    RecipeError
        If a geometry field stands neither in the recipe nor in the run or cannot be meant in its unit, or the frame
        range holds no frame.
    """
    sources: dict[str, str] = {"detector": "recipe" if recipe.detector else f"run {facts.uid[:8]}"}
    geometry = _resolved_geometry(recipe, facts, sources)
    frames = _resolved_frames(recipe, facts, sources)
    assert geometry.orientation is not None
    rois = recipe.rois or (default_rois(geometry, facts.frame_shape(geometry.orientation), facts.analysis),)
    sources["rois"] = "recipe" if recipe.rois else _DEFAULT_ROIS[rois[0].kind]
    for name in ("masks", "normalisation", "min_pixels", "denoise", "fit"):
        sources[name] = "recipe" if name in recipe.model_fields_set else "default"
    complete = recipe.model_copy(
        update={"detector": facts.detector, "geometry": geometry, "frames": frames, "rois": rois}
    )
    return ResolvedRecipe(recipe=complete, sources=sources)


def digest(raw_uid: str, resolved: AnyResolved, versions: Mapping[str, str]) -> str:
    """Sha256 over all that decides the numbers; the same request has the same digest.

    Parameters
    ----------
    versions : of an analysis; that of the software is left out, as it decides no number
    """
    document = [raw_uid, resolved.recipe.model_dump(mode="json"), deciding(versions)]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def deciding(versions: Mapping[str, str]) -> dict[str, str]:
    """The versions that decide the numbers of an analysis: all but that of the software.

    Examples
    --------
    >>> deciding({"twotime": "0.2.0", "numerics": "1", "ensemble": "v2"})
    {'numerics': '1', 'ensemble': 'v2'}
    """
    return {name: version for name, version in versions.items() if name != "twotime"}


def analysis_id(raw_uid: str, digest: str) -> str:
    """Key of the analysis in Tiled: first block of the raw uid, then ten digits of the digest."""
    return f"{raw_uid.split('-')[0]}-{digest[:10]}"


def default_rois(geometry: GeometryOptions, shape: tuple[int, int], analysis: str) -> Rings | QPhi:
    """Ten rings; where the run asks for an analysis over q and φ, five rings of twelve sectors."""
    if "phi" not in analysis.lower():
        return default_rings(geometry, shape)
    ten = default_rings(geometry, shape)
    assert ten.width is not None
    five = ten.model_copy(update={"width": 2 * ten.width, "num_rings": 5})
    return QPhi(kind="qphi", rings=five, angles=Angles(num=12))


_DEFAULT_ROIS = {
    "rings": "default: ten rings over the radii of the detector",
    "qphi": "default: five rings of twelve sectors, as the start document asks for q and φ",
}


def default_rings(geometry: GeometryOptions, shape: tuple[int, int]) -> Rings:
    """Ten rings of equal width over the middle of the radii that the detector holds, wherever the beam centre lies."""
    y, x = geometry.beam_center_y or 0.0, geometry.beam_center_x or 0.0
    bottom, right = shape[0] - 1, shape[1] - 1
    nearest = math.hypot(max(-y, 0.0, y - bottom), max(-x, 0.0, x - right))
    farthest = math.hypot(max(y, bottom - y), max(x, right - x))
    span = farthest - nearest
    return Rings(unit="pixel", inner_radius=round(nearest + 0.05 * span, 2), width=round(0.085 * span, 2), num_rings=10)


def _resolved_geometry(recipe: Recipe, facts: RunFacts, sources: dict[str, str]) -> GeometryOptions:
    given = recipe.geometry
    orientation = given.orientation or facts.orientation
    sources["geometry.orientation"] = "recipe" if given.orientation else f"detector {facts.detector}"
    values: dict[str, Any] = {"orientation": orientation, "center_convention": given.center_convention}
    recorded = _recorded(recipe, facts, orientation)
    for name, unit in GEOMETRY_UNITS.items():
        own = getattr(given, name)
        if own is not None:
            values[name], sources[f"geometry.{name}"] = own, "recipe"
        elif name in recorded:
            values[name], sources[f"geometry.{name}"] = recorded[name]
        else:
            raise RecipeError(
                f"geometry.{name} is missing: run {facts.uid[:8]} does not record it for {facts.detector}; "
                f"give geometry.{name} ({unit}) in the recipe."
            )
    try:
        resolved = GeometryOptions.model_validate(values)
    except ValidationError as error:
        found = ", ".join(f"{name} from {sources[f'geometry.{name}']}" for name in GEOMETRY_UNITS)
        sentences = " ".join(sentence(item, prefix="geometry") for item in error.errors())
        raise RecipeError(f"{sentences} ({found}.) Give the right value in the recipe.") from None
    for name, (low, high, unit) in PLAUSIBLE.items():
        value = float(getattr(resolved, name))
        if not low <= value <= high:
            raise RecipeError(
                f"geometry.{name} is {value:g} (from {sources[f'geometry.{name}']}), which no beamline has in {unit}"
                f"{_other_unit(name, value)}; give geometry.{name} in {unit} in the recipe."
            )
    return resolved


def _recorded(recipe: Recipe, facts: RunFacts, orientation: Orientation) -> dict[str, tuple[float, str]]:
    """What the run records, with the beam centre taken to the analysis frame."""
    recorded = {name: (found.value, found.source) for name, found in facts.geometry.items()}
    both = "beam_center_y" in recorded and "beam_center_x" in recorded
    if orientation == "raw" or not both:
        return recorded
    pychx = recipe.geometry.center_convention == "pychx"
    (y, y_source), (x, x_source) = recorded["beam_center_y"], recorded["beam_center_x"]
    row, column = oriented_point(y, x, (facts.shape[1], facts.shape[2]), orientation, pychx=pychx)
    convention = "as pyCHX counts" if pychx else "exactly"
    turned = orientation == "flipped and turned"
    how = f"{orientation} {convention}"
    recorded["beam_center_y"] = (row, f"{x_source if turned else y_source} = {x if turned else y:g}, {how}")
    recorded["beam_center_x"] = (column, f"{y_source} = {y:g}, {how}" if turned else x_source)
    return recorded


def _other_unit(name: str, value: float) -> str:
    """Which unit an implausible value may be in."""
    if name == "distance_m" and 100 < value < 1e5:
        return " but many in millimetres"
    if name == "wavelength_angstrom" and 1e3 < value < 2e5:
        return f" but {value:g} eV would be {KEV_ANGSTROM / value * 1e3:.4g} Å"
    if name == "wavelength_angstrom" and 0 < value < 1e-6:
        return " but many in metres"
    if name == "pixel_size_m" and 1 <= value < 2000:
        return " but many in micrometres"
    if name == "pixel_size_m" and 2e-3 < value < 1:
        return " but many in millimetres"
    return ""


def _resolved_frames(recipe: Recipe, facts: RunFacts, sources: dict[str, str]) -> FrameOptions:
    available = facts.shape[0]
    frames = recipe.frames
    stop = frames.stop if frames.stop is not None else available
    if stop > available:
        raise RecipeError(f"frames.stop is {stop}, but run {facts.uid[:8]} has {available} frames; use at most that.")
    if frames.start >= stop:
        raise RecipeError(f"frames.start is {frames.start}, but frames.stop is {stop}; start must be below stop.")
    sources["frames.stop"] = "recipe" if frames.stop is not None else f"run {facts.uid[:8]}"
    return frames.model_copy(update={"stop": stop})
