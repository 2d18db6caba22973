"""Pixels that a recipe leaves out by boxes, files and the registry, before any frame is read."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError
from twotime.pipeline.protocols import Library
from twotime.recipe import RunFacts, StaticMaskOptions
from twotime.xpcs.orientation import Orientation, oriented

Masks = TypeVar("Masks", bound=StaticMaskOptions)


def static_mask(
    options: Masks, orientation: Orientation, facts: RunFacts, library: Library
) -> tuple[NDArray[np.bool_], Masks]:
    """What boxes, registry and files leave in, (H, W) in the analysis frame, and the options with versions filled in.

    Raises
    ------
    RecipeError
        If a box lies outside the detector, or a mask is not there or has another shape.
    """
    shape = facts.frame_shape(orientation)
    mask = np.ones(shape, bool)
    for number, box in enumerate(options.boxes):
        for name, (low, high), size in (("rows", box.rows, shape[0]), ("columns", box.columns, shape[1])):
            if not 0 <= low < high <= size:
                raise RecipeError(
                    f"masks.boxes.{number}.{name} is [{low}, {high}], but the detector has {size} {name}; "
                    f"give 0 <= first < last <= {size}."
                )
        mask[slice(*box.rows), slice(*box.columns)] = False
    named = []
    for wanted in options.registry:
        found, version = library.mask(wanted.name, wanted.version, facts.detector)
        mask &= _fitting(found, facts, orientation, f"masks.registry: {wanted.name} (version {version})")
        named.append(wanted.model_copy(update={"version": version}))
    for name in options.files:
        mask &= _fitting(library.mask_file(name), facts, orientation, f"masks.files: {name}")
    return mask, options.model_copy(update={"registry": tuple(named)})


def _fitting(mask: NDArray[np.bool_], facts: RunFacts, orientation: Orientation, name: str) -> NDArray[np.bool_]:
    """A mask in the analysis frame; one of another shape may be meant for the frame as written."""
    shape = facts.frame_shape(orientation)
    if mask.shape == shape:
        return mask
    if mask.shape == facts.shape[1:]:
        return oriented(mask, orientation)
    raise RecipeError(
        f"{name} has shape {mask.shape}, but the analysis frame of {facts.detector} is {shape}; give one of its shape."
    )
