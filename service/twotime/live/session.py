"""One scan followed from its first frame to its last: read frames, analyse them, show results, hand the frames over."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import structlog

from twotime.catalog.results.live_scans import LiveSink
from twotime.catalog.runs.detector_files import pixel_cache
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import opened_root, raw_catalog, results_container
from twotime.errors import TiledRefused, TiledUnavailable, TwotimeError, UnusableRun
from twotime.files.series import frames_at_once
from twotime.live.followed import Followed, FollowedDynamics, Shown, followed
from twotime.live.growing_analysis import GrowingAnalysis
from twotime.live.tail import RunTail
from twotime.pipeline import plan
from twotime.recipe import AnyRecipe, Recipe, RunFacts
from twotime.settings import Settings
from twotime.weights import Models

log = structlog.get_logger()

POLL_S = 0.2
LOOK_EVERY_S = 1.0
LATE_S = 10.0
REPORT_EVERY_S = 1.0

OnState = Callable[[dict[str, Any]], None]


class LiveSession:
    """Follows one run.

    Parameters
    ----------
    settings : with the address and key of Tiled filled in
    uid : of the run
    recipe : for its analysis
    models : the denoisers
    on_state : called with uid, state, n_frames, announced, shown, lag_s and message whenever one of them changes

    Notes
    -----
    One thread reads frames, another fits and shows what they say, so that a slow fit never delays reading.
    """

    def __init__(self, settings: Settings, uid: str, recipe: AnyRecipe, models: Models, on_state: OnState) -> None:
        self.settings = settings
        self.uid = uid
        self.recipe = recipe
        self._models = models
        self._on_state = on_state
        self._over = threading.Event()
        self._wake = threading.Event()
        self._state: dict[str, Any] = {"uid": uid, "state": "waiting", "n_frames": 0, "message": ""}
        self._seen_at = time.monotonic()
        self._reported_at = -REPORT_EVERY_S

    def stop(self) -> None:
        """Stop soon, without handing frames over."""
        self._over.set()
        self._wake.set()

    def wake(self) -> None:
        """Look for new frames now."""
        self._wake.set()

    def run(self) -> None:
        """Follow the run until it ends, brings no frame for `live_patience_s`, or `stop` is called; never raises."""
        bound = log.bind(raw_uid=self.uid)
        bound.info("live_started")
        try:
            self._follow()
        except TwotimeError as error:
            bound.warning("live_ended_early", reason=str(error))
            self._set_state(state="failed", message=str(error))
        except Exception as error:
            bound.exception("live_broke")
            self._set_state(
                state="failed", message=f"Unexpected {type(error).__name__}: {error}; see the service's log."
            )
        bound.info("live_ended", n_frames=self._state["n_frames"], state=self._state["state"])

    def _follow(self) -> None:
        with opened_root(self.settings, retries_for_s=60) as root:
            tail = RunTail(raw_catalog(root, self.settings), self.uid, self.recipe.detector, self.settings)
            facts = self._facts(tail)
            if facts is None:
                self._set_state(state="ended", message="The run ended before its detector had written a frame.")
                return
            library = MaskLibrary(root, self.settings)
            following = followed(
                facts,
                self.recipe,
                self._models,
                library,
                partial(tail.pixel_mask, facts),
                budget_bytes=library.budget_bytes,
            )
            sink = LiveSink(results_container(root, self.settings), self.uid, _described(following), facts.access_tags)
            try:
                self._read(tail, following, sink)
                if not self._over.is_set() and isinstance(following, FollowedDynamics):
                    self._hand_over(tail, following.growing, library)
                self._set_state(state="ended", message=self._end_message(tail))
            except TwotimeError as error:
                self._set_state(state="failed", message=str(error))
            finally:
                sink.update(**{name: self._state[name] for name in ("state", "message", "n_frames")})

    def _facts(self, tail: RunTail) -> RunFacts | None:
        """Facts of the run, once its detector has announced frames; None if it ends before."""
        began = time.monotonic()
        while not self._over.is_set():
            tail.look(now=self._wake.is_set())
            facts = tail.facts()
            if facts is not None:
                return facts
            if tail.stop is not None:
                return None
            self._lose_patience(began)
            self._pause()
        return None

    def _read(self, tail: RunTail, following: Followed, sink: LiveSink) -> None:
        """Read frames as they come, while another thread analyses them."""
        looking = threading.Event()
        looker = threading.Thread(target=self._look, args=(following, sink, looking), name=f"look at {self.uid[:8]}")
        looker.start()
        try:
            self._take(tail, following)
        finally:
            looking.set()
            looker.join()

    def _take(self, tail: RunTail, following: Followed) -> None:
        frames, facts = following.plan.resolved.recipe.frames, following.plan.facts
        assert frames.stop is not None
        most = frames_at_once(facts, np.dtype(np.uint32)) * frames.stride
        news = time.monotonic()
        while not self._over.is_set():
            ended = tail.stop is not None
            self._ask(tail)
            first = frames.start + following.n_frames * frames.stride
            there = min(tail.available(), frames.stop, first + most)
            if there > first:
                for number, block in tail.read(facts, first, there, frames.stride):
                    following.take(number, block)
                news = self._seen_at = time.monotonic()
                self._set_state(state="running", n_frames=following.n_frames, announced=following.announced, often=True)
            elif ended:
                return
            else:
                self._lose_patience(news)
                self._pause()

    def _look(self, following: Followed, sink: LiveSink, over: threading.Event) -> None:
        """Analyse and show the frames so far, again and again, for at most half of the time."""
        looked_at = 0
        while not over.wait(LOOK_EVERY_S if looked_at == following.n_frames else 0.0):
            if following.n_frames == looked_at:
                continue
            began, looked_at, seen_at = time.monotonic(), following.n_frames, self._seen_at
            try:
                shown = following.look()
                if shown is not None:
                    self._show(shown, sink, looked_at, seen_at)
            except TwotimeError as error:
                self._set_state(message=str(error))
            except Exception:
                log.exception("live_look_broke", raw_uid=self.uid)
            over.wait(max(LOOK_EVERY_S, time.monotonic() - began))

    def _show(self, shown: Shown, sink: LiveSink, n_frames: int, seen_at: float) -> None:
        numbers = dict(shown.numbers)
        lag_s = time.monotonic() - seen_at
        if lag_s > LATE_S:
            late = f"What is shown is {lag_s:.0f} s behind the detector; fewer or smaller ROIs would be faster."
            numbers["warnings"] = [late, *numbers["warnings"]]
        numbers |= {"state": "running", "message": "", "n_frames": n_frames, "lag_s": round(lag_s, 3)}
        sink.write(shown.arrays, **numbers)
        self._set_state(state="running", message="", shown=n_frames, lag_s=round(time.monotonic() - seen_at, 3))

    def _hand_over(self, tail: RunTail, growing: GrowingAnalysis, library: MaskLibrary) -> None:
        """Cache the ROI pixels of a finished run for its analysis, if every frame was read."""
        settings, recipe = self.settings, self.recipe
        assert isinstance(recipe, Recipe)
        facts = run_facts(
            tail.run,
            recipe.detector,
            accept_failed=recipe.frames.accept_failed_run,
            direct=settings.read_in_place,
            path_map=settings.path_map,
            folders=settings.detector_dirs,
        )
        final = plan(facts, recipe, library, budget_bytes=library.budget_bytes)
        if final.n_frames > growing.n_frames:
            return
        source = TiledFrames(
            tail.run, facts, direct=settings.read_in_place, path_map=settings.path_map, folders=settings.detector_dirs
        )
        gathered = growing.finished(final)
        if not gathered.warnings and source.dtype.kind in "ui":
            pixel_cache(settings).keep(final, gathered)

    def _ask(self, tail: RunTail) -> None:
        """Ask Tiled for news. During an outage, frames in files that the service can open are still read."""
        try:
            tail.look(now=self._wake.is_set())
            self._wake.clear()
        except (TiledUnavailable, TiledRefused) as error:
            self._set_state(message=str(error))

    def _pause(self) -> None:
        self._wake.wait(POLL_S)

    def _lose_patience(self, since: float) -> None:
        if time.monotonic() - since > self.settings.live_patience_s:
            raise UnusableRun(
                f"Run {self.uid[:8]} brought no frame for {self.settings.live_patience_s:.0f} s and has not ended; it "
                "is analysed when it does (TWOTIME_LIVE_PATIENCE_S says how long to wait)."
            )

    def _end_message(self, tail: RunTail) -> str:
        if self._over.is_set():
            return "The service stopped while the run was going on."
        status = (tail.stop or {}).get("exit_status", "success")
        return "The run has ended." if status == "success" else f"The run ended with exit status {status}."

    def _set_state(self, *, often: bool = False, **changes: Any) -> None:
        """Report changes; those marked `often` at most once a second."""
        news = any(self._state.get(name) != value for name, value in changes.items())
        self._state = {**self._state, **changes}
        if news and not (often and time.monotonic() - self._reported_at < REPORT_EVERY_S):
            self._reported_at = time.monotonic()
            self._on_state(dict(self._state))


def _described(following: Followed) -> dict[str, Any]:
    """First metadata of the live node."""
    document = following.plan.document()
    names = ("raw_uid", "scan_id", "sample", "detector", "shape", "recipe", "sources", "geometry", "frame_time_s")
    return {
        **{name: document[name] for name in names},
        "kind": following.plan.resolved.recipe.kind,
        "state": "running",
        "message": "",
        "n_frames": 0,
        "announced": following.announced,
        "warnings": document["warnings"],
    }
