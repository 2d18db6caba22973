"""From the regions that a recipe names to regions of pixels."""

import numpy as np

from twotime.pipeline.protocols import Library
from twotime.recipe import AnyRegion, Box, Labels, Named, Polygon, QMap, QPhi, Rings
from twotime.xpcs.roi import Region, box_region, label_regions, polygon_region, ring_regions, shifted_labels
from twotime.xpcs.types import Geometry


def regions_of(
    wanted: tuple[AnyRegion, ...], geometry: Geometry, shape: tuple[int, int], library: Library
) -> list[Region]:
    """Regions of pixels in the order of the recipe.

    Raises
    ------
    ValueError
        If a region does not fit to the detector.
    RecipeError
        If a label array that the recipe names is not there.
    """
    return [region for one in wanted for region in _regions(one, geometry, shape, library)]


def _regions(one: AnyRegion, geometry: Geometry, shape: tuple[int, int], library: Library) -> list[Region]:
    if isinstance(one, Rings):
        return ring_regions(geometry, shape, one.all_edges(), one.unit)
    if isinstance(one, QPhi):
        rings, angles = one.rings, one.angles
        return ring_regions(
            geometry, shape, rings.all_edges(), rings.unit, angles=angles.all_edges(), mirrored=angles.symmetric
        )
    if isinstance(one, Box):
        return [box_region(shape, one.rows, one.columns, np.nan if one.q is None else one.q)]
    if isinstance(one, Polygon):
        return [polygon_region(shape, one.vertices, np.nan if one.q is None else one.q)]
    if isinstance(one, Labels):
        return label_regions(library.labels(one.array), shape, one.q_list, one.phi_list)
    if isinstance(one, Named):
        return label_regions(shifted_labels(library.named_labels(one.name), geometry, shape), shape)
    assert isinstance(one, QMap)
    found = library.qmap(one.file)
    return label_regions(found.labels, shape, found.q, found.phi)
