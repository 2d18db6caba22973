"""Pixels of an analysed run are kept, and serve another analysis as if its frames had been read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.test_growing import FRAMES, RECIPE, Frames

from cnn_ed import Ensemble
from twotime.files.pixel_cache import PixelCache
from twotime.pipeline import analyse, no_progress
from twotime.recipe import parse_recipe


class Counted(Frames):
    """Frames that count how often they were read."""

    reads = 0

    def blocks(self, start: int, stop: int, stride: int = 1) -> Any:
        self.reads += 1
        return super().blocks(start, stop, stride)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


def analysed(source: Frames, cache: PixelCache, ensemble: Ensemble, **recipe: Any) -> Any:
    quick = {"denoise": {"enabled": False}}
    return analyse(source, parse_recipe({**RECIPE, **quick, **recipe}), ensemble, no_progress, store=cache)


@pytest.mark.parametrize(
    "changed",
    [
        {"fit": {"ages": 0}},
        {"masks": {"hot_above_counts": 7}},
        {"rois": [{"unit": "pixel", "edges": [[52, 58], [36, 44]]}]},
        {"normalisation": "smoothed"},
    ],
    ids=["fit", "mask", "smaller ROIs", "normalisation"],
)
def test_changed_recipe_reads_no_frame_and_gives_what_reading_would(
    tmp_path: Path, ensemble: Ensemble, changed: dict[str, Any]
) -> None:
    cache, source = PixelCache(tmp_path, 2**30), Counted(FRAMES)
    analysed(source, cache, ensemble)

    again = analysed(source, cache, ensemble, **changed)
    fresh = analysed(Frames(FRAMES), PixelCache(tmp_path / "none", 0), ensemble, **changed)

    assert source.reads == 1
    for name, array in fresh.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, err_msg=name)
    assert again.tables["fits"].equals(fresh.tables["fits"])


@pytest.mark.parametrize(
    "changed",
    [
        {"rois": [{"unit": "pixel", "edges": [[34, 45]]}]},
        {"frames": {"stop": 100}},
        {"normalisation": "flux"},
    ],
    ids=["pixels that were not kept", "other frames", "sums that were not taken"],
)
def test_what_was_not_kept_is_read(tmp_path: Path, ensemble: Ensemble, changed: dict[str, Any]) -> None:
    cache, source = PixelCache(tmp_path, 2**30), Counted(FRAMES)
    analysed(source, cache, ensemble)

    analysed(source, cache, ensemble, **changed)

    assert source.reads == 2


def test_sets_not_used_for_longest_make_room(tmp_path: Path, ensemble: Ensemble) -> None:
    cache = PixelCache(tmp_path, 2**30)
    for stop in (100, 110, 120):
        analysed(Frames(FRAMES), cache, ensemble, frames={"stop": stop})
    sizes = sum(file.stat().st_size for file in tmp_path.glob("*/*"))

    small = PixelCache(tmp_path, sizes)
    analysed(Frames(FRAMES), small, ensemble)

    assert 1 <= len(list(tmp_path.iterdir())) <= 3
    assert sum(file.stat().st_size for file in tmp_path.glob("*/*")) <= sizes


def test_truncated_file_is_read_anew(tmp_path: Path, ensemble: Ensemble) -> None:
    cache, source = PixelCache(tmp_path, 2**30), Counted(FRAMES)
    analysed(source, cache, ensemble)
    for file in tmp_path.glob("*/counts.npy"):
        file.write_bytes(file.read_bytes()[:1000])

    analysed(source, cache, ensemble)

    assert source.reads == 2


def test_nothing_is_kept_where_there_is_no_room_or_no_folder(tmp_path: Path, ensemble: Ensemble) -> None:
    (tmp_path / "file").write_text("not a folder")

    analysed(Frames(FRAMES), PixelCache(tmp_path / "none", 100), ensemble)
    analysed(Frames(FRAMES), PixelCache(tmp_path / "file", 2**30), ensemble)

    assert not (tmp_path / "none").exists()
