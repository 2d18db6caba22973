"""Submission: find the run, resolve the recipe, compute the analysis id, queue the analysis in Tiled."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from databroker.client import BlueskyRun
from numpy.typing import NDArray

from twotime.catalog.results.analysis_record import AnalysisRecord, Priority
from twotime.catalog.runs.document_values import field_of, text_or_none
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.previews import mean_of_frames
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.errors import AnalysisNotFound, QueueFull
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.access.viewer import Viewer
from twotime.jobs.scheduling.fair_shares import Share
from twotime.jobs.scheduling.job_queue import rank_of
from twotime.pipeline import AnyPlan, FramePlan, kind_versions, plan_of
from twotime.recipe import AnyRecipe, analysis_id, digest, parse_recipe
from twotime.weights import Models


def share_of(start: Mapping[str, Any], fields: Sequence[str]) -> Share:
    """To whom the analyses of a run count in the queue: the values of some fields of its start document.

    Examples
    --------
    >>> share_of({"beamline_id": "CHX"}, ["beamline_id", "data_session"])
    ('CHX', '')
    """
    return tuple(text_or_none(field_of(start, name)) or "" for name in fields)


class Submission:
    """Turns requests into queued analyses. All methods block; call them in threads.

    Parameters
    ----------
    tiled : connection of the service, which writes
    site_recipe : for requests without a recipe
    """

    def __init__(self, tiled: TiledConnection, site_recipe: AnyRecipe) -> None:
        self.tiled = tiled
        self.site_recipe = site_recipe
        self._versions: dict[str, dict[str, str]] = {}

    def versions(self, kind: str = "xpcs") -> dict[str, str]:
        """Versions of all that decides the numbers of a kind of analysis; raises `WeightsDamaged`."""
        if kind not in self._versions:
            settings = self.tiled.settings
            self._versions[kind] = kind_versions(kind, Models(settings.ensemble, settings.frame_denoiser))
        return dict(self._versions[kind])

    def submit(
        self,
        reference: str,
        recipe: AnyRecipe | dict[str, Any] | None,
        *,
        force: bool = False,
        automatic: bool = False,
        parents: Sequence[str] = (),
        priority: Priority = "asked",
        is_full: Callable[[Share], bool] = lambda _: False,
    ) -> AnalysisRecord:
        """Queue an analysis, or find the one that the same request made before.

        Parameters
        ----------
        reference : uid, beginning of a uid, scan_id, or -1 for the newest run
        recipe : None: the recipe of the site
        force : compute again, even if the analysis has ended
        automatic : requested by the automatic mode
        parents : ids of analyses that this one replaces
        priority : decides the place in the queue
        is_full : whether as many analyses of a share wait as may

        Raises
        ------
        InputError
            If run or recipe cannot be used; nothing is written then.
        QueueFull
            If the queue is full and the analysis is not known.
        """
        run = find_run(self.tiled.raw, reference)
        asked, the_plan = self._plan(run, recipe, self.tiled)
        versions = self.versions(asked.kind)
        share = share_of(run.metadata["start"], self.tiled.settings.shares)
        if is_full(share):
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
            priority=priority,
            share=share,
        )

    def plan(self, reference: str, recipe: AnyRecipe | dict[str, Any] | None, viewer: Viewer) -> dict[str, Any]:
        """What `submit` would do: the plan, the id of the analysis, and its status if it exists already.

        Parameters
        ----------
        viewer : reads run, masks and analysis
        """
        asked, the_plan = self._plan(find_run(viewer.raw, reference), recipe, viewer)
        key = analysis_id(the_plan.facts.uid, self._digest(the_plan))
        try:
            status: str | None = viewer.store.get(key).status
        except AnalysisNotFound:
            status = None
        request = asked.model_dump(mode="json", exclude_unset=True)
        return {
            **the_plan.document(),
            "request": request,
            "versions": self.versions(asked.kind),
            "analysis_id": key,
            "status": status,
        }

    def labels(self, reference: str, recipe: AnyRecipe | dict[str, Any] | None, viewer: Viewer) -> NDArray[np.int32]:
        """Label array of the ROIs of a plan, (H, W) in the analysis frame, 0 outside."""
        the_plan = self._plan(find_run(viewer.raw, reference), recipe, viewer)[1]
        return the_plan.labels if isinstance(the_plan, FramePlan) else the_plan.rois.labels

    def frame(self, reference: str, viewer: Viewer, **which: Any) -> NDArray[np.float32]:
        """See `twotime.catalog.runs.previews.mean_of_frames`."""
        settings = self.tiled.settings
        if not viewer.unrestricted:
            # Tiled checks whether the caller may read the frames; a file opened in place would not be checked.
            settings = settings.model_copy(update={"read_in_place": False})
        return mean_of_frames(find_run(viewer.raw, reference), settings, **which)

    def _plan(
        self, run: BlueskyRun, recipe: AnyRecipe | dict[str, Any] | None, viewer: Viewer
    ) -> tuple[AnyRecipe, AnyPlan]:
        asked = self.site_recipe if recipe is None else recipe
        if isinstance(asked, dict):
            asked = parse_recipe(asked)
        settings = self.tiled.settings
        facts = run_facts(
            run,
            asked.detector,
            accept_failed=asked.frames.accept_failed_run,
            direct=settings.read_in_place,
            path_map=settings.path_map,
            folders=settings.detector_dirs,
        )
        # Masks that the site's recipe names were chosen by the site. Masks that a caller names must be readable with
        # the caller's key, or a recipe could reveal arrays that Tiled hides.
        named = None if viewer.unrestricted or recipe is None else viewer.root
        library = MaskLibrary(self.tiled.root, settings, named)
        return asked, plan_of(facts, asked, library, budget_bytes=library.budget_bytes)

    def resubmit(self, record: AnalysisRecord) -> AnalysisRecord:
        """Queue the request of an outdated analysis again, for the versions that run now."""
        return self.submit(
            record.raw_uid,
            record.request,
            automatic=record.automatic,
            parents=(record.id,),
            priority=rank_of(record).priority,
        )

    def _known(self, the_plan: AnyPlan, force: bool) -> AnalysisRecord:
        key = analysis_id(the_plan.facts.uid, self._digest(the_plan))
        with suppress(AnalysisNotFound):
            record = self.tiled.store.get(key)
            if not (force and record.ended):
                return record
        most = self.tiled.settings.most_queued
        raise QueueFull(f"{most} analyses wait already, the most that TWOTIME_MOST_QUEUED allows; try again later.")

    def _digest(self, the_plan: AnyPlan) -> str:
        return digest(the_plan.facts.uid, the_plan.resolved, self.versions(the_plan.resolved.recipe.kind))
