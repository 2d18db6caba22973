"""Callers who show a key of Tiled instead of one of the service: Tiled decides what they see."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import SecretStr
from tiled.client.container import Container

from twotime.catalog.results import read
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.server.tiled_client import open_with_key, visible_containers
from twotime.errors import AnalysisNotFound, NotFound, TiledRefused
from twotime.settings import Settings
from twotime.threads import asking

Result = TypeVar("Result")

KEPT_S = 30.0
MOST_KEPT = 64
READABLE_S = 5.0
MOST_READABLE = 500


class View:
    """Tiled as one caller sees it; every question is asked with the key of that caller.

    Parameters
    ----------
    root : client of the whole server that shows this key
    settings : name the containers of runs and analyses

    Attributes
    ----------
    root, raw, store : the server, the runs and the analyses, as far as Tiled shows them
    """

    def __init__(self, root: Container, settings: Settings) -> None:
        self.root = root
        self.raw, results = visible_containers(root, settings)
        self.store = AnalysisStore(results)
        self._readable: OrderedDict[str, float] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        self.root.context.close()

    async def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call something that asks Tiled, in a thread; what Tiled refuses this caller does not exist for him."""
        try:
            return await asking(function, *args, **options)
        except TiledRefused:
            raise NotFound("Tiled shows no such thing with the key that was shown.") from None

    async def check_data(self, analysis_id: str) -> None:
        """Make sure that Tiled gives this caller the data of an analysis, or did so a moment ago.

        Raises
        ------
        AnalysisNotFound
            If it does not.
        """
        if time.monotonic() - self._readable.get(analysis_id, -READABLE_S) < READABLE_S:
            return
        if not await self.call(read.may_read_data, self.store, analysis_id):
            raise AnalysisNotFound(f"Tiled gives no data of an analysis {analysis_id!r} for the key that was shown.")
        self._readable[analysis_id] = time.monotonic()
        while len(self._readable) > MOST_READABLE:
            self._readable.popitem(last=False)


class Callers:
    """The views of those who called lately, by digests of their keys. To be used in one event loop.

    Parameters
    ----------
    settings : gives the settings, with the address of Tiled filled in by then
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def knows(self, authorization: SecretStr) -> bool:
        """Whether Tiled accepted this key a moment ago."""
        return _digest(authorization) in self._kept

    @asynccontextmanager
    async def seeing(self, authorization: SecretStr) -> AsyncIterator[View]:
        """What a caller sees.

        Parameters
        ----------
        authorization : as the header of that name has it, such as ``Apikey ...``

        Raises
        ------
        TiledRefused
            If Tiled does not accept the key.
        TiledUnavailable
            If it does not answer.
        NotFound
            If it accepts the key, but shows it no runs or no analyses.
        """
        kept = self._kept.get(_digest(authorization)) or await self._opened(authorization)
        kept.users += 1
        try:
            yield kept.view
        finally:
            kept.users -= 1
            self._close_unused(kept)

    def close(self) -> None:
        """Forget everybody."""
        for kept in [*self._kept.values()]:
            self._forget(kept)

    async def _opened(self, authorization: SecretStr) -> "_Kept":
        view = await asyncio.to_thread(_view, self._settings(), authorization)
        kept = _Kept(_digest(authorization), view)
        if kept.digest in self._kept:  # By another request, meanwhile.
            self._forget(self._kept[kept.digest])
        self._kept[kept.digest] = kept
        asyncio.get_running_loop().call_later(KEPT_S, self._forget, kept)
        while len(self._kept) > MOST_KEPT:
            self._forget(next(iter(self._kept.values())))
        return kept

    def _forget(self, kept: "_Kept") -> None:
        if self._kept.get(kept.digest) is kept:
            del self._kept[kept.digest]
            self._close_unused(kept)

    def _close_unused(self, kept: "_Kept") -> None:
        if kept.users == 0 and self._kept.get(kept.digest) is not kept:
            kept.view.close()


@dataclass
class _Kept:
    digest: str
    view: View
    users: int = 0


def _view(settings: Settings, authorization: SecretStr) -> View:
    root = open_with_key(settings, authorization)
    try:
        return View(root, settings)
    except BaseException:
        root.context.close()
        raise


def _digest(authorization: SecretStr) -> str:
    return hashlib.sha256(authorization.get_secret_value().encode()).hexdigest()
