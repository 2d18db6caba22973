"""Child nodes of a container in Tiled: find, create once, remove."""

from collections.abc import Sequence
from typing import Any

import structlog
from tiled.client.container import Container
from tiled.client.utils import ClientError
from tiled.structures.core import Spec

from twotime.catalog.server.access_tags import refuses_tags, tags_of

log = structlog.get_logger()

_CONFLICT = 409
_NOT_FOUND = 404


def child(parent: Container, key: str) -> Any:
    """The client of a child, or of a node below it if `key` is a path; None if there is none."""
    try:
        return parent[key]
    except KeyError:
        return None


def create_once(parent: Container, key: str, metadata: dict[str, Any], specs: Sequence[Spec] = ()) -> bool:
    """Create a child container with the access tags of its parent; False if it exists already.

    Tiled creates a key only once, so of several processes exactly one gets True. This is the lock of claims.
    """
    tags = tags_of(parent)
    try:
        return _create_once(parent, key, metadata, specs, tags)
    except ClientError as error:
        if tags is None or not refuses_tags(error):
            raise
        # Without tags only the service can read the node: too few readers, never too many.
        log.warning("access_tags_refused", container=key, tags=tags, remedy="make it by hand, with these tags")
        return _create_once(parent, key, metadata, specs, None)


def remove(parent: Container, key: str) -> None:
    """Remove a child and everything below it; no effect if there is none, which a lost response may also cause."""
    if child(parent, key) is None:
        return
    try:
        parent.delete_contents(key, recursive=True, external_only=False)
    except ClientError as error:
        if error.response.status_code != _NOT_FOUND:
            raise


def _create_once(
    parent: Container, key: str, metadata: dict[str, Any], specs: Sequence[Spec], access_tags: list[str] | None
) -> bool:
    try:
        parent.create_container(key, metadata=metadata, specs=[*specs], access_tags=access_tags)
    except ClientError as error:
        raise_unless_conflict(error)
        return False
    return True


def raise_unless_conflict(error: ClientError) -> None:
    """Raise the error again, unless it says that the key exists already."""
    if error.response.status_code != _CONFLICT:
        raise error
