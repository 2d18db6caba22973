"""Connecting to a Tiled server; its failures as the errors of this service."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from databroker.client import CatalogOfBlueskyRuns
from pydantic import SecretStr
from tiled.client.constructors import from_context
from tiled.client.container import Container
from tiled.client.context import CannotPrompt, Context
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from twotime.errors import NotFound, TiledFailing, TiledRefused, TiledUnavailable
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
    on_wait : called once with a sentence that says why the connection waits

    Raises
    ------
    TiledUnavailable
        If the server does not answer in time, or is no Tiled server.
    TiledRefused
        If it refuses the key.
    """
    if settings.tiled_uri is None:
        raise TiledUnavailable("No Tiled server is named; set TWOTIME_TILED_URI.")
    key = settings.tiled_api_key.get_secret_value() if settings.tiled_api_key else None
    deadline = time.monotonic() + retries_for_s
    reported = False
    while True:
        try:
            with tiled_errors(str(settings.tiled_uri)):
                return _connect(str(settings.tiled_uri), key)
        except TiledUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            if on_wait is not None and not reported:
                on_wait(f"{error} Waiting up to {retries_for_s:.0f} s for it.")
                reported = True
            time.sleep(_PAUSE_S)


@contextmanager
def opened_root(settings: Settings, **options: Any) -> Iterator[Container]:
    """`open_root`, closed at the end; raises what it raises."""
    root = open_root(settings, **options)
    try:
        yield root
    finally:
        root.context.close()


def raw_catalog(root: Container, settings: Settings) -> CatalogOfBlueskyRuns:
    """The container of the raw runs as a Bluesky catalog; created if the server is empty.

    Raises
    ------
    TiledRefused
        If there is no such container or the key may not read it.
    """
    with tiled_errors(str(settings.tiled_uri)):
        try:
            node = descend(root, settings.raw_path, "TWOTIME_RAW_PATH")
        except TiledRefused:
            # On a server with content the path is probably misspelt. On an empty one, scans need a container.
            if len(root) > 0:
                raise
            node = _ensure_path(root, settings.raw_path, [RUNS_SPEC])
        return _as_catalog(node)


def results_container(root: Container, settings: Settings) -> Container:
    """The container of the analyses; created if it is missing.

    Raises
    ------
    TiledRefused
        If the key may not create it.
    """
    with tiled_errors(str(settings.tiled_uri)):
        return _ensure_path(root, settings.results_path)


def open_with_key(settings: Settings, authorization: SecretStr) -> Container:
    """Connect to the same server with the key of a caller.

    Parameters
    ----------
    authorization : value of the caller's Authorization header

    Raises
    ------
    TiledUnavailable
        If the server does not answer.
    TiledRefused
        If it does not accept the key.
    NotFound
        If it accepts the key, but the key may read nothing.
    """
    with tiled_errors(str(settings.tiled_uri)), _not_found_if_hidden():
        context, path = Context.from_any_uri(str(settings.tiled_uri))
        try:
            context.http_client.auth, context.has_external_auth = _CallerAuth(authorization), True
            root: Container = from_context(context, node_path_parts=path)
        except BaseException:
            context.close()
            raise
    return root


def visible_containers(root: Container, settings: Settings) -> tuple[CatalogOfBlueskyRuns, Container]:
    """The containers of runs and analyses as the key may read them; creates none; raises `NotFound`."""
    with tiled_errors(str(settings.tiled_uri)), _not_found_if_hidden():
        try:
            raw = descend(root, settings.raw_path, "TWOTIME_RAW_PATH")
            results: Container = descend(root, settings.results_path, "TWOTIME_RESULTS_PATH")
        except TiledRefused:
            raise NotFound(
                "Tiled accepts this key, but does not show it the containers of runs and analyses; ask the "
                "administrators of Tiled for access to them."
            ) from None
    return _as_catalog(raw), results


@contextmanager
def tiled_errors(uri: str = "") -> Iterator[None]:
    """Turn failures of connection or server into `TiledUnavailable`, refusals into `TiledRefused`.

    A 500 to a request for data is `TiledFailing`: one damaged file can cause it, so waiting may never help.
    """
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
        if status >= 500:
            where_to = f"{error.request.method} {error.request.url.path}"
            if _asks_for_data(error.request):
                raise TiledFailing(f"Tiled{where} fails ({status}) at {where_to}; its log says why.") from error
            raise TiledUnavailable(
                f"Tiled{where} answers {status} to {where_to}; its database or its cache may be away, or its disk "
                "full; its log says why."
            ) from error
        raise
    except (httpx.TransportError, ConnectionError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise TiledUnavailable(f"Tiled{where} does not answer ({reason}); check that the server runs.") from error
    except httpx.InvalidURL as error:
        raise NotFound(f"A name holds what no address in Tiled can hold ({error}); correct it.") from error
    except CannotPrompt as error:
        raise TiledRefused(f"Tiled{where} asks for a key; set TWOTIME_TILED_API_KEY.") from error


@contextmanager
def suppress_conflict() -> Iterator[None]:
    """Ignore the answer 409: another process has created the same node."""
    try:
        yield
    except ClientError as error:
        if error.response.status_code != 409:
            raise


class _CallerAuth(httpx.Auth):
    """Sends only the header of a caller; Tiled's client would add keys from environment or disk."""

    def __init__(self, authorization: SecretStr) -> None:
        self._authorization = authorization

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._authorization.get_secret_value()
        yield request


@contextmanager
def _not_found_if_hidden() -> Iterator[None]:
    """Turn 404 for the root itself into `NotFound`."""
    try:
        yield
    except ClientError as error:
        if error.response.status_code != 404:
            raise
        raise NotFound("Tiled accepts this key, but shows it nothing; ask its administrators for access.") from error


def _as_catalog(node: Any) -> CatalogOfBlueskyRuns:
    if isinstance(node, CatalogOfBlueskyRuns):
        return node
    return CatalogOfBlueskyRuns(node.context, item=node.item, structure_clients=node.structure_clients)


def _connect(uri: str, key: str | None) -> Container:
    """A client of the server; closed again if anything fails."""
    _check_server(uri, key)
    context, path = Context.from_any_uri(uri, api_key=key)
    try:
        root: Container = from_context(context, node_path_parts=path)
    except BaseException:
        context.close()
        raise
    return root


def _check_server(uri: str, key: str | None) -> None:
    """Find out in one request whether this is a Tiled server and whether it needs a key.

    Tiled's client finds out too, but later, after retries, and without saying how to correct it.
    """
    headers = {} if key is None else {"Authorization": f"Apikey {key}"}
    response = httpx.get(f"{uri.split('/api/v1')[0].rstrip('/')}/api/v1/", headers=headers, timeout=10)
    try:
        about = response.raise_for_status().json()
        needs_key = about["authentication"]["required"]
    except (ValueError, KeyError, TypeError, httpx.HTTPStatusError) as error:
        if isinstance(error, httpx.HTTPStatusError) and response.status_code not in (404, 405):
            raise
        raise TiledUnavailable(
            f"What answers at {uri} is no Tiled server; set TWOTIME_TILED_URI to its address, "
            "such as http://tiled.example.org:8000/api/v1."
        ) from error
    if needs_key and key is None:
        raise TiledRefused(f"Tiled at {uri} asks for a key; set TWOTIME_TILED_API_KEY.")


def descend(node: Any, path: str, setting: str) -> Any:
    """The node at a path; raises `TiledRefused`, naming `setting`, if there is none."""
    for key in path.strip("/").split("/"):
        try:
            if not isinstance(node, Container):  # An array or a table would take the key for a slice or a column.
                raise KeyError(key)
            node = node[key]
        except KeyError:
            there = ", ".join(node.keys().head(10) if isinstance(node, Container) else ()) or "nothing"
            raise TiledRefused(
                f"Tiled has no container {path!r} that this key can read; it holds {there}. Correct {setting}."
            ) from None
    return node


def _asks_for_data(request: httpx.Request) -> bool:
    """Whether a 500 may be caused by one damaged file and not by the server."""
    return request.method == "GET" and "/api/v1/metadata" not in request.url.path and "/search" not in request.url.path


def _ensure_path(node: Container, path: str, specs: Sequence[Spec] = ()) -> Container:
    """The container at a path; missing ones are created, the last one with the specs."""
    *above, last = path.strip("/").split("/")
    for key, key_specs in [*((key, ()) for key in above), (last, specs)]:
        try:
            node = node[key]
        except KeyError:
            node = _create(node, key, key_specs)
    return node


def _create(node: Container, key: str, specs: Sequence[Spec]) -> Container:
    with suppress_conflict():
        node.create_container(key, specs=list(specs))
    made: Container = node[key]
    return made
