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
    """The client of a child, or of what lies below it by a path, or None where there is none."""
    try:
        return parent[key]
    except KeyError:
        return None


def create_once(parent: Container, key: str, metadata: dict[str, Any], specs: Sequence[Spec] = ()) -> bool:
    """Make a child container with the access tags of its parent; False where somebody else had made it already."""
    tags = tags_of(parent)
    try:
        return _create_once(parent, key, metadata, specs, tags)
    except ClientError as error:
        if tags is None or not refuses_tags(error):
            raise
        # Without them nobody sees it but the service: too few do, never too many.
        log.warning("access_tags_refused", container=key, tags=tags, remedy="make it by hand, with these tags")
        return _create_once(parent, key, metadata, specs, None)


def remove(parent: Container, key: str) -> None:
    """Remove a child with all below it; no effect where it is gone, also by a request whose answer was lost."""
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
    if error.response.status_code != _CONFLICT:
        raise error
