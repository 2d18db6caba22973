"""What an analysis would do, before anything is computed."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError, UnusableRun
from twotime.pipeline.protocols import Library, NoLibrary
from twotime.pipeline.regions import regions_of
from twotime.pipeline.static_mask import static_mask
from twotime.recipe import GEOMETRY_UNITS, Recipe, ResolvedRecipe, RunFacts, resolve
from twotime.xpcs.roi import labelled
from twotime.xpcs.types import Rois

WINDOW = 50
BYTES_PER_PAIR = 16
"""Of each pair of frames and ROI: measured, denoised and spread in float32, mask, previews, room to publish them."""
DEFAULT_BUDGET = 8 * 2**30
BEFORE_MASKING = "Pixel counts are before dead, hot and noisy pixels are found in the frames."


@dataclass(frozen=True)
class Plan:
    """A resolved recipe with the ROIs and frames it leads to.

    Attributes
    ----------
    facts : what the run says of itself
    resolved : the recipe with every value and its source
    rois : before pixels are masked from the data
    mask : (H, W) in the analysis frame, True where boxes, registry and files leave a pixel in
    warnings : sentences for the reader
    """

    facts: RunFacts
    resolved: ResolvedRecipe
    rois: Rois
    mask: NDArray[np.bool_]
    warnings: tuple[str, ...]

    @property
    def n_frames(self) -> int:
        """Number of frames that will be read."""
        frames = self.resolved.recipe.frames
        assert frames.stop is not None
        return len(range(frames.start, frames.stop, frames.stride))

    @property
    def bin(self) -> int:
        """How many neighbouring frames are added."""
        bin_frames = self.resolved.recipe.frames.bin
        assert isinstance(bin_frames, int)
        return bin_frames

    @property
    def frame_time_s(self) -> float:
        """Time between two analysed frames, s."""
        return self.resolved.geometry.frame_time_s * self.resolved.recipe.frames.stride * self.bin

    def document(self) -> dict[str, Any]:
        """The plan as plain data, as a dry run returns it."""
        # Of a dry run alone: an analysis says how many pixels it masked.
        masked_later = [BEFORE_MASKING] if self.resolved.recipe.masks.from_data else []
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
            "n_frames": self.n_frames // self.bin,
            "frame_time_s": self.frame_time_s,
            "rois": roi_rows(self.rois),
            "warnings": [*self.warnings, *masked_later],
        }


def plan(
    facts: RunFacts, recipe: Recipe, library: Library | None = None, *, budget_bytes: int = DEFAULT_BUDGET
) -> Plan:
    """Resolve a recipe against a run and lay out its ROIs; reads no frame.

    Parameters
    ----------
    library : where masks and label arrays that the recipe names are found; None: there are none
    budget_bytes : memory for the two-time correlation functions; frames are added until these fit

    Raises
    ------
    RecipeError
        If a value is missing or impossible, an ROI holds no pixel or lies outside the detector, or a mask is not there.
    UnusableRun
        If the frames are denoised ones.
    """
    _refuse_denoised(facts)
    library = library or NoLibrary()
    resolved = resolve(recipe, facts)
    shape = facts.frame_shape(resolved.orientation)
    mask, masks = static_mask(resolved.recipe.masks, resolved.orientation, facts, library)
    options = resolved.recipe
    try:
        rois, dropped = labelled(
            regions_of(options.rois, resolved.geometry, shape, library), resolved.geometry, mask, options.min_pixels
        )
    except ValueError as error:
        raise RecipeError(f"rois: {error}") from None
    frames = options.frames
    assert frames.stop is not None
    n_frames = len(range(frames.start, frames.stop, frames.stride))
    bin_frames = bin_of(frames.bin, n_frames, rois.number, budget_bytes)
    complete = options.model_copy(update={"masks": masks, "frames": frames.model_copy(update={"bin": bin_frames})})
    resolved = resolved.model_copy(update={"recipe": complete})
    warnings = [*dropped, *_warnings(facts, resolved, n_frames // bin_frames)]
    if frames.bin == "auto" and bin_frames > 1:
        warnings.insert(
            0,
            f"Every {bin_frames} frames were added to one: the two-time correlation functions of {n_frames} frames and "
            f"{rois.number} ROIs do not fit into {budget_bytes / 2**30:.3g} GiB; take fewer ROIs, or set frames.bin.",
        )
    return Plan(facts, resolved, rois, mask, tuple(warnings))


def roi_rows(rois: Rois) -> list[dict[str, Any]]:
    """One row per ROI: label, q and its edges in 1/Å, angle in degrees, number of pixels; None where it has none."""
    columns = zip(rois.q, rois.q_inner, rois.q_outer, rois.phi, rois.n_pixels, strict=True)
    return [
        {
            "roi": r + 1,
            "q": float(q),
            "q_inner": _or_none(inner),
            "q_outer": _or_none(outer),
            "phi": _or_none(phi),
            "n_pixels": int(count),
        }
        for r, (q, inner, outer, phi, count) in enumerate(columns)
    ]


def _refuse_denoised(facts: RunFacts) -> None:
    """A denoised frame is a smooth estimate: its pixels share counts, so correlating them finds what is not there."""
    if facts.denoised:
        raise UnusableRun(
            f"Run {facts.uid[:8]} holds denoised frames ({facts.denoised}), which have no speckle left: neighbouring "
            "pixels share their counts. Correlate the frames as the detector wrote them."
        )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def bin_of(wanted: str | int, n_frames: int, n_rois: int, budget_bytes: int) -> int:
    """How many frames are added to one: as `wanted` or, for "auto", so many that all pairs fit into the budget."""
    if isinstance(wanted, int):
        if n_frames // wanted < 2:
            raise RecipeError(
                f"frames.bin is {wanted}, but only {n_frames} frames are taken; bin at most half of them."
            )
        return wanted
    most_frames = math.isqrt(budget_bytes // (max(1, n_rois) * BYTES_PER_PAIR))
    return n_frames // (most_frames + 1) + 1


def _warnings(facts: RunFacts, resolved: ResolvedRecipe, n_frames: int) -> list[str]:
    recipe, geometry = resolved.recipe, resolved.geometry
    warnings = []
    if recipe.denoise.enabled and n_frames < WINDOW:
        warnings.append(
            f"{n_frames} frames are fewer than the {WINDOW} that denoising needs; the raw result stands alone."
        )
    if facts.announced is not None and facts.announced != facts.shape[0]:
        warnings.append(
            f"The detector was asked for {facts.announced} frames, but the run holds {facts.shape[0]}; "
            "these were taken as they are."
        )
    shortest = facts.shortest_frame_time_s
    if shortest is not None and geometry.frame_time_s < 0.9 * shortest:
        warnings.append(
            f"geometry.frame_time_s is {geometry.frame_time_s:g} s, shorter than the {shortest:g} s that "
            f"{facts.detector} can do; all rates in 1/s depend on it."
        )
    if facts.exposure_s is not None and facts.exposure_s > geometry.frame_time_s * 1.001:
        warnings.append(
            f"geometry.frame_time_s is {geometry.frame_time_s:g} s, shorter than the exposure of {facts.exposure_s:g} "
            "s; all rates in 1/s depend on it."
        )
    if resolved.sources["geometry.beam_center_y"] != "recipe" and _center_unset(facts):
        warnings.append(
            "The run records a beam centre of 0, 0, which is what a detector says before it was measured; all q depend "
            "on it: give geometry.beam_center_y and geometry.beam_center_x in the recipe."
        )
    return warnings


def _center_unset(facts: RunFacts) -> bool:
    found = [facts.geometry.get(name) for name in ("beam_center_y", "beam_center_x")]
    return all(one is not None and one.value == 0 for one in found)
