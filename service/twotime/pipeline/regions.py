"""From the regions that a recipe names to regions of pixels."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from twotime.errors import RecipeError
from twotime.pipeline.protocols import Library
from twotime.recipe import MOST_ROIS, AnyRegion, Box, FrameRegion, Labels, Named, Polygon, QMap, QPhi, Rings
from twotime.xpcs.roi import Region, box_region, label_regions, polygon_region, ring_regions, shifted_labels
from twotime.xpcs.types import Geometry


def regions_of(
    wanted: tuple[AnyRegion, ...], geometry: Geometry, shape: tuple[int, int], library: Library
) -> Iterator[Region]:
    """Regions of pixels in the order of the recipe, made one at a time.

    Raises
    ------
    ValueError
        If a region does not fit to the detector.
    RecipeError
        If a label array that the recipe names is not there, or there are too many regions.
    """
    every = chain.from_iterable(_regions(one, geometry, shape, library) for one in wanted)
    for number, region in enumerate(every, start=1):
        if number > MOST_ROIS:
            raise RecipeError(f"rois lead to more than {MOST_ROIS} ROIs; take fewer.")
        yield region


def region_labels(wanted: tuple[FrameRegion, ...], mask: NDArray[np.bool_], library: Library) -> NDArray[np.int32]:
    """Regions of a recipe of denoised frames: labels (H, W) 1, 2, ... in their order, 0 elsewhere and where masked.

    Raises
    ------
    ValueError
        If a region does not fit to the detector, overlaps another one, or has no pixel that the mask leaves in.
    RecipeError
        If a label array that the recipe names is not there, or there are too many regions.
    """
    shape = (mask.shape[0], mask.shape[1])
    labels = np.zeros(mask.size, np.int32)
    every = chain.from_iterable(_in_pixels(one, shape, library) for one in wanted)
    for number, region in enumerate(every, start=1):
        if number > MOST_ROIS:
            raise RecipeError(f"regions lead to more than {MOST_ROIS} regions; take fewer.")
        taken = labels[region.pixels].max(initial=0)
        if taken:
            raise ValueError(f"region {number} ({region.name}) overlaps region {taken}; let them lie side by side.")
        own = region.pixels[mask.ravel()[region.pixels]]
        if not own.size:
            raise ValueError(f"region {number} ({region.name}) holds no pixel outside the mask; move it.")
        labels[own] = number
    return labels.reshape(shape)


def _regions(one: AnyRegion, geometry: Geometry, shape: tuple[int, int], library: Library) -> Iterable[Region]:
    if isinstance(one, Rings):
        return ring_regions(geometry, shape, one.all_edges(), one.unit)
    if isinstance(one, QPhi):
        rings, angles = one.rings, one.angles
        return ring_regions(
            geometry, shape, rings.all_edges(), rings.unit, angles=angles.all_edges(), mirrored=angles.symmetric
        )
    if isinstance(one, Box | Polygon | Labels):
        return _in_pixels(one, shape, library)
    if isinstance(one, Named):
        return label_regions(_few(shifted_labels(library.named_labels(one.name), geometry, shape)), shape)
    assert isinstance(one, QMap)
    found = library.qmap(one.file)
    return label_regions(_few(found.labels), shape, found.q, found.phi)


def _in_pixels(one: FrameRegion, shape: tuple[int, int], library: Library) -> list[Region]:
    """Regions that need no geometry."""
    if isinstance(one, Box):
        return [box_region(shape, one.rows, one.columns, np.nan if one.q is None else one.q)]
    if isinstance(one, Polygon):
        return [polygon_region(shape, one.vertices, np.nan if one.q is None else one.q)]
    return label_regions(_few(library.labels(one.array)), shape, one.q_list, one.phi_list)


def _few(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Labels as they are, counted first."""
    number = np.unique(labels[labels > 0]).size
    if number > MOST_ROIS:
        raise RecipeError(f"rois: a label array holds {number} regions; {MOST_ROIS} are the most.")
    return labels
