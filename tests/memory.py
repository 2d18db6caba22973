"""Frames in memory as a source of the pipeline, and simulated scans of each kind that a verdict tells apart."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cnn_ed import Ensemble
from twotime.pipeline import analyse
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts, parse_recipe
from twotime.results import Analysis
from twotime.simulate import SpeckleModel, simulate_frames, with_flux
from twotime.xpcs import Geometry

GEOMETRY = Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01)
RECIPE = {
    "rois": [{"unit": "pixel", "edges": [[34, 42], [48, 56], [62, 70], [76, 84], [90, 98]]}],
    "masks": {"from_data": False},
    "fit": {"ages": 5},
}
N_FRAMES = 200
MODEL = SpeckleModel((72, 72), GEOMETRY, diffusion=2.0e5, contrast=0.2, mean_counts=0.5)


class Frames:
    """Frames in memory as a source.

    Parameters
    ----------
    frames : (N, H, W)
    geometry : of the run; None: it records none
    detector : name of the field that holds the frames
    step : frames in a block
    facts : of the run, besides
    """

    def __init__(
        self,
        frames: np.ndarray,
        geometry: Geometry | None = GEOMETRY,
        *,
        detector: str = "eiger4m_single_image",
        step: int = 50,
        **facts: Any,
    ) -> None:
        names = () if geometry is None else GEOMETRY_UNITS
        known: dict[str, Any] = {"geometry": {name: Found(getattr(geometry, name), "test") for name in names}}
        self.frames, self.step = frames, step
        self.facts = RunFacts("1a2b3c4d-0000", detector, frames.shape, **known, **facts)
        self.dtype: np.dtype[Any] = frames.dtype

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, stop, self.step * stride):
            yield first, self.frames[first : min(first + self.step * stride, stop) : stride]

    def pixel_mask(self) -> np.ndarray | None:
        return None

    def fallback(self) -> "Frames | None":
        return None


KINDS: dict[str, dict[str, Any]] = {
    "diffusive": {},
    "ballistic": {"exponent": 1.0, "diffusion": 1.0e5},
    "exponent 1.5": {"exponent": 1.5, "diffusion": 1.4e5},
    "slower": {"ageing": 1.0},
    "faster": {"speeding": 1.5},
    "static": {"diffusion": 1.0},
    "oscillating": {"oscillation_hz": 12.0, "diffusion": 0.6e5},
    "few photons": {"mean_counts": 0.003},
    "too fast": {"diffusion": 2.0e7, "mean_counts": 2.0},
    "unfinished": {"diffusion": 1.0e4},
}
"""What differs from `MODEL`."""
BEAMS = ("beam lost", "swing", "drift", "damage")
"""Kinds made of a good scan by a beam that changes, the last with a rate that grows."""


def scan(kind: str, seed: int) -> np.ndarray:
    """Frames of one kind of scan."""
    changes = {"damage": {"speeding": 1.5}}.get(kind, KINDS.get(kind, {}))
    frames = simulate_frames(replace(MODEL, **changes, seed=seed), N_FRAMES)
    time = np.arange(N_FRAMES) / N_FRAMES
    flux = np.ones(N_FRAMES)
    if kind == "beam lost":
        flux[120:126] = 0.05
    elif kind == "swing":
        flux = 1 - 0.25 * np.exp(-(((time - 0.6) / 0.06) ** 2))
    elif kind in ("drift", "damage"):
        flux = 1 - 0.2 * time
    return frames if (flux == 1).all() else with_flux(frames, flux, seed)


def analysed(frames: np.ndarray, ensemble: Ensemble) -> Analysis:
    """The whole analysis of such frames."""
    return analyse(Frames(frames), parse_recipe(RECIPE), ensemble)
