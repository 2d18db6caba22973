"""Scalar fields of runs that a series can be drawn against: found in their documents, offered where they vary."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCAN_NUMBER = "scan_id"
TIME = "time"
_NOT_OFFERED = {"uid", SCAN_NUMBER, TIME, "num_points", "num_intervals"}
"""Keys of start documents that say nothing of the sample; number and time of a scan are offered by themselves."""
_DEEPEST = 3
_MOST_FIELDS = 500
_LONGEST_KEY = 100
_SAME = 1e-9


@dataclass(frozen=True)
class Field:
    """A field that scans of a series have in common.

    Attributes
    ----------
    name : as it is asked for: ``scan_id``, ``time``, a key of the start document, or ``baseline.<key>``
    unit : "1" where none is known
    low, high : least and greatest value
    n_scans : scans that have it
    """

    name: str
    unit: str
    low: float
    high: float
    n_scans: int


def scalars(document: Mapping[str, Any], units: Mapping[str, str] | None = None) -> dict[str, tuple[float, str]]:
    """Numbers of a document with their units, by name; nested ones by ``outer.inner``.

    Parameters
    ----------
    document : start document of a run, or values of its baseline stream
    units : of the keys, where the document does not say them itself

    Returns
    -------
    Numbers, also those that are written as text, and mappings such as ``{"value": 295.0, "unit": "K"}``. Truth values,
    lists and numbers that are not finite are left out, as is what is too deep or too much for a document.

    Examples
    --------
    >>> scalars({"temperature": {"value": 295.0, "unit": "K"}, "exposure time": "0.01", "user": "me", "dark": False})
    {'temperature': (295.0, 'K'), 'exposure time': (0.01, '1')}
    """
    known = units or {}
    found: dict[str, tuple[float, str]] = {}
    for name, value, unit in _numbers(document, ""):
        if len(found) >= _MOST_FIELDS:
            break
        found[name] = (value, unit or known.get(name, "") or "1")
    return found


def offered(scans: Sequence[Mapping[str, tuple[float, str]]]) -> tuple[Field, ...]:
    """Fields that at least two scans have with different values, those of most scans first, then by name.

    Parameters
    ----------
    scans : `scalars` of each scan
    """
    names = {name for one in scans for name in one} - _NOT_OFFERED
    found = [field for name in names if (field := field_of(scans, name)) is not None and _varies(field)]
    return tuple(sorted(found, key=lambda field: (-field.n_scans, field.name)))


def field_of(scans: Sequence[Mapping[str, tuple[float, str]]], name: str) -> Field | None:
    """One field over all scans; None where no scan has it. Its unit is "1" unless all scans agree on one."""
    known = [one[name] for one in scans if name in one]
    if not known:
        return None
    values, units = [value for value, _ in known], {unit for _, unit in known}
    return Field(name, units.pop() if len(units) == 1 else "1", min(values), max(values), len(known))


def _varies(field: Field) -> bool:
    return field.high - field.low > _SAME * max(abs(field.low), abs(field.high))


def _numbers(document: Mapping[str, Any], prefix: str, depth: int = 1) -> Iterator[tuple[str, float, str]]:
    for key, value in document.items():
        name = f"{prefix}{key}"
        if len(name) > _LONGEST_KEY or not name.isprintable():
            continue
        if isinstance(value, Mapping):
            number = _number(value.get("value"))
            if number is not None:
                yield name, number, str(value.get("unit") or value.get("units") or "")[:20]
            elif depth < _DEEPEST:
                yield from _numbers(value, f"{name}.", depth + 1)
        elif (number := _number(value)) is not None:
            yield name, number, ""


def _number(value: Any) -> float | None:
    """A finite number, also from text; None for truth values and everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
