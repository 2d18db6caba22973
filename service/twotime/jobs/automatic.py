"""Finished runs that nobody asked about: found as they finish, caught up with at the start, judged by the rules."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from twotime.catalog.analyses import AnalysisRecord
from twotime.catalog.runs import RunSummary, list_runs, summarise
from twotime.catalog.watch import watch_runs
from twotime.errors import InputError, TiledRefused, TiledUnavailable, TwotimeError
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
        finished = [summary for summary in found if summary.finished]
        for summary in sorted(finished, key=lambda summary: summary.time):
            await self._consider(summary.uid, summary)

    async def _finished(self, uid: str, start: Mapping[str, Any], stop: Mapping[str, Any]) -> None:
        await self._consider(uid, None)
