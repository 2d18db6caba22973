"""The automatic mode: finds runs that have finished, decides by rules whether to analyse them, and submits them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
from databroker.client import BlueskyRun

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.backlog import backlog
from twotime.catalog.runs.search import RunSummary, find_run, summarise
from twotime.catalog.runs.watch import poll_runs, watch_runs
from twotime.errors import InputError, StreamOff, TwotimeError
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.requests.eligibility import Verdict, judge, judge_beginning
from twotime.jobs.requests.site_rules import SiteRules
from twotime.jobs.requests.submission import Submission, share_of
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
    tiled : connection
    submission : queues the analyses
    on_submitted : called with every queued analysis and its rank in the queue
    on_judged : called with uid, scan_id and verdict of every run that was judged
    rules : of the site
    live : follows runs while they go on; None if live analysis is switched off

    Attributes
    ----------
    state : "watching", "polling ...", "off", or one sentence that says what is wrong
    healthy : whether the state is one of the first three
    verdicts : of the runs judged last, by uid
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
        self.healthy = True
        self.verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._on_submitted = on_submitted
        self._on_judged = on_judged
        self._rules = rules
        self._live = live
        self._started: OrderedDict[str, None] = OrderedDict()
        self._ending: set[asyncio.Task[None]] = set()
        self._judging: set[str] = set()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Catch up with finished runs, then watch for new ones, without end; starts again after every failure."""
        while True:
            try:
                self.healthy = True
                await self._watch_and_catch_up()
            except TwotimeError as error:
                self.state, self.healthy = str(error), False
                log.warning("watching_interrupted", reason=self.state)
            except Exception as error:
                self.state = f"Watching for runs broke with {type(error).__name__}: {error}; it is started again."
                self.healthy = False
                log.exception("watching_broke")
            await asyncio.sleep(_PAUSE_S)

    def verdict_in_words(self, summary: RunSummary) -> tuple[str, str]:
        """ "taken", "skipped" or "off", and the reason, for the list of runs."""
        if not self.tiled.settings.automatic:
            return "off", "the automatic mode is switched off"
        _, recipe = self._rules.of(summary.start, summary.detectors)
        kind = (recipe or self.submission.site_recipe).kind
        verdict = self.verdicts.get(summary.uid) or judge(summary.start, summary.stop, summary.detectors, kind)
        return ("taken" if verdict.taken else "skipped"), verdict.reason

    async def stop(self) -> None:
        """Judge no further run."""
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _watch_and_catch_up(self) -> None:
        # At the same time: a scan that starts must not wait until the runs of a week are judged before it is followed.
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._catch_up())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Watch Tiled's event stream; if the server has none, poll for a while, then try the stream again."""
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
            uid = run.metadata["start"]["uid"]
            async with self._turn:
                if uid in self.verdicts or uid in self._judging:
                    continue
                self._judging.add(uid)
                try:
                    await self._consider(run, known, Rank.BACKLOG)
                finally:
                    self._judging.discard(uid)

    async def on_run_started(self, uid: str, start: Mapping[str, Any]) -> None:
        """Follow a run that has started, once, if the rules are likely to take it when it ends."""
        if self._live is None or uid in self._started:
            return
        self._started[uid] = None
        while len(self._started) > _MOST_VERDICTS:
            self._started.popitem(last=False)
        named = start.get("detectors")
        detectors = [str(one) for one in named] if isinstance(named, list | tuple) else []
        rule, recipe = self._rules.of(start, detectors)
        wanted = recipe or self.submission.site_recipe
        if judge_beginning(start, wanted.kind).taken and (rule is None or rule.skip is None):
            self._live.follow(uid, wanted, share_of(start, self.tiled.settings.shares[:1]))

    async def on_run_finished(self, uid: str, *_documents: Any) -> None:
        """Judge a finished run, once. The session of a run that is followed live hands its pixels over first."""
        if uid in self.verdicts:
            return
        if self._live is None or uid not in self._live.followed:
            await self._judge(uid)
        else:
            self._in_background(uid, self._after_live)

    async def _on_announced_run(self, uid: str, *_documents: Any) -> None:
        """As `on_run_finished`, but returns at once: runs that finish must not delay the news of one that starts."""
        if uid in self.verdicts:
            return
        followed = self._live is not None and uid in self._live.followed
        self._in_background(uid, self._after_live if followed else self._in_turn)

    def _in_background(self, uid: str, judge_run: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        if uid not in {task.get_name() for task in self._ending}:
            task = asyncio.create_task(judge_run(uid), name=uid)
            self._ending.add(task)
            task.add_done_callback(self._on_judged_in_background)

    def _on_judged_in_background(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("run_not_judged", raw_uid=task.get_name(), exc_info=task.exception())

    async def _in_turn(self, uid: str) -> None:
        async with self._turn:
            await self._judge_or_log(uid)

    async def _after_live(self, uid: str) -> None:
        assert self._live is not None
        await self._live.wait_for_end(uid, _HAND_OVER_S)
        await self._judge_or_log(uid)

    async def _judge_or_log(self, uid: str) -> None:
        try:
            await self._judge(uid)
        except TwotimeError as error:
            # The next reconciling query finds the run again.
            log.warning("run_not_judged", raw_uid=uid, reason=str(error))

    async def _judge(self, uid: str) -> None:
        if uid in self.verdicts or uid in self._judging:
            return
        self._judging.add(uid)  # The event stream and a webhook report a run at about the same time.
        try:
            run = await self.tiled.call(find_run, self.tiled.raw, uid)
            known, _ = await self.tiled.call(self.tiled.store.search, raw_uid=[uid], limit=1)
            await self._consider(run, known[0] if known else None, Rank.NEW)
        finally:
            self._judging.discard(uid)

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
        kinds = self._rules.kinds | {self.submission.site_recipe.kind}
        # Which rule fits is known once the detectors are, which takes four requests.
        verdict = judge(start, stop, ("an area detector",), "frames" if "frames" in kinds else "xpcs")
        if not verdict.taken:
            return verdict
        summary = await self.tiled.call(summarise, run)
        rule, recipe = self._rules.of(start, summary.detectors)
        verdict = judge(start, stop, summary.detectors, (recipe or self.submission.site_recipe).kind)
        if not verdict.taken:
            return verdict
        if rule is not None and rule.skip is not None:
            return Verdict(False, f"by the rule {rule.name!r}: {rule.skip}")
        try:
            rank = Rank.BACKLOG if rule is not None and rule.priority == "low" else rank
            how: dict[str, Any] = {"automatic": True, "priority": rank.priority}
            record = await self.tiled.call(self.submission.submit, summary.uid, recipe, **how)
        except InputError as error:
            return Verdict(False, str(error))
        self._on_submitted(record, rank)
        return verdict if rule is None else Verdict(True, f"{verdict.reason}; by the rule {rule.name!r}")
