"""Reads values from Bluesky documents tolerantly: numbers may arrive as text, text as objects."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from twotime.recipe.document import MOST

_LONGEST_TEXT = 200


def first_number(*values: Any) -> float | None:
    return next((number for number in map(number_or_none, values) if number is not None), None)


def sample_name(start: Mapping[str, Any]) -> str | None:
    """Name of the sample, which may be text or an object with a name."""
    sample = start.get("sample")
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ", ".join(f"{key}: {value}" for key, value in sample.items())
    return text_or_none(sample)


def field_of(start: Mapping[str, Any], name: str) -> Any:
    """A field of a start document, an inner one as ``a.b``; None if it has none.

    Examples
    --------
    >>> field_of({"proposal": {"proposal_id": "312345"}}, "proposal.proposal_id")
    '312345'
    """
    value: Any = start
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def list_or_empty(value: Any) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def has_documents(metadata: Any) -> bool:
    """Whether metadata hold a start document with a uid, and a stop document or none.

    Examples
    --------
    >>> has_documents({"start": {"uid": "6a1f3c2b"}, "stop": None}), has_documents({"start": {}}), has_documents(5)
    (True, False, False)
    """
    documents = mapping_or_empty(metadata)
    uid, stop = mapping_or_empty(documents.get("start")).get("uid"), documents.get("stop")
    return isinstance(uid, str) and uid != "" and (not stop or isinstance(stop, Mapping))


def text_or_none(value: Any) -> str | None:
    """Text on one line, without control characters, cut to the length of names in requests."""
    if value is None:
        return None
    letters = (" " if unicodedata.category(one).startswith("C") else one for one in str(value)[:_LONGEST_TEXT])
    return "".join(letters).strip()


def number_or_none(value: Any) -> float | None:
    """A number, also from text or from a list of one; None if there is none."""
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def integer_or_none(value: Any) -> int | None:
    number = number_or_none(value)
    return int(number) if number is not None and abs(number) <= MOST else None
