"""The connection to a Tiled server, and its failures as sentences."""

import os

# Tiled reads these when it is imported; its own defaults retry a deterministic failure for 25 s.
os.environ.setdefault("TILED_RETRY_ATTEMPTS", "3")
os.environ.setdefault("TILED_RETRY_TIMEOUT", "10")

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from databroker.client import CatalogOfBlueskyRuns
from tiled.client import from_uri
from tiled.client.container import Container
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from twotime.errors import TiledRefused, TiledUnavailable
from twotime.settings import Settings

RUNS_SPEC = Spec("CatalogOfBlueskyRuns", "3.0")
_PAUSE_S = 1.0


def open_root(
    settings: Settings, *, retries_for_s: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Container:
    """Connect to the Tiled server of the settings.

    Parameters
    ----------
    settings : with `tiled_uri` set
    retries_for_s : how long to wait for a server that does not answer, s
    on_wait : told once, in a sentence, that and why we wait

    Raises
    ------
    TiledUnavailable
        If the server does not answer in time.
    TiledRefused
        If it refuses the key.
    """
    if settings.tiled_uri is None:
        raise TiledUnavailable("No Tiled server is named; set TWOTIME_TILED_URI.")
    key = settings.tiled_api_key.get_secret_value() if settings.tiled_api_key else None
    deadline = time.monotonic() + retries_for_s
    said = False
    while True:
        try:
            with tiled_errors(str(settings.tiled_uri)):
                root: Container = from_uri(str(settings.tiled_uri), api_key=key)
                return root
        except TiledUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            if on_wait is not None and not said:
                on_wait(f"{error} Waiting up to {retries_for_s:.0f} s for it.")
                said = True
            time.sleep(_PAUSE_S)


def raw_catalog(root: Container, settings: Settings) -> CatalogOfBlueskyRuns:
    """The container of the raw runs, with the look-ups of a Bluesky catalog.

    Raises
    ------
    TiledRefused
        If there is no such container or the key may not read it.
    """
    with tiled_errors(str(settings.tiled_uri)):
        node = _descend(root, settings.raw_path, "TWOTIME_RAW_PATH")
        if isinstance(node, CatalogOfBlueskyRuns):
            return node
        return CatalogOfBlueskyRuns(node.context, item=node.item, structure_clients=node.structure_clients)


def results_container(root: Container, settings: Settings) -> Container:
    """The container of the analyses, made where it is missing.

    Raises
    ------
    TiledRefused
        If the key may not create it.
    """
    with tiled_errors(str(settings.tiled_uri)):
        node = root
        for key in settings.results_path.strip("/").split("/"):
            try:
                node = node[key]
            except KeyError:
                node = _created(node, key)
        return node


@contextmanager
def tiled_errors(uri: str = "") -> Iterator[None]:
    """Turn failures of the connection into `TiledUnavailable` and refusals into `TiledRefused`."""
    where = f" at {uri}" if uri else ""
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise TiledRefused(
                f"Tiled{where} refuses the request ({status}); check TWOTIME_TILED_API_KEY and the scopes of that key."
            ) from error
        if status in (429, 502, 503, 504):
            raise TiledUnavailable(f"Tiled{where} answers {status}; it is starting or overloaded.") from error
        raise
    except (httpx.TransportError, ConnectionError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise TiledUnavailable(f"Tiled{where} does not answer ({reason}); check that the server runs.") from error
    except Exception as error:
        if type(error).__name__ == "CannotPrompt":
            raise TiledRefused(f"Tiled{where} asks for a key; set TWOTIME_TILED_API_KEY.") from error
        raise


def _descend(node: Container, path: str, setting: str) -> Any:
    for key in path.strip("/").split("/"):
        try:
            node = node[key]
        except KeyError:
            there = ", ".join(list(node)[:10]) or "nothing"
            raise TiledRefused(
                f"Tiled has no container {path!r} that this key can read; it holds {there}. Correct {setting}."
            ) from None
    return node


def _created(node: Container, key: str) -> Container:
    try:
        return node.create_container(key)
    except ClientError as error:
        if error.response.status_code != 409:
            raise
        made: Container = node[key]  # Somebody else made it in between.
        return made
