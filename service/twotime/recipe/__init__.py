"""What to do with a run: one document, versioned, hashable, echoed back resolved.

A recipe names only what differs from the run's own metadata and from the defaults. `resolve` (correlation functions)
and `resolve_frames` (denoised frames) fill in the rest and say where every value came from.
"""

from twotime.recipe.facts import GEOMETRY_UNITS, Found, RunFacts
from twotime.recipe.frame_recipe import FrameMaskOptions, FrameRecipe, PeakOptions, SumOptions
from twotime.recipe.options import (
    DECAY_PARAMETERS,
    DenoiseOptions,
    FitOptions,
    FrameOptions,
    GeometryOptions,
    MaskOptions,
    Recipe,
    StaticMaskOptions,
)
from twotime.recipe.reading import AnalysisKind, AnyRecipe, load_recipe, parse_recipe
from twotime.recipe.regions import (
    MOST_ROIS,
    AnyRegion,
    Box,
    FrameRegion,
    Labels,
    Named,
    Polygon,
    QMap,
    QPhi,
    Rings,
)
from twotime.recipe.resolve import (
    AnyResolved,
    ResolvedRecipe,
    analysis_id,
    deciding,
    default_rings,
    digest,
    resolve,
)
from twotime.recipe.resolve_frames import ResolvedFrameRecipe, resolve_frames

__all__ = [
    "DECAY_PARAMETERS",
    "GEOMETRY_UNITS",
    "MOST_ROIS",
    "AnalysisKind",
    "AnyRecipe",
    "AnyRegion",
    "AnyResolved",
    "Box",
    "DenoiseOptions",
    "FitOptions",
    "Found",
    "FrameMaskOptions",
    "FrameOptions",
    "FrameRecipe",
    "FrameRegion",
    "GeometryOptions",
    "Labels",
    "MaskOptions",
    "Named",
    "PeakOptions",
    "Polygon",
    "QMap",
    "QPhi",
    "Recipe",
    "ResolvedFrameRecipe",
    "ResolvedRecipe",
    "Rings",
    "RunFacts",
    "StaticMaskOptions",
    "SumOptions",
    "analysis_id",
    "deciding",
    "default_rings",
    "digest",
    "load_recipe",
    "parse_recipe",
    "resolve",
    "resolve_frames",
]
