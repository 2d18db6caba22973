"""Finished runs that nobody asked about: found as they finish, caught up with at the start, judged by the rules."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from databroker.client import BlueskyRun

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.backlog import backlog
from twotime.catalog.runs.search import find_run, summarise
from twotime.catalog.runs.watch import poll_runs, watch_runs
from twotime.errors import InputError, StreamOff, TwotimeError
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.requests.eligibility import Verdict, judge, judge_beginning
from twotime.jobs.requests.site_rules import SiteRules
from twotime.jobs.requests.submission import Submission
from twotime.jobs.scheduling.job_queue import Rank
from twotime.live.supervisor import LiveSupervisor

log = structlog.get_logger()

_MOST_VERDICTS = 2000
_PAUSE_S = 5.0
_HAND_OVER_S = 60.0
_POLL_FOR_S = 300.0


class AutomaticMode:
    """The automatic mode of one service.

    Parameters
    ----------
    tiled : to Tiled
    submission : where runs that are taken are submitted
    on_submitted : told of every analysis that was queued, and how soon its turn shall be
    on_judged : told uid, scan_id and verdict of every run that was looked at
    rules : of the site
    live : follows runs that are worth it while they go on; None: none are

    Attributes
    ----------
    state : "watching", "polling ...", "off", or one sentence that says what is wrong
    verdicts : by uid, of the runs looked at last
    """

    def __init__(
        self,
        tiled: TiledConnection,
        submission: Submission,
        on_submitted: Callable[[AnalysisRecord, Rank], None],
        on_judged: Callable[[str, int | None, Verdict], None],
        rules: SiteRules,
        live: LiveSupervisor | None = None,
    ) -> None:
        self.tiled = tiled
        self.submission = submission
        self.state = "off"
        self.verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._on_submitted = on_submitted
        self._on_judged = on_judged
        self._rules = rules
        self._live = live
        self._begun: OrderedDict[str, None] = OrderedDict()
        self._ending: set[asyncio.Task[None]] = set()
        self._looking: set[str] = set()

    async def run(self) -> None:
        """Catch up, then watch, without end; begins anew after every failure."""
        while True:
            try:
                self.state = "catching up with finished runs"
                await self._catch_up()
                await self._watch()
            except TwotimeError as error:
                self.state = str(error)
                log.warning("watching_interrupted", reason=self.state)
            except Exception as error:
                self.state = f"Watching for runs broke with {type(error).__name__}: {error}; it is started again."
                log.exception("watching_broke")
            await asyncio.sleep(_PAUSE_S)

    async def stop(self) -> None:
        """Wait for no live session any more."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _watch(self) -> None:
        """Hear of runs from Tiled's stream; where there is none, ask for them, and try the stream again later."""
        settings, began = self.tiled.settings, self.on_run_started if self._live else None
        self.state = "watching"
        try:
            await watch_runs(settings, self._on_announced_run, began)
        except StreamOff as error:
            self.state = f"polling every {settings.reconcile_s:g} s: {error}"
            log.warning("stream_off", reason=str(error), asked_every_s=settings.reconcile_s)
            await poll_runs(settings, self._on_announced_run, began, for_s=_POLL_FOR_S)

    async def _catch_up(self) -> None:
        since = time.time() - self.tiled.settings.catch_up_s
        for run, known in await self.tiled.call(backlog, self.tiled.raw, self.tiled.store, since):
            if run.metadata["start"]["uid"] not in self.verdicts:
                await self._consider(run, known, Rank.BACKLOG)

    async def on_run_started(self, uid: str, start: Mapping[str, Any]) -> None:
        """Follow a run that has begun, once, if its analysis is likely to be wanted."""
        if self._live is None or uid in self._begun:
            return
        self._begun[uid] = None
        while len(self._begun) > _MOST_VERDICTS:
            self._begun.popitem(last=False)
        named = start.get("detectors")
        detectors = [str(one) for one in named] if isinstance(named, list | tuple) else []
        rule, recipe = self._rules.of(start, detectors)
        if judge_beginning(start).taken and (rule is None or rule.skip is None):
            self._live.follow(uid, recipe or self.submission.site_recipe)

    async def on_run_finished(self, uid: str, *_documents: Any) -> None:
        """Judge a run that has ended; one that was followed when its pixels are handed over, and others meanwhile."""
        if uid in self.verdicts:
            return
        if self._live is None or uid not in self._live.followed:
            await self._look_at(uid)
        elif uid not in {task.get_name() for task in self._ending}:
            task = asyncio.create_task(self._after_live(uid), name=uid)
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _on_announced_run(self, uid: str, *_documents: Any) -> None:
        """As `on_run_finished`; a run that cannot be found by its uid does not stop the watching of the others."""
        try:
            await self.on_run_finished(uid)
        except InputError as error:
            log.warning("run_not_judged", raw_uid=uid, reason=str(error))

    async def _after_live(self, uid: str) -> None:
        assert self._live is not None
        await self._live.wait_for_end(uid, _HAND_OVER_S)
        try:
            await self._look_at(uid)
        except TwotimeError as error:
            # The next question to the catalog names the run again.
            log.warning("run_not_judged", raw_uid=uid, reason=str(error))

    async def _look_at(self, uid: str) -> None:
        if uid in self.verdicts or uid in self._looking:
            return
        self._looking.add(uid)  # The stream and a webhook name a run at about the same time.
        try:
            run = await self.tiled.call(find_run, self.tiled.raw, uid)
            known, _ = await self.tiled.call(self.tiled.store.search, raw_uid=[uid], limit=1)
            await self._consider(run, known[0] if known else None, Rank.NEW)
        finally:
            self._looking.discard(uid)

    async def _consider(self, run: BlueskyRun, known: AnalysisRecord | None, rank: Rank) -> None:
        start = run.metadata["start"]
        try:
            verdict = await self._verdict(run, known, rank)
        except TwotimeError:
            raise
        except Exception as error:  # Documents may hold anything; what breaks on one run must not stop all others.
            log.exception("run_not_judged", raw_uid=start["uid"])
            verdict = Verdict(False, f"its documents cannot be used ({type(error).__name__}; the log says more)")
        self.verdicts[start["uid"]] = verdict
        while len(self.verdicts) > _MOST_VERDICTS:
            self.verdicts.popitem(last=False)
        log.info("run_judged", raw_uid=start["uid"], taken=verdict.taken, reason=verdict.reason)
        self._on_judged(start["uid"], start.get("scan_id"), verdict)

    async def _verdict(self, run: BlueskyRun, known: AnalysisRecord | None, rank: Rank) -> Verdict:
        if known is not None:
            return Verdict(known.automatic, f"it has the analysis {known.id} already")
        start, stop = run.metadata["start"], run.metadata.get("stop")
        verdict = judge(start, stop, ("an area detector",))
        if not verdict.taken:
            return verdict
        summary = await self.tiled.call(summarise, run)
        verdict = judge(start, stop, summary.detectors)
        if not verdict.taken:
            return verdict
        rule, recipe = self._rules.of(start, summary.detectors)
        if rule is not None and rule.skip is not None:
            return Verdict(False, f"by the rule {rule.name!r}: {rule.skip}")
        try:
            record = await self.tiled.call(self.submission.submit, summary.uid, recipe, automatic=True)
        except InputError as error:
            return Verdict(False, str(error))
        self._on_submitted(record, rank)
        return verdict if rule is None else Verdict(True, f"{verdict.reason}; by the rule {rule.name!r}")
