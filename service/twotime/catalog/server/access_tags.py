"""Access tags, by which Tiled's access policy decides who reads a node. Results get the tags of their run.

A server without such a policy keeps no tags: it ignores those of a new node, and its nodes show none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tiled.client.utils import ClientError

from twotime.errors import UnusableRun

_OF_ONE_PRINCIPAL = ("user:", "service:")
_FORBIDDEN = 403


def tags_of(node: Any) -> list[str] | None:
    """Tags that a new node inherits from another; None if there are none: Tiled then sets the tag of the writer.

    Tags of one principal are left out, because Tiled lets nobody pass them on.
    """
    tags = node.item["attributes"].get("access_tags") or []
    return sorted(tag for tag in tags if not tag.startswith(_OF_ONE_PRINCIPAL)) or None


def access_in_words(results: Any) -> str:
    """One sentence for operators: who can read the results in a container."""
    if not results.item["attributes"].get("access_tags"):
        return "Tiled keeps no access tags here: every key that reads its nodes sees all results"
    shared = tags_of(results)
    if shared is None:
        return (
            "results get the access tags of their runs, but their container has only that of its writer, so that "
            "nobody else reaches them; give it tags that all who may have results can read"
        )
    return f"results get the access tags of their runs, and their container has {', '.join(shared)}"


def refuses_tags(error: ClientError) -> bool:
    """Whether the access policy does not let this key set the tags of a new node."""
    return error.response.status_code == _FORBIDDEN and "access tags" in str(error)


@contextmanager
def giving_tags(uid: str, tags: Sequence[str]) -> Iterator[None]:
    """Set access tags of a run on nodes inside this block; raises `UnusableRun` if the access policy forbids it."""
    try:
        yield
    except ClientError as error:
        if not refuses_tags(error):
            raise
        raise UnusableRun(
            f"Run {uid[:8]} has the access tags {', '.join(tags)}, which Tiled does not let this service give to "
            "results; make its principal an owner of them, with scopes to read and write, in Tiled's tag definitions."
        ) from None
