"""One attempt of an analysis in a worker: find the run, compute, publish, write the outcome."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TypeVar

import httpx
import structlog
from tiled.client.container import Container

from twotime.catalog.results.analysis_record import AnalysisRecord, ClaimLost, plain
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import TiledSink
from twotime.catalog.runs.detector_files import pixel_cache
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.scan_variables import scan_variable
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import open_root, raw_catalog, results_container
from twotime.errors import (
    Cancelled,
    TiledFailing,
    TiledRefused,
    TiledUnavailable,
    TwotimeError,
    UnusableRun,
    WeightsDamaged,
)
from twotime.jobs.executors.executor import OnProgress
from twotime.jobs.executors.heartbeat import Heartbeat, StopSign
from twotime.pipeline import Progress, analysis_of, kind_versions, plan_of
from twotime.pipeline.one_roi import warm_up
from twotime.recipe import deciding, parse_recipe
from twotime.results import Analysis
from twotime.settings import Settings
from twotime.weights import Models

log = structlog.get_logger()

Outcome = Literal["done", "failed", "cancelled", "lost"]
"""How an attempt ended. "lost": another process took it over, or Tiled stayed away; nothing was written then."""

PATIENCE_S = 900.0
"""For a Tiled that does not answer: a restart or a migration takes minutes, and the result is worth the wait."""
REFUSED_PATIENCE_S = 120.0
"""For refusals and data errors: they may be final (wrong key, damaged file) or pass (key renewed, disk full)."""
RETRY_EVERY_S = 2.0
Result = TypeVar("Result")


class AttemptRunner:
    """Computes attempts, one after another. Loads each model once, when it is first needed.

    Parameters
    ----------
    settings : of the service, with address and key of Tiled
    cancel : set it to stop the present attempt
    on_progress : called at every step
    """

    def __init__(self, settings: Settings, cancel: StopSign, on_progress: OnProgress) -> None:
        self.settings = settings
        self.cancel = cancel
        self.on_progress = on_progress
        self._models = Models(settings.ensemble, settings.frame_denoiser)

    def warm_up(self) -> None:
        """Load the ensemble and compile kernels. If the models cannot be loaded, the first attempt reports it."""
        with suppress(WeightsDamaged):
            warm_up(self._models.ensemble)

    def run(self, record: AnalysisRecord) -> Outcome:
        """Compute and publish one claimed attempt; never raises."""
        bound = log.bind(analysis_id=record.id, raw_uid=record.raw_uid, attempt=record.attempt)
        bound.info("analysis_started")
        try:
            outcome = self._attempt(record)
        except (TiledUnavailable, ClaimLost) as error:
            bound.error("analysis_lost", reason=str(error))
            return "lost"
        except Exception:
            bound.exception("analysis_broke")
            return "lost"
        bound.info("analysis_ended", status=outcome)
        return outcome

    def _attempt(self, record: AnalysisRecord) -> Outcome:
        root = self._retry(lambda: open_root(self.settings), None)
        try:
            return self._attempt_with(root, record)
        finally:
            root.context.close()

    def _attempt_with(self, root: Container, record: AnalysisRecord) -> Outcome:
        store = AnalysisStore(self._retry(lambda: results_container(root, self.settings), None))
        now = self._retry(lambda: store.get(record.id), None)
        if now.ended and now.attempt == record.attempt:
            return "lost"  # The worker before died after it had written the outcome.
        heartbeat = Heartbeat(store, record, self.cancel, self.on_progress)
        sink = TiledSink(store, record, heartbeat.step)
        try:
            with heartbeat:
                self._retry(sink.clear, heartbeat)
                analysis = self._retry(lambda: self._analyse(root, record, heartbeat.step), heartbeat)
                self._retry(lambda: sink.publish(analysis), heartbeat)
            return "done"
        # From here on the order of the handlers decides: ClaimLost is a Cancelled, TiledFailing a TiledUnavailable.
        except ClaimLost:
            raise  # Another process owns the analysis: write nothing.
        except Cancelled:
            self._retry(sink.clear, None)
            self._retry(lambda: store.cancelled(record), None)
            return "cancelled"
        except TiledFailing as error:
            # Tiled answers, but 500 to a request for data, for `REFUSED_PATIENCE_S`: probably a damaged file.
            return self._failed(store, sink, record, str(error))
        except TiledUnavailable:
            raise  # The outcome cannot be written either; the lease expires and another attempt follows.
        except TwotimeError as error:
            return self._failed(store, sink, record, str(error))
        except httpx.HTTPStatusError:
            raise  # A Tiled that was killed may answer anything for a moment; another attempt asks again.
        except Exception as error:
            log.exception("analysis_failed_unexpectedly", analysis_id=record.id)
            sentence = f"Unexpected {type(error).__name__}: {error}; the log of the service has the details."
            return self._failed(store, sink, record, sentence)

    def _analyse(self, root: Container, record: AnalysisRecord, progress: Progress) -> Analysis:
        recipe = parse_recipe(record.request)
        run = find_run(raw_catalog(root, self.settings), record.raw_uid)
        settings = self.settings
        facts = run_facts(
            run,
            recipe.detector,
            accept_failed=recipe.frames.accept_failed_run,
            direct=settings.read_in_place,
            path_map=settings.path_map,
            folders=settings.detector_dirs,
        )
        library = MaskLibrary(root, settings)
        the_plan = plan_of(facts, recipe, library, budget_bytes=library.budget_bytes)
        # The id of the analysis was made from the recipe and the versions at the time of the request. Numbers for other
        # ones must not be published under it.
        _require_same_recipe(record, plain(the_plan.resolved.recipe.model_dump(mode="json")))
        progress("loading the models", 0.0)
        _require_same_versions(record, kind_versions(recipe.kind, self._models))
        source = TiledFrames(
            run, facts, direct=settings.read_in_place, path_map=settings.path_map, folders=settings.detector_dirs
        )
        return analysis_of(
            source,
            recipe,
            self._models,
            progress,
            library=library,
            budget_bytes=library.budget_bytes,
            store=pixel_cache(settings),
            scan_variable=lambda name: scan_variable(run, facts, name),
        )

    def _failed(self, store: AnalysisStore, sink: TiledSink, record: AnalysisRecord, sentence: str) -> Outcome:
        self._retry(sink.clear, None)
        self._retry(lambda: store.failed(record, sentence), None)
        return "failed"

    def _retry(self, action: Callable[[], Result], heartbeat: Heartbeat | None) -> Result:
        """Repeat an action until Tiled answers, for `PATIENCE_S`, or `REFUSED_PATIENCE_S` if Tiled refuses or fails."""
        began: float | None = None
        while True:
            try:
                return action()
            except (TiledUnavailable, TiledRefused) as error:
                away = isinstance(error, TiledUnavailable) and not isinstance(error, TiledFailing)
                patience = PATIENCE_S if away else REFUSED_PATIENCE_S
                if began is None:
                    began = time.monotonic()
                    log.warning("waiting_for_tiled", at_most_s=patience, reason=str(error))
                elif time.monotonic() - began > patience:
                    raise
                self.on_progress("waiting for Tiled", min(1.0, (time.monotonic() - began) / patience))
                self.cancel.wait(RETRY_EVERY_S)
                if heartbeat is not None:
                    heartbeat.check()


def _require_same_recipe(record: AnalysisRecord, recipe: dict[str, Any]) -> None:
    changed = [name for name, value in recipe.items() if value != record.recipe.get(name)]
    if changed:
        raise UnusableRun(
            f"What run {record.raw_uid[:8]} says of itself changed after this analysis was asked for "
            f"({', '.join(changed)}); ask for it again."
        )


def _require_same_versions(record: AnalysisRecord, here: dict[str, str]) -> None:
    if deciding(record.versions) != deciding(here):
        raise TwotimeError(
            f"This analysis was asked for with {record.versions}, but the worker that got it has {here}; "
            "install the same twotime and the same models everywhere, then submit it again with force."
        )
