"""The kinds of analysis: which plan, which route and which versions belong to a recipe."""

from typing import overload

from twotime.pipeline.analyse import analyse, versions_of
from twotime.pipeline.denoising import FindVariable, denoise_frames, frame_versions_of, no_variable
from twotime.pipeline.frame_planning import FramePlan, plan_frames
from twotime.pipeline.gathering import PixelStore
from twotime.pipeline.planning import DEFAULT_BUDGET, Plan, plan
from twotime.pipeline.protocols import FrameSource, Library, Progress, no_progress
from twotime.recipe import AnyRecipe, FrameRecipe, Recipe, RunFacts
from twotime.results import Analysis
from twotime.weights import Models

AnyPlan = Plan | FramePlan


@overload
def plan_of(facts: RunFacts, recipe: Recipe, library: Library | None = ..., *, budget_bytes: int = ...) -> Plan: ...
@overload
def plan_of(
    facts: RunFacts, recipe: AnyRecipe, library: Library | None = ..., *, budget_bytes: int = ...
) -> AnyPlan: ...
def plan_of(
    facts: RunFacts, recipe: AnyRecipe, library: Library | None = None, *, budget_bytes: int = DEFAULT_BUDGET
) -> AnyPlan:
    """Resolve a recipe against a run; see `twotime.pipeline.plan` and `twotime.pipeline.plan_frames`."""
    if isinstance(recipe, FrameRecipe):
        return plan_frames(facts, recipe, library, budget_bytes=budget_bytes)
    return plan(facts, recipe, library, budget_bytes=budget_bytes)


def analysis_of(
    source: FrameSource,
    recipe: AnyRecipe,
    models: Models,
    progress: Progress = no_progress,
    *,
    library: Library | None = None,
    budget_bytes: int = DEFAULT_BUDGET,
    store: PixelStore | None = None,
    scan_variable: FindVariable = no_variable,
) -> Analysis:
    """Analyse the frames of a run as its recipe says; see `twotime.pipeline.analyse` and `denoise_frames`."""
    if isinstance(recipe, FrameRecipe):
        return denoise_frames(
            source,
            recipe,
            models.frame_denoiser,
            progress,
            library=library,
            budget_bytes=budget_bytes,
            scan_variable=scan_variable,
        )
    return analyse(source, recipe, models.ensemble, progress, library=library, budget_bytes=budget_bytes, store=store)


def kind_versions(kind: str, models: Models) -> dict[str, str]:
    """Versions of all that decides the numbers of a kind of analysis; raises `WeightsDamaged`."""
    if kind == "frames":
        return frame_versions_of(models.frame_denoiser)
    return versions_of(models.ensemble)
