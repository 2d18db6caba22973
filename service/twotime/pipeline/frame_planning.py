"""What denoising the frames of a run would do, before anything is computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError, UnusableRun
from twotime.pipeline.planning import DEFAULT_BUDGET
from twotime.pipeline.protocols import Library, NoLibrary
from twotime.pipeline.regions import region_labels
from twotime.pipeline.static_mask import static_mask
from twotime.recipe import GEOMETRY_UNITS, FrameRecipe, ResolvedFrameRecipe, RunFacts, resolve_frames

BYTES_PER_PIXEL = 20
"""Of each denoised frame: counts, rate, error and residual in 4 bytes each, and room to publish them."""


@dataclass(frozen=True)
class FramePlan:
    """A resolved recipe of denoised frames with the regions and frames it leads to.

    Attributes
    ----------
    facts : what the run says of itself
    resolved : the recipe with every value and its source
    labels : (H, W) in the analysis frame, 0 outside all regions
    mask : (H, W) in the analysis frame, True where boxes, registry and files leave a pixel in
    warnings : sentences for the reader
    """

    facts: RunFacts
    resolved: ResolvedFrameRecipe
    labels: NDArray[np.int32]
    mask: NDArray[np.bool_]
    warnings: tuple[str, ...]

    @property
    def n_taken(self) -> int:
        """Number of frames of the run that are added up; what is left over after the last whole sum is not."""
        return self.n_frames * self.resolved.recipe.frames.sum

    @property
    def n_frames(self) -> int:
        """Number of frames after adding."""
        frames = self.resolved.recipe.frames
        assert frames.stop is not None
        return len(range(frames.start, frames.stop, frames.stride)) // frames.sum

    @property
    def frame_time_s(self) -> float | None:
        """Time from one denoised frame to the next, s; None where the run does not record it."""
        found, frames = self.facts.geometry.get("frame_time_s"), self.resolved.recipe.frames
        return None if found is None else found.value * frames.stride * frames.sum

    @property
    def n_regions(self) -> int:
        """Number of regions."""
        return int(self.labels.max(initial=0))

    def document(self) -> dict[str, Any]:
        """The plan as plain data, with the fields that plans of correlation functions have."""
        pixels = np.bincount(self.labels.ravel(), minlength=self.n_regions + 1)[1:]
        return {
            "raw_uid": self.facts.uid,
            "scan_id": self.facts.scan_id,
            "sample": self.facts.sample,
            "detector": self.facts.detector,
            "shape": list(self.facts.shape),
            "recipe": self.resolved.recipe.model_dump(mode="json"),
            "sources": self.resolved.sources,
            "geometry": [
                {"name": name, "value": found.value, "unit": GEOMETRY_UNITS[name], "source": found.source}
                for name, found in self.facts.geometry.items()
            ],
            "n_frames": self.n_frames,
            "frame_time_s": self.frame_time_s,
            "rois": [
                {"roi": number, "q": None, "q_inner": None, "q_outer": None, "phi": None, "n_pixels": int(count)}
                for number, count in enumerate(pixels, start=1)
            ],
            "warnings": list(self.warnings),
        }


def plan_frames(
    facts: RunFacts, recipe: FrameRecipe, library: Library | None = None, *, budget_bytes: int = DEFAULT_BUDGET
) -> FramePlan:
    """Resolve a recipe against a run and lay out its regions; reads no frame.

    Parameters
    ----------
    library : where masks and label arrays that the recipe names are found; None: there are none
    budget_bytes : memory for the denoised frames

    Raises
    ------
    RecipeError
        If a value is impossible, a region holds no pixel or lies outside the detector, a mask is not there, or the
        frames do not fit the memory.
    UnusableRun
        If the frames are denoised ones.
    """
    if facts.denoised:
        raise UnusableRun(
            f"Run {facts.uid[:8]} holds denoised frames ({facts.denoised}); "
            "denoise the frames as the detector wrote them."
        )
    library = library or NoLibrary()
    resolved = resolve_frames(recipe, facts)
    mask, masks = static_mask(recipe.masks, resolved.orientation, facts, library)
    try:
        labels = region_labels(recipe.regions, mask, library)
    except ValueError as error:
        raise RecipeError(f"regions: {error}") from None
    complete = resolved.recipe.model_copy(update={"masks": masks})
    resolved = resolved.model_copy(update={"recipe": complete})
    made = FramePlan(facts, resolved, labels, mask, ())
    _require_memory(made, budget_bytes)
    return FramePlan(facts, resolved, labels, mask, tuple(_warnings(made)))


def _require_memory(plan: FramePlan, budget_bytes: int) -> None:
    needed = plan.n_frames * plan.mask.size * BYTES_PER_PIXEL
    if needed > budget_bytes:
        height, width = plan.mask.shape
        most = budget_bytes // (plan.mask.size * BYTES_PER_PIXEL)
        raise RecipeError(
            f"{plan.n_frames} frames of {height} x {width} pixels need {needed / 2**30:.3g} GiB, but this service has "
            f"{budget_bytes / 2**30:.3g} GiB for an analysis, which is enough for {most}; add more frames to one "
            "(frames.sum), take fewer (frames.start, frames.stop, frames.stride), or raise TWOTIME_MEMORY_GIB."
        )


def _warnings(plan: FramePlan) -> list[str]:
    frames = plan.resolved.recipe.frames
    assert frames.stop is not None
    left = len(range(frames.start, frames.stop, frames.stride)) - plan.n_taken
    if not left:
        return []
    return [f"The last {left} frames make no whole sum of {frames.sum} and were left out."]
