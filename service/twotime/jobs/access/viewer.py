"""The one interface through which every read of Tiled goes: whose eyes look, and what they may see."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from databroker.client import CatalogOfBlueskyRuns
from tiled.client.container import Container

from twotime.catalog.results.analysis_store import AnalysisStore

Result = TypeVar("Result")


class Viewer(Protocol):
    """Tiled as one reader sees it: the service itself (`TiledConnection`) or a caller (`CallerView`).

    Functions that read on behalf of somebody take a viewer as a required argument, never as an option: forgetting it is
    a type error, where a forgotten option would silently read with the key of the service.
    """

    @property
    def unrestricted(self) -> bool:
        """Whether this viewer reads with the key of the service."""
        ...

    @property
    def root(self) -> Container:
        """The whole server, as far as the viewer may read it."""
        ...

    @property
    def raw(self) -> CatalogOfBlueskyRuns:
        """Catalog of the raw runs."""
        ...

    @property
    def store(self) -> AnalysisStore:
        """The analyses."""
        ...

    async def call(self, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call a function that asks Tiled, in a thread."""
        ...

    async def check_data(self, analysis_id: str) -> None:
        """Raise `AnalysisNotFound` unless the viewer may read the data of an analysis."""
        ...
