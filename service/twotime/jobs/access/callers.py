"""Callers who authenticate with a Tiled key of their own: Tiled decides what they may read."""

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


class CallerView:
    """Tiled as one caller sees it; every request carries the key of that caller.

    Parameters
    ----------
    root : client of the server, made with the caller's key
    settings : name the containers of runs and analyses

    Attributes
    ----------
    root, raw, store : server, runs and analyses, as far as the key may read them
    unrestricted : False
    """

    unrestricted = False

    def __init__(self, root: Container, settings: Settings) -> None:
        self.root = root
        self.raw, results = visible_containers(root, settings)
        self.store = AnalysisStore(results)
        self._readable: OrderedDict[str, float] = OrderedDict()

    def close(self) -> None:
        """Close the connections."""
        self.root.context.close()

    async def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call a function that asks Tiled, in a thread. A refusal becomes `NotFound`, so that it reveals nothing."""
        try:
            return await asking(function, *args, **options)
        except TiledRefused:
            raise NotFound("Tiled shows no such thing with the key that was shown.") from None

    async def check_data(self, analysis_id: str) -> None:
        """Check that the caller may read the data of an analysis; a positive answer holds for `READABLE_S`.

        Raises
        ------
        AnalysisNotFound
            If the caller may not.
        """
        if time.monotonic() - self._readable.get(analysis_id, -READABLE_S) < READABLE_S:
            return
        if not await self.call(read.may_read_data, self.store, analysis_id):
            raise AnalysisNotFound(f"Tiled gives no data of an analysis {analysis_id!r} for the key that was shown.")
        self._readable[analysis_id] = time.monotonic()
        while len(self._readable) > MOST_READABLE:
            self._readable.popitem(last=False)


class Callers:
    """Connections of recent callers, by digests of their keys. Use it in one event loop.

    Parameters
    ----------
    settings : returns the settings; called per connection, when the address of Tiled is known

    Notes
    -----
    A connection is kept for `KEPT_S`, because opening one takes several requests. It is closed when it has expired
    and no request uses it.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def knows(self, authorization: SecretStr) -> bool:
        """Whether Tiled accepted this key within the last `KEPT_S`."""
        return _digest(authorization) in self._kept

    @asynccontextmanager
    async def view_of(self, authorization: SecretStr) -> AsyncIterator[CallerView]:
        """The view of a caller, open while the context lasts.

        Parameters
        ----------
        authorization : value of the Authorization header, for example ``Apikey ...``

        Raises
        ------
        TiledRefused
            If Tiled does not accept the key.
        TiledUnavailable
            If it does not answer.
        NotFound
            If the key may read neither runs nor analyses.
        """
        kept = self._kept.get(_digest(authorization)) or await self._opened(authorization)
        kept.users += 1
        try:
            yield kept.view
        finally:
            kept.users -= 1
            self._close_unused(kept)

    def close(self) -> None:
        """Close all connections that no request uses; the others close with their request."""
        for kept in [*self._kept.values()]:
            self._forget(kept)

    async def _opened(self, authorization: SecretStr) -> "_Kept":
        view = await asyncio.to_thread(_view, self._settings(), authorization)
        kept = _Kept(_digest(authorization), view)
        if kept.digest in self._kept:  # Another request was faster.
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
    view: CallerView
    users: int = 0


def _view(settings: Settings, authorization: SecretStr) -> CallerView:
    root = open_with_key(settings, authorization)
    try:
        return CallerView(root, settings)
    except BaseException:
        root.context.close()
        raise


def _digest(authorization: SecretStr) -> str:
    return hashlib.sha256(authorization.get_secret_value().encode()).hexdigest()
