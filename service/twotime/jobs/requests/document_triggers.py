"""What documents tell of runs, acted upon once Tiled holds it: a hint where to look, and nothing more."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from twotime.catalog.runs.search import find_run
from twotime.errors import RunNotFound, TiledRefused, TiledUnavailable, TwotimeError
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.requests.automatic import AutomaticMode
from twotime.live.run_documents import RunsInMemory
from twotime.live.supervisor import LiveSupervisor

log = structlog.get_logger()

_MOST_AWAITED = 40
_LONGEST_PAUSE_S = 5.0
_WAKE_EVERY_S = 0.5

Documents = Mapping[str, Any]


class DocumentTriggers:
    """Passes on to the automatic mode what documents tell, as soon as Tiled says the same.

    Documents come from whoever reaches a socket, often before the run's documents are in Tiled: which recipe a run gets
    and whether it ended well is read from Tiled alone.

    Parameters
    ----------
    tiled : to Tiled
    automatic : told of runs that begin and end; to name a run twice does no harm
    live : follows runs; None: none are
    on_state : told, as a live session tells it, of runs that Tiled does not hold

    Attributes
    ----------
    runs : where documents go in
    """

    def __init__(
        self,
        tiled: TiledConnection,
        automatic: AutomaticMode,
        live: LiveSupervisor | None,
        on_state: Callable[[dict[str, Any]], None],
    ) -> None:
        self.runs = RunsInMemory(self._began, self._grew, self._ended)
        self._tiled = tiled
        self._automatic = automatic
        self._live = live
        self._on_state = on_state
        self._woken: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def stop(self) -> None:
        """Wait for no run any more."""
        for task in [*self._tasks.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _began(self, uid: str) -> None:
        if self._live is not None:
            self._background(f"begin {uid}", self._begin(uid))

    def _grew(self, uid: str) -> None:
        """Have the session look at once; often enough for the eye, not for every document."""
        now = time.monotonic()
        if self._live is not None and uid in self._live.followed and now - self._woken.get(uid, 0.0) >= _WAKE_EVERY_S:
            self._woken[uid] = now
            self._live.wake(uid)

    def _ended(self, uid: str) -> None:
        self._woken.pop(uid, None)
        self._background(f"end {uid}", self._end(uid))

    async def _begin(self, uid: str) -> None:
        held = await self._held(uid, "start")
        if held is None:
            sentence = (
                f"Documents tell of run {uid[:8]}, but Tiled did not get it in {self._patience_s:g} s; see that a "
                "TiledWriter is subscribed where the documents come from."
            )
            log.warning("run_not_in_tiled", raw_uid=uid, waited_s=self._patience_s)
            self._on_state({"uid": uid, "state": "failed", "n_frames": 0, "message": sentence})
        elif not held.get("stop"):
            await self._automatic.on_run_started(uid, held["start"])

    async def _end(self, uid: str) -> None:
        if await self._held(uid, "stop") is None:
            # Tiled's own stream or the next question to the catalog names it when it has ended there too.
            log.warning("stop_not_in_tiled", raw_uid=uid, waited_s=self._patience_s)
            return
        try:
            await self._automatic.on_run_finished(uid)
        except TwotimeError as error:
            log.warning("run_not_judged", raw_uid=uid, reason=str(error))

    async def _held(self, uid: str, document: str) -> Documents | None:
        """Metadata of a run once Tiled holds one of its documents; None if it does not in time."""
        end, pause, said = time.monotonic() + self._patience_s, 0.1, False
        while time.monotonic() < end:
            try:
                metadata = (await self._tiled.call(find_run, self._tiled.raw, uid)).metadata
                if metadata.get(document):
                    return dict(metadata)
            except RunNotFound:
                if not said:
                    said = True
                    message = "Documents tell of this run; Tiled does not hold it yet."
                    self._on_state({"uid": uid, "state": "waiting", "n_frames": 0, "message": message})
                    log.info("run_awaited", raw_uid=uid)
            except (TiledUnavailable, TiledRefused):
                pass  # The tiled says it.
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_S)
        return None

    @property
    def _patience_s(self) -> float:
        return self._tiled.settings.live_patience_s

    def _background(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if name in self._tasks:
            work.close()
            return
        if len(self._tasks) >= _MOST_AWAITED:
            oldest = next(iter(self._tasks))
            log.warning("run_awaited_no_longer", waited_for=oldest, awaited=len(self._tasks))
            self._tasks.pop(oldest).cancel()
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        if self._tasks.get(task.get_name()) is task:
            del self._tasks[task.get_name()]
        if not task.cancelled() and task.exception() is not None:
            log.error("announcement_broke", exc_info=task.exception())
