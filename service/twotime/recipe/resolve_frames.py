"""Filling a recipe of denoised frames from a run, with the source of every value."""

from twotime.errors import RecipeError
from twotime.recipe.document import Document
from twotime.recipe.facts import RunFacts
from twotime.recipe.frame_recipe import FrameRecipe
from twotime.xpcs.orientation import Orientation


class ResolvedFrameRecipe(Document):
    """A recipe of denoised frames in which nothing is missing, with the source of every value."""

    recipe: FrameRecipe
    sources: dict[str, str]

    @property
    def orientation(self) -> Orientation:
        """From the frame as written to the analysis frame."""
        assert self.recipe.orientation is not None
        return self.recipe.orientation


def resolve_frames(recipe: FrameRecipe, facts: RunFacts) -> ResolvedFrameRecipe:
    """Fill a recipe from the run and say where each value came from; needs no geometry.

    Raises
    ------
    RecipeError
        If the frame range holds no whole sum, or the run records no scalar of the name that the recipe asks for.
    """
    run, frames = f"run {facts.uid[:8]}", recipe.frames
    stop = facts.shape[0] if frames.stop is None else frames.stop
    if stop > facts.shape[0]:
        raise RecipeError(f"frames.stop is {stop}, but {run} has {facts.shape[0]} frames; use at most that.")
    if frames.start >= stop:
        raise RecipeError(f"frames.start is {frames.start}, but frames.stop is {stop}; start must be below stop.")
    there = len(range(frames.start, stop, frames.stride))
    if frames.sum > there:
        raise RecipeError(f"frames.sum is {frames.sum}, but only {there} frames are taken; add at most these.")
    variable = recipe.scan_variable
    if variable is not None and variable not in facts.scalars:
        known = ", ".join(facts.scalars) or "none"
        raise RecipeError(f"scan_variable is {variable!r}, but {run} records no such scalar; it records {known}.")
    sources = {
        "detector": "recipe" if recipe.detector else run,
        "orientation": "recipe" if recipe.orientation else f"detector {facts.detector}",
        "frames.stop": "recipe" if frames.stop is not None else run,
    }
    for name in ("gain", "masks", "regions", "peaks", "scan_variable"):
        sources[name] = "recipe" if name in recipe.model_fields_set else "default"
    complete = recipe.model_copy(
        update={
            "detector": facts.detector,
            "orientation": recipe.orientation or facts.orientation,
            "frames": frames.model_copy(update={"stop": stop}),
        }
    )
    return ResolvedFrameRecipe(recipe=complete, sources=sources)
