"""What a run was scanned over, frame by frame: a scalar that it records beside the frames, such as the temperature."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from databroker.client import BlueskyRun
from numpy.typing import NDArray

from twotime.catalog.runs.document_values import list_or_empty, mapping_or_empty, text_or_none
from twotime.catalog.runs.run_facts import ImageNode, find_image
from twotime.catalog.server.tiled_client import tiled_errors
from twotime.errors import RecipeError
from twotime.pipeline.protocols import ScanVariable
from twotime.recipe import RunFacts

MOST_LOOKED_AT = 12
"""Scalars that are read to find one that changes; a run may record hundreds."""


def scan_variable(run: BlueskyRun, facts: RunFacts, name: str | None) -> ScanVariable | None:
    """Values of a scalar of the run for each frame.

    Parameters
    ----------
    name : of the scalar; None: the first that changes, of the scanned motors, of what is named after a temperature,
        and of all others

    Returns
    -------
    ScanVariable or None
        None without a name if no scalar changes from event to event, or frames cannot be told to events.

    Raises
    ------
    RecipeError
        If the scalar of that name has not one value for every frame, or for every so many frames.
    """
    image = find_image(run, facts.detector)
    if name is not None:
        values = _values(run, image, name)
        every = _for_every_frame(values, facts.shape[0])
        if every is None:
            raise RecipeError(
                f"scan_variable is {name!r}, of which run {facts.uid[:8]} has {len(values)} values for "
                f"{facts.shape[0]} frames; name one with as many values as frames, or leave it out."
            )
        return ScanVariable(name, _unit(image, name), every)
    for candidate in _by_likelihood(facts, run.metadata["start"])[:MOST_LOOKED_AT]:
        every = _for_every_frame(_values(run, image, candidate), facts.shape[0])
        if every is not None and len(np.unique(every[np.isfinite(every)])) > 1:
            return ScanVariable(candidate, _unit(image, candidate), every)
    return None


def _values(run: BlueskyRun, image: ImageNode, name: str) -> NDArray[np.float64]:
    with tiled_errors():
        found = np.asarray(run[image.stream][name].read())
    return found.astype(np.float64).ravel() if found.dtype.kind in "buif" else np.full(found.size, np.nan)


def _for_every_frame(values: NDArray[np.float64], n_frames: int) -> NDArray[np.float64] | None:
    """One value per frame where each event holds as many frames as any other; else None."""
    if len(values) == 0 or n_frames % len(values):
        return None
    return np.repeat(values, n_frames // len(values))


def _by_likelihood(facts: RunFacts, start: Mapping[str, Any]) -> list[str]:
    motors = [str(one) for one in list_or_empty(start.get("motors"))]

    def rank(name: str) -> int:
        if any(name == motor or name.startswith(f"{motor}_") for motor in motors):
            return 0
        return 1 if "temp" in name.lower() else 2

    return sorted(facts.scalars, key=rank)


def _unit(image: ImageNode, name: str) -> str:
    data_key = mapping_or_empty(mapping_or_empty(image.descriptor.get("data_keys")).get(name))
    return text_or_none(data_key.get("units")) or ""
