"""What runs say of the conditions of their sample: numbers of the start document and of the baseline stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from databroker.client import CatalogOfBlueskyRuns
from tiled.client.container import Container
from tiled.client.dataframe import DataFrameClient
from tiled.queries import In

from twotime.catalog.runs.document_values import first_number, mapping_or_empty
from twotime.catalog.runs.search import is_run
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.series import scalars

BASELINE = "baseline"
_PAGE = 100
"""Uids in one request; more would make too long an address."""


@dataclass(frozen=True)
class Conditions:
    """Numbers of one run.

    Attributes
    ----------
    time : start of the run, s since 1970; NaN where it is not recorded
    numbers : `twotime.series.scalars` of the start document
    """

    time: float = float("nan")
    numbers: dict[str, tuple[float, str]] = field(default_factory=dict)


def conditions_of(raw: CatalogOfBlueskyRuns, uids: Sequence[str]) -> dict[str, Conditions]:
    """Conditions of runs by uid, a hundred runs in one request; runs that cannot be read are missing."""
    found: dict[str, Conditions] = {}
    with tiled_errors():
        for first in range(0, len(uids), _PAGE):
            some = [*uids[first : first + _PAGE]]
            for run in raw.search(In("start.uid", some)).values()[0 : len(some)]:
                if is_run(run):
                    start = run.metadata["start"]
                    time = first_number(start.get("time"))
                    found[start["uid"]] = Conditions(float("nan") if time is None else time, scalars(start))
    return found


def baseline_of(raw: CatalogOfBlueskyRuns, uid: str) -> dict[str, tuple[float, str]]:
    """Numbers of the baseline stream of a run, each the mean of its readings, by ``baseline.<key>``; empty without one.

    Baselines are read before and after a run; what changed between is best told by the middle.
    """
    # As a plain container: the catalog of runs takes a path for the beginning of a uid.
    plain = Container(raw.context, item=raw.item, structure_clients=raw.structure_clients)
    with tiled_errors():
        try:
            stream = plain[uid, BASELINE]
        except KeyError:
            return {}
        described = mapping_or_empty(stream.metadata.get("data_keys"))
        keys = {
            key: str(mapping_or_empty(one).get("units") or "")
            for key, one in described.items()
            if mapping_or_empty(one).get("dtype") in ("number", "integer")
        }
        readings = _readings(getattr(stream, "base", stream), keys)
    found = scalars(readings, keys)
    return {f"{BASELINE}.{name}": value for name, value in found.items()}


def _readings(stream: Any, keys: dict[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for key in stream:
        node = stream[key]
        if not isinstance(node, DataFrameClient):
            continue
        own = [name for name in node.columns if name in keys]
        table = node.read(own) if own else {}
        for name in own:
            values = np.asarray(table[name], float)
            if np.isfinite(values).any():
                found[name] = float(np.nanmean(values))
    return found
