"""Tiled for the time of a command: the one of the settings, or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import AnyHttpUrl, SecretStr
from rich.console import Console

from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root
from twotime.settings import Settings


@contextmanager
def tiled_of(settings: Settings, console: Console) -> Iterator[Settings]:
    """Settings whose Tiled server answers; the embedded server runs meanwhile where none is named.

    Raises
    ------
    TiledUnavailable
        If the server does not answer within `tiled_wait_s`.
    """
    if settings.tiled_uri is not None:
        open_root(settings, retries_for_s=settings.tiled_wait_s, on_wait=console.print).context.close()
        yield settings
        return
    embedded = EmbeddedTiled(settings.var_dir, readable_storage=settings.readable_storage)
    embedded.start()
    try:
        yield settings.model_copy(
            update={
                "tiled_uri": AnyHttpUrl(embedded.uri),
                "tiled_api_key": SecretStr(embedded.api_key),
                "detector_dirs": [*settings.detector_dirs, *embedded.readable],
            }
        )
    finally:
        embedded.stop()
