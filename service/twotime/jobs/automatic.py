"""Finished runs that nobody asked about: found as they finish, caught up with at the start, judged by the rules."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from twotime.catalog.analyses import AnalysisRecord
from twotime.catalog.runs import RunSummary, find_run, list_runs, summarise
from twotime.catalog.watch import watch_runs
from twotime.errors import InputError, TwotimeError
from twotime.jobs.link import TiledLink
from twotime.jobs.reception import Reception
from twotime.jobs.rules import Verdict, judge

log = structlog.get_logger()

MOST_RUNS = 10_000
_MOST_VERDICTS = 2000
_PAUSE_S = 5.0


class Automatic:
    """The automatic mode of one service.

    Parameters
    ----------
    link : to Tiled
    reception : where runs that are taken are submitted
    submitted : told of every analysis that was queued
    judged : told uid, scan_id and verdict of every run that was looked at

    Attributes
    ----------
    state : "watching", "off", or one sentence that says what is wrong
    verdicts : by uid, of the runs looked at last
    """

    def __init__(
        self,
        link: TiledLink,
        reception: Reception,
        submitted: Callable[[AnalysisRecord], None],
        judged: Callable[[str, int | None, Verdict], None],
    ) -> None:
        self.link = link
        self.reception = reception
        self.state = "off"
        self.verdicts: OrderedDict[str, Verdict] = OrderedDict()
        self._submitted = submitted
        self._judged = judged

    async def run(self) -> None:
        """Catch up, then watch, without end; begins anew after every failure."""
        while True:
            try:
                self.state = "catching up with finished runs"
                await self._catch_up()
                self.state = "watching"
                await watch_runs(self.link.settings, self._finished)
            except TwotimeError as error:
                self.state = str(error)
                log.warning("watching_interrupted", reason=self.state)
            except Exception as error:
                self.state = f"Watching for runs broke with {type(error).__name__}: {error}; it is started again."
                log.exception("watching_broke")
            await asyncio.sleep(_PAUSE_S)

    async def _catch_up(self) -> None:
        since = time.time() - self.link.settings.catch_up_s
        found = await self.link.call(list_runs, self.link.raw, limit=MOST_RUNS, since=since)
        for summary in sorted(found, key=lambda summary: summary.time):
            if summary.finished and summary.uid not in self.verdicts:
                await self._consider(summary)

    async def _finished(self, uid: str, start: Mapping[str, Any], stop: Mapping[str, Any]) -> None:
        if uid not in self.verdicts:
            await self._consider(await self.link.call(self._summary, uid))

    def _summary(self, uid: str) -> RunSummary:
        return summarise(find_run(self.link.raw, uid))

    async def _consider(self, summary: RunSummary) -> None:
        verdict = judge(summary.start, summary.stop, summary.detectors)
        if verdict.taken:
            verdict = await self._take(summary, verdict)
        self.verdicts[summary.uid] = verdict
        while len(self.verdicts) > _MOST_VERDICTS:
            self.verdicts.popitem(last=False)
        log.info("run_judged", raw_uid=summary.uid, taken=verdict.taken, reason=verdict.reason)
        self._judged(summary.uid, summary.scan_id, verdict)

    async def _take(self, summary: RunSummary, verdict: Verdict) -> Verdict:
        known, _ = await self.link.call(self.link.store.search, raw_uid=[summary.uid], limit=1)
        if known:
            return Verdict(known[0].automatic, f"it has the analysis {known[0].id} already")
        try:
            record = await self.link.call(self.reception.submit, summary.uid, None, automatic=True)
        except InputError as error:
            return Verdict(False, str(error))
        self._submitted(record)
        return verdict
