"""What an analysis would do, before anything is computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError
from twotime.recipe import GEOMETRY_UNITS, Recipe, ResolvedRecipe, Rings, RunFacts, resolve
from twotime.xpcs.geometry import q_from_radius
from twotime.xpcs.roi import ring_rois
from twotime.xpcs.types import Geometry, Rois

WINDOW = 50


@dataclass(frozen=True)
class Plan:
    """A resolved recipe with the ROIs and frames it leads to.

    Attributes
    ----------
    facts : what the run says of itself
    resolved : the recipe with every value and its source
    rois : before pixels are masked from the data
    warnings : sentences for the reader
    """

    facts: RunFacts
    resolved: ResolvedRecipe
    rois: Rois
    warnings: tuple[str, ...]

    @property
    def n_frames(self) -> int:
        """Number of frames that will be read."""
        frames = self.resolved.recipe.frames
        assert frames.stop is not None
        return len(range(frames.start, frames.stop, frames.stride))

    @property
    def frame_time_s(self) -> float:
        """Time between two analysed frames, s."""
        return self.resolved.geometry.frame_time_s * self.resolved.recipe.frames.stride

    def document(self) -> dict[str, Any]:
        """The plan as plain data, as a dry run returns it."""
        return {
            "raw_uid": self.facts.uid,
            "scan_id": self.facts.scan_id,
            "sample": self.facts.sample,
            "detector": self.facts.detector,
            "shape": list(self.facts.shape),
            "recipe": self.resolved.recipe.model_dump(mode="json"),
            "sources": self.resolved.sources,
            "geometry": [
                {
                    "name": name,
                    "value": getattr(self.resolved.geometry, name),
                    "unit": unit,
                    "source": self.resolved.sources[f"geometry.{name}"],
                }
                for name, unit in GEOMETRY_UNITS.items()
            ],
            "n_frames": self.n_frames,
            "frame_time_s": self.frame_time_s,
            "rois": roi_rows(self.rois),
            "warnings": list(self.warnings),
        }


def plan(facts: RunFacts, recipe: Recipe) -> Plan:
    """Resolve a recipe against a run and lay out its ROIs; reads no frame.

    Raises
    ------
    RecipeError
        If a value is missing or impossible, or an ROI holds no pixel or lies outside the detector.
    """
    resolved = resolve(recipe, facts)
    shape = (facts.shape[1], facts.shape[2])
    try:
        rois = _rois(resolved.recipe.rois, resolved.geometry, shape, _boxes_mask(resolved.recipe, shape))
    except ValueError as error:
        raise RecipeError(f"rois: {error}") from None
    draft = Plan(facts, resolved, rois, ())
    return Plan(facts, resolved, rois, tuple(_warnings(draft)))


def roi_rows(rois: Rois) -> list[dict[str, Any]]:
    """One row per ROI: label, q and its edges in 1/Å, number of pixels."""
    return [
        {"roi": r + 1, "q": float(q), "q_inner": float(inner), "q_outer": float(outer), "n_pixels": int(count)}
        for r, (q, inner, outer, count) in enumerate(
            zip(rois.q, rois.q_inner, rois.q_outer, rois.n_pixels, strict=True)
        )
    ]


def _rois(rings: tuple[Rings, ...], geometry: Geometry, shape: tuple[int, int], mask: NDArray[np.bool_]) -> Rois:
    units = {ring.unit for ring in rings}
    if len(units) == 1:
        edges = [edge for ring in rings for edge in ring.all_edges()]
        return ring_rois(geometry, shape, edges, rings[0].unit, mask)
    edges = []
    for ring in rings:
        for inner, outer in ring.all_edges():
            pair = np.array([inner, outer])
            low, high = pair if ring.unit == "1/A" else q_from_radius(geometry, pair)
            edges.append((float(low), float(high)))
    return ring_rois(geometry, shape, edges, "1/A", mask)


def _boxes_mask(recipe: Recipe, shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.ones(shape, bool)
    for number, box in enumerate(recipe.masks.boxes):
        for name, (low, high), size in (("rows", box.rows, shape[0]), ("columns", box.columns, shape[1])):
            if not 0 <= low < high <= size:
                raise RecipeError(
                    f"masks.boxes.{number}.{name} is [{low}, {high}], but the detector has {size} {name}; "
                    f"give 0 <= first < last <= {size}."
                )
        mask[slice(*box.rows), slice(*box.columns)] = False
    return mask


def _warnings(draft: Plan) -> list[str]:
    warnings = []
    recipe = draft.resolved.recipe
    if recipe.denoise.enabled and draft.n_frames < WINDOW:
        warnings.append(
            f"{draft.n_frames} frames are fewer than the {WINDOW} that denoising needs; the raw result stands alone."
        )
    if recipe.masks.from_data:
        warnings.append("Pixel counts are before dead, hot and noisy pixels are found in the frames.")
    return warnings
