"""What to do with a run: one document, versioned, hashable, echoed back resolved.

A recipe names only what differs from the run's own metadata and from the defaults. `resolve` fills in the rest and
says where every value came from.
"""

from twotime.recipe.facts import GEOMETRY_UNITS, Found, RunFacts
from twotime.recipe.options import (
    DECAY_PARAMETERS,
    DenoiseOptions,
    FitOptions,
    FrameOptions,
    GeometryOptions,
    MaskOptions,
    Recipe,
    load_recipe,
    parse_recipe,
)
from twotime.recipe.regions import (
    MOST_ROIS,
    AnyRegion,
    Box,
    Labels,
    Named,
    Polygon,
    QMap,
    QPhi,
    Rings,
)
from twotime.recipe.resolve import ResolvedRecipe, analysis_id, deciding, default_rings, digest, resolve

__all__ = [
    "DECAY_PARAMETERS",
    "GEOMETRY_UNITS",
    "MOST_ROIS",
    "AnyRegion",
    "Box",
    "DenoiseOptions",
    "FitOptions",
    "Found",
    "FrameOptions",
    "GeometryOptions",
    "Labels",
    "MaskOptions",
    "Named",
    "Polygon",
    "QMap",
    "QPhi",
    "Recipe",
    "ResolvedRecipe",
    "Rings",
    "RunFacts",
    "analysis_id",
    "deciding",
    "default_rings",
    "digest",
    "load_recipe",
    "parse_recipe",
    "resolve",
]
