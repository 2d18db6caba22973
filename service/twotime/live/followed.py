"""What is made of the frames of a followed scan, by the kind of its recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twotime.live.display import denoised_arrays, denoised_numbers, shown_arrays, shown_numbers
from twotime.live.growing_analysis import GrowingAnalysis
from twotime.live.growing_frames import GrowingFrames
from twotime.pipeline import AnyPlan, FramePlan, Plan, plan_of
from twotime.pipeline.protocols import Block, Library
from twotime.recipe import AnyRecipe, FrameRecipe, RunFacts
from twotime.weights import Models


@dataclass(frozen=True)
class Shown:
    """What the screen shows: arrays as named in `twotime.catalog.results.live_scans.ARRAYS`, and metadata."""

    arrays: dict[str, NDArray[np.float32]]
    numbers: dict[str, Any]


class Followed(Protocol):
    """Takes frames in one thread and says in another what they show."""

    @property
    def plan(self) -> AnyPlan:
        """Of the analysis to come, for as many frames as may come."""
        ...

    @property
    def n_frames(self) -> int:
        """Taken so far."""
        ...

    @property
    def announced(self) -> int:
        """Frames that will be taken, as far as the run says."""
        ...

    def take(self, first: int, block: Block) -> None:
        """Add the next frames, (k, H, W); the first of them has the number `first` in the run."""
        ...

    def look(self) -> Shown | None:
        """What the frames so far show; None where there is nothing new; raises `UnusableRun`."""
        ...


class FollowedDynamics:
    """Correlation functions that grow.

    Attributes
    ----------
    plan, growing : see `GrowingAnalysis`
    """

    def __init__(self, the_plan: Plan, models: Models) -> None:
        self.plan = the_plan
        self.growing = GrowingAnalysis(the_plan, models.ensemble)

    @property
    def n_frames(self) -> int:
        """Taken so far."""
        return self.growing.n_frames

    @property
    def announced(self) -> int:
        """Frames that will be taken, as far as the run says."""
        return self.plan.n_frames

    def take(self, first: int, block: Block) -> None:
        """See `Followed`."""
        self.growing.take(first, block)

    def look(self) -> Shown | None:
        """Fits and curves of all frames so far."""
        grown = self.growing.grown()
        return None if grown is None else Shown(shown_arrays(grown), shown_numbers(grown))


class FollowedFrames:
    """Denoised frames, one after the other.

    Attributes
    ----------
    plan, growing : see `GrowingFrames`
    """

    def __init__(self, the_plan: FramePlan, models: Models, pixel_mask: NDArray[np.bool_] | None) -> None:
        self.plan = the_plan
        self.growing = GrowingFrames(the_plan, models.frame_denoiser, pixel_mask)

    @property
    def n_frames(self) -> int:
        """Taken so far."""
        return self.growing.n_frames

    @property
    def announced(self) -> int:
        """Frames that will be taken, as far as the run says."""
        return self.plan.n_taken

    def take(self, first: int, block: Block) -> None:
        """See `Followed`."""
        self.growing.take(first, block)

    def look(self) -> Shown | None:
        """The newest sum of frames, denoised."""
        newest = self.growing.newest()
        return None if newest is None else Shown(denoised_arrays(newest), denoised_numbers(newest))


def followed(
    facts: RunFacts,
    recipe: AnyRecipe,
    models: Models,
    library: Library,
    pixel_mask: Callable[[], NDArray[np.bool_] | None],
    *,
    budget_bytes: int,
) -> FollowedDynamics | FollowedFrames:
    """Begin to follow a run.

    Parameters
    ----------
    facts : of the run so far
    recipe : of its analysis
    library, budget_bytes : see `twotime.pipeline.plan_of`
    pixel_mask : returns what the detector says of its pixels; None: nothing

    Raises
    ------
    RecipeError, UnusableRun
        If the recipe does not fit the run.
    """
    if isinstance(recipe, FrameRecipe):
        the_plan = plan_of(facts, recipe, library, budget_bytes=budget_bytes)
        assert isinstance(the_plan, FramePlan)
        return FollowedFrames(the_plan, models, pixel_mask())
    # The pixels of the frames and their two-time functions are in memory at the same time.
    return FollowedDynamics(plan_of(facts, recipe, library, budget_bytes=budget_bytes // 2), models)
