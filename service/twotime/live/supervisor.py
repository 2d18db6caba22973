"""Controls the live process: starts it, restarts it after it dies, sends it runs, receives their state."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import structlog

from twotime.live.session import LiveSession
from twotime.logs import configure_logs
from twotime.pipeline.one_roi import warm_up
from twotime.processes import PROCESSES, begin, die_with_parent
from twotime.recipe import AnyRecipe
from twotime.settings import Settings
from twotime.threads import to_the_end
from twotime.weights import Models

log = structlog.get_logger()

Instrument = tuple[str, ...]
OVER = ("ended", "failed")
_PAUSE_S = 2.0
_GRACE_S = 5.0


class LiveSupervisor:
    """Keeps one process alive that follows scans. Use it in one event loop.

    Parameters
    ----------
    settings : returns the settings; called in `start`, when the address and key of Tiled are known
    on_state : called with the state of a session whenever it changes, see `LiveSession`
    """

    def __init__(self, settings: Callable[[], Settings], on_state: Callable[[dict[str, Any]], None]) -> None:
        self._settings = settings
        self._on_state = on_state
        self._followed: dict[str, tuple[AnyRecipe, Instrument]] = {}
        self._over: dict[str, asyncio.Event] = {}
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def followed(self) -> list[str]:
        """Uids of the runs that are followed or wait for a free place."""
        return list(self._followed)

    @property
    def pid(self) -> int | None:
        """Process id, while the process lives."""
        return self._process.pid if self._process is not None and self._process.is_alive() else None

    def start(self) -> None:
        """Start the process, and start it again whenever it dies."""
        self._task = asyncio.create_task(self._keep_alive())

    async def stop(self) -> None:
        """Kill the process. Nodes that it wrote into Tiled stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.join, _GRACE_S)

    def follow(self, uid: str, recipe: AnyRecipe, instrument: Instrument = ()) -> None:
        """Follow a run; no effect if it is followed already.

        Parameters
        ----------
        uid : of the run
        recipe : for its analysis
        instrument : of the run; scans of different instruments never wait for each other
        """
        if uid not in self._followed:
            self._followed[uid] = (recipe, instrument)
            self._over[uid] = asyncio.Event()
            self._send("follow", uid)

    def wake(self, uid: str) -> None:
        """Make the session of a run look for new frames now; no effect if the run is not followed."""
        if uid in self._followed:
            self._send("wake", uid)

    async def wait_for_end(self, uid: str, patience_s: float) -> None:
        """Wait until the session of a finished run has handed its frames over, at most `patience_s`."""
        if uid not in self._followed:
            return
        self.wake(uid)
        try:
            await asyncio.wait_for(self._over[uid].wait(), patience_s)
        except TimeoutError:
            log.warning("live_lags", raw_uid=uid, waited_s=patience_s)
        self._forget(uid)

    def _send(self, what: str, uid: str) -> None:
        if self._connection is None:
            return  # `_keep_alive` sends all runs when the process starts.
        try:
            self._connection.send((what, uid, *self._followed[uid]))
        except (BrokenPipeError, OSError):
            log.warning("live_process_gone", raw_uid=uid)

    async def _keep_alive(self) -> None:
        settings = self._settings()
        while True:
            ours = await self._begin(settings)
            self._connection = ours
            for uid in self._followed:
                self._send("follow", uid)
            await self._listen(ours)
            self._connection = None
            exit_code = self._process.exitcode if self._process is not None else None
            log.error("live_process_died", exit_code=exit_code, followed=self.followed)
            await asyncio.sleep(_PAUSE_S)

    async def _begin(self, settings: Settings) -> Connection:
        """Start the process. A cancelled task still finishes the start: `stop` must know the process to kill it."""
        ours, theirs = PROCESSES.Pipe()

        def begin_it() -> None:
            self._process = begin("twotime live", _follow, settings, theirs, n_threads=settings.threads_per_worker)

        with theirs:
            await to_the_end(begin_it)
        return ours

    async def _listen(self, connection: Connection) -> None:
        """Pass on the states that the process sends, until it dies."""
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()

        def receive() -> None:
            with suppress(EOFError, OSError):
                while True:
                    loop.call_soon_threadsafe(self._receive, connection.recv())
            loop.call_soon_threadsafe(gone.set)

        def receive_until_loop_ends() -> None:
            with suppress(RuntimeError):  # The loop has ended.
                receive()

        threading.Thread(target=receive_until_loop_ends, name="receive from live process", daemon=True).start()
        await gone.wait()

    def _receive(self, state: dict[str, Any]) -> None:
        uid = state["uid"]
        self._on_state(state)
        if state["state"] in OVER and uid in self._over:
            self._over[uid].set()
            if state["state"] == "failed":
                self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._followed.pop(uid, None)
        self._over.pop(uid, None)


def _follow(settings: Settings, connection: Connection) -> None:
    """Main function of the live process: one thread per scan, `settings.live_scans` of each instrument active."""
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    die_with_parent()
    import torch

    torch.set_num_threads(settings.threads_per_worker)
    models = Models(settings.ensemble, settings.frame_denoiser)
    warm_up(models.ensemble)
    sending = threading.Lock()
    places: dict[Instrument, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(settings.live_scans))
    sessions: dict[str, LiveSession] = {}

    def send(state: dict[str, Any]) -> None:
        with sending:
            connection.send(state)

    def follow(session: LiveSession, place: threading.Semaphore) -> None:
        with place:
            session.run()
        sessions.pop(session.uid, None)

    while True:
        try:
            what, uid, recipe, instrument = connection.recv()
        except EOFError:
            return
        if what == "follow" and uid not in sessions:
            sessions[uid] = LiveSession(settings, uid, recipe, models, send)
            given = (sessions[uid], places[instrument])
            threading.Thread(target=follow, args=given, name=f"live {uid[:8]}", daemon=True).start()
        elif what == "wake" and uid in sessions:
            sessions[uid].wake()
