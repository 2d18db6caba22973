"""Takes requests: finds the run, resolves the recipe, names the analysis, and queues it in Tiled."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.previews import mean_of_frames
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.errors import AnalysisNotFound, QueueFull
from twotime.jobs.access.callers import View
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.pipeline import Plan, plan, versions_of
from twotime.recipe import Recipe, analysis_id, digest, parse_recipe
from twotime.weights import load_ensemble


class Submission:
    """Turns what people and rules ask for into queued analyses. All methods are synchronous.

    Parameters
    ----------
    tiled : to Tiled
    site_recipe : used where nothing is said
    """

    def __init__(self, tiled: TiledConnection, site_recipe: Recipe) -> None:
        self.tiled = tiled
        self.site_recipe = site_recipe
        self._versions: dict[str, str] | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Of all that decides a number, see `twotime.pipeline.versions_of`; raises `WeightsDamaged`."""
        if self._versions is None:
            self._versions = versions_of(load_ensemble(self.tiled.settings.ensemble))
        return dict(self._versions)

    def submit(
        self,
        reference: str,
        recipe: Recipe | dict[str, Any] | None,
        *,
        force: bool = False,
        automatic: bool = False,
        parents: Sequence[str] = (),
        only_known: bool = False,
    ) -> AnalysisRecord:
        """Queue an analysis or find it; nothing is written where run or recipe cannot be used, or if `only_known`."""
        asked, the_plan = self._plan(reference, recipe)
        versions = self.versions
        if only_known:
            return self._known(the_plan, force)
        return self.tiled.store.request(
            the_plan.facts,
            the_plan.resolved,
            self._digest(the_plan),
            versions,
            asked=asked,
            force=force,
            automatic=automatic,
            parents=parents,
        )

    def plan(self, reference: str, recipe: Recipe | dict[str, Any] | None, seen: View | None = None) -> dict[str, Any]:
        """What `submit` would do, with the id it would give and the status of the analysis that has it already.

        Parameters
        ----------
        seen : by whoever asks, where that is less than the service sees
        """
        asked, the_plan = self._plan(reference, recipe, seen)
        key = analysis_id(the_plan.facts.uid, self._digest(the_plan))
        try:
            status: str | None = (seen or self.tiled).store.get(key).status
        except AnalysisNotFound:
            status = None
        request = asked.model_dump(mode="json", exclude_unset=True)
        return {
            **the_plan.document(),
            "request": request,
            "versions": self.versions,
            "analysis_id": key,
            "status": status,
        }

    def labels(
        self, reference: str, recipe: Recipe | dict[str, Any] | None, seen: View | None = None
    ) -> NDArray[np.int32]:
        """Where the ROIs of a plan lie in the analysis frame."""
        return self._plan(reference, recipe, seen)[1].rois.labels

    def frame(self, reference: str, seen: View | None = None, **which: Any) -> NDArray[np.float32]:
        """See `twotime.catalog.runs.previews.mean_of_frames`."""
        # Frames for somebody else come from Tiled, which knows whether he may have them; files do not.
        settings = self.tiled.settings.model_copy(update={} if seen is None else {"read_in_place": False})
        return mean_of_frames(find_run((seen or self.tiled).raw, reference), settings, **which)

    def _plan(
        self, reference: str, recipe: Recipe | dict[str, Any] | None, seen: View | None = None
    ) -> tuple[Recipe, Plan]:
        asked = self.site_recipe if recipe is None else recipe
        if isinstance(asked, dict):
            asked = parse_recipe(asked)
        run = find_run((seen or self.tiled).raw, reference)
        settings = self.tiled.settings
        facts = run_facts(
            run,
            asked.detector,
            accept_failed=asked.frames.accept_failed_run,
            direct=settings.read_in_place,
            path_map=settings.path_map,
            folders=settings.detector_dirs,
        )
        # What a recipe of the site names was chosen by the site; what a caller names, Tiled must show to him.
        named = None if seen is None or recipe is None else seen.root
        library = MaskLibrary(self.tiled.root, settings, named)
        return asked, plan(facts, asked, library, budget_bytes=library.budget_bytes)

    def _known(self, the_plan: Plan, force: bool) -> AnalysisRecord:
        key = analysis_id(the_plan.facts.uid, self._digest(the_plan))
        with suppress(AnalysisNotFound):
            record = self.tiled.store.get(key)
            if not (force and record.ended):
                return record
        most = self.tiled.settings.most_queued
        raise QueueFull(f"{most} analyses wait already, the most that TWOTIME_MOST_QUEUED allows; try again later.")

    def _digest(self, the_plan: Plan) -> str:
        return digest(the_plan.facts.uid, the_plan.resolved, self.versions)
