"""Analyses asked for in a real Tiled server, of runs that exist on paper only."""

import uuid
from typing import Any

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.recipe import Found, Recipe, RunFacts, digest, resolve

VERSIONS = {"twotime": "0.1.0", "ensemble": "2026-01"}
_GEOMETRY = {
    "beam_center_y": 3.0,
    "beam_center_x": 3.0,
    "distance_m": 5.0,
    "wavelength_angstrom": 1.0,
    "pixel_size_m": 1e-4,
    "frame_time_s": 0.01,
}


def run_facts(**changes: Any) -> RunFacts:
    """What a new run says of itself, but for these changes."""
    geometry = {name: Found(value, "descriptor configuration") for name, value in _GEOMETRY.items()}
    values = {"uid": str(uuid.uuid4()), "detector": "eiger4m_single_image", "shape": (100, 64, 64)}
    return RunFacts(**{**values, "geometry": geometry, **changes})


def request(store: AnalysisStore, facts: RunFacts, **options: Any) -> AnalysisRecord:
    """Queue its analysis by the default recipe."""
    resolved = resolve(Recipe(), facts)
    key = digest(facts.uid, resolved, VERSIONS)
    return store.request(facts, resolved, key, VERSIONS, asked=Recipe(), **options)
