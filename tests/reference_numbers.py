"""The numbers of a small analysis, kept beside the tests: what `twotime.pipeline.numerics.NUMERICS` stands for.

    python -m tests.reference_numbers       compute them anew and keep them

The frames come from a random generator whose stream numpy never changes, not from the simulator, so that only the route
from frames to tables decides the numbers.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnn_ed import Ensemble
from twotime.pipeline import analyse, versions_of
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts, deciding, parse_recipe
from twotime.results import Analysis
from twotime.xpcs import Geometry

KEPT = Path(__file__).with_suffix(".json")
RELATIVE, ABSOLUTE = 1e-3, 1e-6
"""Differences that do not count: processors and libraries differ by less, changed numbers by more."""
TABLES = ("fits", "fits_age", "fits_variant", "q_fit")
RECIPE = {
    "rois": [{"unit": "pixel", "edges": [[30, 42], [44, 56]]}],
    "fit": {"ages": 3, "variants": ["flow"]},
}


class Speckle:
    """100 frames of 32 x 32 pixels that fluctuate with 0.05 and 0.1 per frame, as a source of frames."""

    def __init__(self) -> None:
        geometry = Geometry(-27.0, 15.0, 5.0, 1.24, 75e-6, 0.01)
        found = {name: Found(getattr(geometry, name), "reference") for name in GEOMETRY_UNITS}
        self.facts = RunFacts("1a2b3c4d-0000", "eiger4m_single_image", (100, 32, 32), geometry=found)
        self.frames = _counts(np.random.RandomState(1))
        self.dtype: np.dtype[Any] = self.frames.dtype

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        yield start, self.frames[start:stop:stride]

    def pixel_mask(self) -> np.ndarray | None:
        return None

    def fallback(self) -> "Speckle | None":
        return None


def _counts(rng: np.random.RandomState) -> np.ndarray:
    """Poisson counts of three modes of a complex Gaussian field that forgets itself exponentially."""
    keep = np.exp(-np.where(np.arange(32) < 16, 0.05, 0.1))[:, None]
    field = rng.normal(size=(2, 3, 32, 32))
    frames = []
    for _ in range(100):
        frames.append(rng.poisson((field**2).mean(axis=(0, 1))))
        field = keep * field + np.sqrt(1 - keep**2) * rng.normal(size=field.shape)
    return np.array(frames).astype(np.uint16)


def computed() -> dict[str, Any]:
    """Versions and numbers as the code has them now."""
    ensemble = Ensemble.load()
    analysis = analyse(Speckle(), parse_recipe(RECIPE), ensemble)
    return {"versions": deciding(versions_of(ensemble)), "numbers": _numbers(analysis)}


def kept() -> dict[str, Any]:
    """Versions and numbers as they were kept."""
    found: dict[str, Any] = json.loads(KEPT.read_text())
    return found


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of numbers that differ; those that are there only once do not count."""
    names = sorted(before["numbers"].keys() & now["numbers"].keys())
    return [name for name in names if not _alike(before["numbers"][name], now["numbers"][name])]


def _alike(one: list[float | None], other: list[float | None]) -> bool:
    if len(one) != len(other):
        return False
    first, second = np.array(one, float), np.array(other, float)
    return bool(np.allclose(first, second, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))


def _numbers(analysis: Analysis) -> dict[str, list[float | None]]:
    numbers: dict[str, list[float | None]] = {}
    for name in TABLES:
        table = analysis.tables[name]
        for column in table.select_dtypes(["number", "bool"]):
            numbers[f"{name}.{column}"] = _plain(table[column])
    for name in ("g2", "g2_multitau"):
        table = analysis.tables[name]
        for column in table.select_dtypes("number"):
            numbers[f"{name}.{column}"] = _plain(table[column][:: len(table) // 12])
    for name in ("two_time", "two_time_denoised", "two_time_spread"):
        numbers[name] = _plain(analysis.arrays[name][:, 3::29, 5::17].ravel())
    return numbers


def _plain(values: Any) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.8g}") for value in np.asarray(values, float)]


def main() -> int:
    """Keep the numbers; refused where they changed under the same versions."""
    now = computed()
    if KEPT.exists():
        before = kept()
        names = changed(before, now)
        if names and before["versions"] == now["versions"]:
            print(f"Numbers changed ({', '.join(names)}); raise NUMERICS in twotime/pipeline/numerics.py first.")
            return 1
    KEPT.write_text(json.dumps(now, indent=1) + "\n")
    print(f"Kept {len(now['numbers'])} columns for {now['versions']} in {KEPT}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
