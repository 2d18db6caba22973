"""The connection of the service to Tiled: retried until it succeeds, its state always known."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from pydantic import AnyHttpUrl, SecretStr
from tiled.client.container import Container

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.server.access_tags import access_in_words
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog, results_container
from twotime.errors import TiledRefused, TiledUnavailable
from twotime.settings import Settings
from twotime.threads import asking

log = structlog.get_logger()

REACHABLE = "reachable"
_LONGEST_PAUSE_S = 10.0
Result = TypeVar("Result")


class TiledConnection:
    """Tiled as the service sees it; implements `Viewer` with the key of the service.

    Parameters
    ----------
    settings : without `tiled_uri`, an embedded server is started
    on_change : called with (reachable, sentence) whenever Tiled becomes reachable or unreachable

    Attributes
    ----------
    settings : completed with address and key of the embedded server once it runs
    state : "reachable", or one sentence that says what is wrong
    unrestricted : True
    """

    unrestricted = True

    def __init__(self, settings: Settings, on_change: Callable[[bool, str], None]) -> None:
        self.settings = settings
        self.state = "Not connected to Tiled yet; the service is starting."
        self._on_change = on_change
        self._embedded: EmbeddedTiled | None = None
        self._root: Container | None = None
        self._raw: Any = None
        self._store: AnalysisStore | None = None
        self._closed = False
        self._opening = threading.Lock()

    @property
    def reachable(self) -> bool:
        """Whether the last call reached Tiled."""
        return self.state == REACHABLE

    @property
    def raw(self) -> Any:
        """Catalog of the raw runs; raises `TiledUnavailable` before the first connection."""
        if self._raw is None:
            raise TiledUnavailable(self.state)
        return self._raw

    @property
    def root(self) -> Container:
        """The whole server; raises `TiledUnavailable` before the first connection."""
        if self._root is None:
            raise TiledUnavailable(self.state)
        return self._root

    @property
    def store(self) -> AnalysisStore:
        """The analyses; raises `TiledUnavailable` before the first connection."""
        if self._store is None:
            raise TiledUnavailable(self.state)
        return self._store

    async def connect(self) -> None:
        """Connect; retries until it succeeds, with pauses that grow to ten seconds."""
        pause = 0.5
        while True:
            try:
                await asyncio.to_thread(self._connect)
            except (TiledUnavailable, TiledRefused) as error:
                self._set_state(str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                self._set_state(REACHABLE)
                return

    async def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call a function that asks Tiled, in a thread, and record whether Tiled answered."""
        try:
            result = await asking(function, *args, **options)
        except (TiledUnavailable, TiledRefused) as error:
            if self._store is not None:  # Before the first connection, `connect` reports what is wrong.
                self._set_state(str(error))
            raise
        self._set_state(REACHABLE)
        return result

    async def check_data(self, analysis_id: str) -> None:
        """Do nothing: the service may read every analysis."""

    async def close(self) -> None:
        """Close the connection and stop the embedded server, if there is one."""
        await asyncio.to_thread(self._disconnect)
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop)

    def _connect(self) -> None:
        if self.settings.tiled_uri is None:
            self._start_embedded()
        root = open_root(self.settings)
        try:
            raw, results = raw_catalog(root, self.settings), results_container(root, self.settings)
        except BaseException:
            root.context.close()
            raise
        with self._opening:
            if self._closed:  # The service stopped while this thread was connecting.
                root.context.close()
                return
            self._root, self._raw, self._store = root, raw, AnalysisStore(results)
        log.info("tiled_access", words=access_in_words(results))

    def _disconnect(self) -> None:
        with self._opening:
            self._closed = True
            if self._root is not None:
                self._root.context.close()

    def _start_embedded(self) -> None:
        self._embedded = self._embedded or EmbeddedTiled(
            self.settings.var_dir, readable_storage=self.settings.readable_storage
        )
        self._embedded.start()
        # Workers, live process and exports get these settings and connect like to any other Tiled.
        self.settings = self.settings.model_copy(
            update={
                "tiled_uri": AnyHttpUrl(self._embedded.uri),
                "tiled_api_key": SecretStr(self._embedded.api_key),
                "detector_dirs": [*self.settings.detector_dirs, *self._embedded.readable],
            }
        )

    def _set_state(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        if self.reachable:
            log.info("tiled_reachable", uri=str(self.settings.tiled_uri))
        else:
            log.warning("tiled_unreachable", reason=state)
        self._on_change(self.reachable, state)
