"""Bluesky documents as triggers: they say that a run started or stopped; the rest is read from Tiled."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from twotime.catalog.runs.search import find_run
from twotime.errors import RunNotFound, TiledRefused, TiledUnavailable, TwotimeError
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.requests.automatic import AutomaticMode
from twotime.live.run_documents import RunsInMemory
from twotime.live.supervisor import LiveSupervisor

if TYPE_CHECKING:
    from twotime.live.document_listener import DocumentListener

log = structlog.get_logger()

_MOST_AWAITED = 40
_LONGEST_PAUSE_S = 5.0
_WAKE_EVERY_S = 0.5
_RESTART_S = 5.0

Documents = Mapping[str, Any]


class DocumentTriggers:
    """Tells the automatic mode about runs that documents announce, once Tiled holds them.

    Documents come from anybody who reaches a socket, and often before Tiled has the run. They are therefore only a hint
    where to look: the recipe of a run, and whether it ended well, are read from Tiled.

    Parameters
    ----------
    tiled : connection
    automatic : called when a run starts or has finished; repeated calls do no harm
    live : follows runs; None if live analysis is switched off
    on_state : called with a state as of a live session, about runs that Tiled does not hold

    Attributes
    ----------
    runs : takes the documents
    listener : receives them over 0MQ; None before `listen` is called
    """

    def __init__(
        self,
        tiled: TiledConnection,
        automatic: AutomaticMode,
        live: LiveSupervisor | None,
        on_state: Callable[[dict[str, Any]], None],
    ) -> None:
        self.runs = RunsInMemory(self._on_start, self._on_data, self._on_stop)
        self.listener: DocumentListener | None = None
        self._tiled = tiled
        self._automatic = automatic
        self._live = live
        self._on_state = on_state
        self._woken: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def listen(self, address: str) -> None:
        """Receive documents over 0MQ, without end; starts again after every failure."""
        from twotime.live.document_listener import DocumentListener  # needs pyzmq, an optional extra

        while True:
            self.listener = DocumentListener(address, self.runs)
            try:
                await self.listener.run()
            except Exception as error:
                self.listener.state = f"Listening to documents broke with {type(error).__name__}; it is started again."
                log.exception("listening_broke")
            await asyncio.sleep(_RESTART_S)

    async def stop(self) -> None:
        """Stop waiting for runs."""
        for task in [*self._tasks.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _on_start(self, uid: str) -> None:
        if self._live is not None:
            self._run_in_background(f"begin {uid}", self._begin(uid))

    def _on_data(self, uid: str) -> None:
        """Wake the live session of the run, at most twice a second: a run may send thousands of documents a second."""
        now = time.monotonic()
        if self._live is not None and uid in self._live.followed and now - self._woken.get(uid, 0.0) >= _WAKE_EVERY_S:
            self._woken[uid] = now
            self._live.wake(uid)

    def _on_stop(self, uid: str) -> None:
        self._woken.pop(uid, None)
        self._run_in_background(f"end {uid}", self._end(uid))

    async def _begin(self, uid: str) -> None:
        metadata = await self._wait_for_document(uid, "start")
        if metadata is None:
            sentence = (
                f"Documents tell of run {uid[:8]}, but Tiled did not get it in {self._patience_s:g} s; see that a "
                "TiledWriter is subscribed where the documents come from."
            )
            log.warning("run_not_in_tiled", raw_uid=uid, waited_s=self._patience_s)
            self._on_state({"uid": uid, "state": "failed", "n_frames": 0, "message": sentence})
        elif not metadata.get("stop"):
            await self._automatic.on_run_started(uid, metadata["start"])

    async def _end(self, uid: str) -> None:
        if await self._wait_for_document(uid, "stop") is None:
            # Not lost: Tiled's event stream or the next reconciling query finds the run once its stop is in Tiled.
            log.warning("stop_not_in_tiled", raw_uid=uid, waited_s=self._patience_s)
            return
        try:
            await self._automatic.on_run_finished(uid)
        except TwotimeError as error:
            log.warning("run_not_judged", raw_uid=uid, reason=str(error))

    async def _wait_for_document(self, uid: str, document: str) -> Documents | None:
        """Metadata of a run, once Tiled holds its start or stop document; None if that takes longer than allowed."""
        end, pause, reported = time.monotonic() + self._patience_s, 0.1, False
        while time.monotonic() < end:
            try:
                metadata = (await self._tiled.call(find_run, self._tiled.raw, uid)).metadata
                if metadata.get(document):
                    return dict(metadata)
            except RunNotFound:
                if not reported:
                    reported = True
                    message = "Documents tell of this run; Tiled does not hold it yet."
                    self._on_state({"uid": uid, "state": "waiting", "n_frames": 0, "message": message})
                    log.info("run_awaited", raw_uid=uid)
            except (TiledUnavailable, TiledRefused):
                pass  # The connection reports it.
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_S)
        return None

    @property
    def _patience_s(self) -> float:
        return self._tiled.settings.live_patience_s

    def _run_in_background(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if name in self._tasks:
            work.close()
            return
        if len(self._tasks) >= _MOST_AWAITED:
            # Anybody may send start documents of runs that do not exist; the oldest makes room.
            oldest = next(iter(self._tasks))
            log.warning("run_awaited_no_longer", waited_for=oldest, awaited=len(self._tasks))
            self._tasks.pop(oldest).cancel()
        task = asyncio.create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if self._tasks.get(task.get_name()) is task:
            del self._tasks[task.get_name()]
        if not task.cancelled() and task.exception() is not None:
            log.error("document_trigger_broke", exc_info=task.exception())
