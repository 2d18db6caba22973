"""What to do with a run: one document, versioned, hashable, echoed back resolved.

A recipe names only what differs from the run's own metadata and from the defaults. `resolve` fills in the rest and
says where every value came from.
"""

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from twotime.errors import RecipeError
from twotime.xpcs.types import Geometry

GEOMETRY_UNITS = {
    "beam_center_y": "pixel",
    "beam_center_x": "pixel",
    "distance_m": "m",
    "wavelength_angstrom": "Å",
    "pixel_size_m": "m",
    "frame_time_s": "s",
}
DECAY_PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
DecayParameter = Literal["relaxation_rate", "beta", "baseline", "alpha"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeometryOptions(_Document):
    """Overrides of the run's own geometry; what is left out comes from the run."""

    beam_center_y: float | None = Field(None, allow_inf_nan=False, description="row of the direct beam, pixels")
    beam_center_x: float | None = Field(None, allow_inf_nan=False, description="column of the direct beam, pixels")
    distance_m: Positive | None = Field(None, le=200, description="sample to detector, m")
    wavelength_angstrom: Positive | None = Field(None, le=100, description="wavelength, Å")
    pixel_size_m: Positive | None = Field(None, le=0.01, description="pixel edge, m")
    frame_time_s: Positive | None = Field(None, description="from frame to frame, s")


class Box(_Document):
    """A rectangle of pixels, first row and column included, last excluded."""

    rows: tuple[int, int]
    columns: tuple[int, int]


class MaskOptions(_Document):
    """Which pixels to leave out, besides those that carry the detector's own saturation value."""

    from_data: bool = Field(True, description="find dead, hot and noisy pixels and gaps in the frames themselves")
    hot_above_counts: int | None = Field(None, ge=1, description="leave out pixels above this in any frame")
    dark_below_mean: float | None = Field(None, ge=0, description="leave out pixels whose mean count is below this")
    boxes: tuple[Box, ...] = Field((), description="rectangles to leave out, e.g. a beamstop")


class FrameOptions(_Document):
    """Which frames to correlate."""

    start: int = Field(0, ge=0, description="first frame")
    stop: int | None = Field(None, ge=1, description="one past the last frame; none: to the end")
    stride: int = Field(1, ge=1, description="take every n-th frame")
    exclude: tuple[int, ...] = Field((), description="frames to leave out, numbered as in the run")
    find_bad: bool = Field(True, description="find beam losses and spikes in the summed intensity")
    accept_failed_run: bool = Field(False, description="analyse a run whose exit status is not success")


class Rings(_Document):
    """Concentric rings, by edges or by inner radius, width, spacing and number."""

    kind: Literal["rings"] = "rings"
    unit: Literal["1/A", "pixel"] = Field(description="of all lengths below")
    edges: tuple[tuple[float, float], ...] | None = Field(None, description="inner and outer edge of each ring")
    inner_radius: Annotated[float, Field(ge=0)] | None = None
    width: Positive | None = None
    spacing: Annotated[float, Field(ge=0)] = 0.0
    num_rings: Annotated[int, Field(ge=1, le=500)] | None = None

    @model_validator(mode="after")
    def _one_way_only(self) -> "Rings":
        by_radius = (self.inner_radius, self.width, self.num_rings)
        if self.edges is None and any(value is None for value in by_radius):
            raise ValueError("rings need either edges, or inner_radius, width and num_rings")
        if self.edges is not None and any(value is not None for value in by_radius):
            raise ValueError("rings take either edges, or inner_radius, width and num_rings, not both")
        for inner, outer in self.all_edges():
            if not 0 <= inner < outer:
                raise ValueError(f"ring edges [{inner:g}, {outer:g}] must rise from zero or above")
        return self

    def all_edges(self) -> list[tuple[float, float]]:
        """Inner and outer edge of each ring, in `unit`."""
        if self.edges is not None:
            return list(self.edges)
        assert self.inner_radius is not None
        assert self.width is not None
        assert self.num_rings is not None
        step = self.width + self.spacing
        starts = [self.inner_radius + k * step for k in range(self.num_rings)]
        return [(start, start + self.width) for start in starts]


class DenoiseOptions(_Document):
    """How to remove the noise of the two-time correlation functions."""

    enabled: bool = True
    contrast: Literal["window", "global"] = Field(
        "window",
        description="scale each window by its own lag 1 (Eq. 5) or all by one contrast and baseline (Eq. 7)",
    )
    stride: Literal["auto"] | Annotated[int, Field(ge=1, le=100)] = Field(
        "auto", description="denoise every n-th frame, so that slow dynamics reach the trained range"
    )


class FitOptions(_Document):
    """How to fit the decay C∞ + β exp(-2 (Γ τ)^α); rates in 1/s."""

    fixed: dict[DecayParameter, float] = Field({}, description="parameters that are known")
    bounds: dict[DecayParameter, tuple[float, float]] = Field({}, description="lowest and highest allowed value")
    weighted: bool = Field(True, description="weigh each lag by its error")
    ages: int = Field(8, ge=0, le=200, description="number of age cuts per ROI; 0: none")

    @model_validator(mode="after")
    def _consistent(self) -> "FitOptions":
        for name, (low, high) in self.bounds.items():
            if not low < high:
                raise ValueError(f"bounds of {name} are [{low:g}, {high:g}]; the first must be below the second")
            if name in self.fixed:
                raise ValueError(f"{name} is both fixed and bounded; drop one of the two")
        return self


class Recipe(_Document):
    """What to do with a run; every field may be left out."""

    version: Literal[1] = 1
    detector: str | None = Field(None, description="image key; none: the area detector found in the run")
    geometry: GeometryOptions = GeometryOptions()
    masks: MaskOptions = MaskOptions()
    frames: FrameOptions = FrameOptions()
    rois: tuple[Rings, ...] = Field((), description="none: ten rings chosen from the geometry")
    denoise: DenoiseOptions = DenoiseOptions()
    fit: FitOptions = FitOptions()


@dataclass(frozen=True)
class Found:
    """A value and the place it was read from."""

    value: float
    source: str


@dataclass(frozen=True)
class RunFacts:
    """What a run says of itself, as far as an analysis needs it.

    Attributes
    ----------
    uid, scan_id, sample, start_time : from the start document; time in s since 1970
    detector : image key of the frames
    shape : (N, H, W) frames, rows, columns
    geometry : what the run records of each field of `Geometry`
    """

    uid: str
    detector: str
    shape: tuple[int, int, int]
    scan_id: int | None = None
    sample: str | None = None
    start_time: float | None = None
    geometry: dict[str, Found] = field(default_factory=dict)


class ResolvedRecipe(_Document):
    """A recipe in which nothing is missing, with the source of every value."""

    recipe: Recipe
    sources: dict[str, str]

    @property
    def geometry(self) -> Geometry:
        """The geometry to compute with."""
        return Geometry(**self.recipe.geometry.model_dump())


def parse_recipe(document: dict[str, Any] | None) -> Recipe:
    """Read a recipe from plain data.

    Raises
    ------
    RecipeError
        On unknown keys, wrong units or contradictions; names the field, its value and what is expected.
    """
    try:
        return Recipe.model_validate(document or {})
    except ValidationError as error:
        raise RecipeError(" ".join(_sentence(item) for item in error.errors())) from None


def load_recipe(path: Path | None) -> Recipe:
    """Read a recipe from a JSON or YAML file; the default recipe where there is no file.

    Raises
    ------
    RecipeError
        If the file cannot be read or holds no recipe; names the file.
    """
    if path is None:
        return Recipe()
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"The recipe {path} cannot be read as JSON or YAML: {error}") from None
    if not isinstance(document, dict):
        raise RecipeError(f"The recipe {path} holds no fields, such as rois: ...; see the README for an example.")
    try:
        return parse_recipe(document)
    except RecipeError as error:
        raise RecipeError(f"The recipe {path} cannot be used. {error}") from None


def resolve(recipe: Recipe, facts: RunFacts) -> ResolvedRecipe:
    """Fill a recipe from the run and say where each value came from.

    Raises
    ------
    RecipeError
        If a geometry field stands neither in the recipe nor in the run, or the frame range holds no frame.
    """
    sources: dict[str, str] = {"detector": "recipe" if recipe.detector else f"run {facts.uid[:8]}"}
    geometry = _resolved_geometry(recipe, facts, sources)
    frames = _resolved_frames(recipe, facts, sources)
    rois = recipe.rois or (default_rings(geometry, facts.shape[1:]),)
    sources["rois"] = "recipe" if recipe.rois else "default: ten rings over the radii of the detector"
    for name in ("masks", "denoise", "fit"):
        sources[name] = "recipe" if name in recipe.model_fields_set else "default"
    complete = recipe.model_copy(
        update={"detector": facts.detector, "geometry": geometry, "frames": frames, "rois": rois}
    )
    return ResolvedRecipe(recipe=complete, sources=sources)


def digest(raw_uid: str, resolved: ResolvedRecipe, software_version: str, ensemble_version: str) -> str:
    """Sha256 over all that decides the numbers; the same request has the same digest."""
    document = [raw_uid, resolved.recipe.model_dump(mode="json"), software_version, ensemble_version]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def analysis_id(raw_uid: str, digest: str) -> str:
    """Key of the analysis in Tiled: first block of the raw uid, then ten digits of the digest."""
    return f"{raw_uid.split('-')[0]}-{digest[:10]}"


def default_rings(geometry: GeometryOptions, shape: tuple[int, int]) -> Rings:
    """Ten rings of equal width over the middle of the radii that the detector holds, wherever the beam centre lies."""
    y, x = geometry.beam_center_y or 0.0, geometry.beam_center_x or 0.0
    bottom, right = shape[0] - 1, shape[1] - 1
    nearest = math.hypot(max(-y, 0.0, y - bottom), max(-x, 0.0, x - right))
    farthest = math.hypot(max(y, bottom - y), max(x, right - x))
    span = farthest - nearest
    return Rings(unit="pixel", inner_radius=round(nearest + 0.05 * span, 2), width=round(0.085 * span, 2), num_rings=10)


def _resolved_geometry(recipe: Recipe, facts: RunFacts, sources: dict[str, str]) -> GeometryOptions:
    values: dict[str, float] = {}
    for name, unit in GEOMETRY_UNITS.items():
        given = getattr(recipe.geometry, name)
        if given is not None:
            values[name], sources[f"geometry.{name}"] = given, "recipe"
        elif name in facts.geometry:
            values[name], sources[f"geometry.{name}"] = (
                facts.geometry[name].value,
                facts.geometry[name].source,
            )
        else:
            raise RecipeError(
                f"geometry.{name} is missing: run {facts.uid[:8]} does not record it for {facts.detector}; "
                f"give geometry.{name} ({unit}) in the recipe."
            )
    try:
        return GeometryOptions.model_validate(values)
    except ValidationError as error:
        found = ", ".join(f"{name} from {sources[f'geometry.{name}']}" for name in values)
        sentences = " ".join(_sentence(item, prefix="geometry") for item in error.errors())
        raise RecipeError(f"{sentences} ({found}.) Give the right value in the recipe.") from None


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


def _sentence(item: Any, prefix: str = "") -> str:
    place = ".".join(str(part) for part in ((prefix,) if prefix else ()) + tuple(item["loc"])) or "recipe"
    if item["type"] == "extra_forbidden":
        return f"{place} is not a field of the recipe; remove it or correct its name."
    given = item.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) or given is None else ""
    return f"{place}: {item['msg'].removeprefix('Value error, ')}{shown}."
