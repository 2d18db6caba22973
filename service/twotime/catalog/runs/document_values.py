"""Reads values from Bluesky documents tolerantly: numbers may arrive as text, text as objects."""

import math
from collections.abc import Mapping
from typing import Any


def first_number(*values: Any) -> float | None:
    return next((number for number in map(number_or_none, values) if number is not None), None)


def sample_name(start: Mapping[str, Any]) -> str | None:
    """Name of the sample, which may be text or an object with a name."""
    sample = start.get("sample")
    if isinstance(sample, Mapping):
        sample = sample.get("name") or ", ".join(f"{key}: {value}" for key, value in sample.items())
    return text_or_none(sample)


def mapping_or_empty(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


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
    return int(number) if number is not None and math.isfinite(number) else None
