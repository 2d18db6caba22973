"""Frames that are not what they should be: found, named, and left out of every number."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cnn_ed import Ensemble
from twotime.errors import DamagedFrames, UnusableRun
from twotime.pipeline import analyse, gathering, no_progress, plan
from twotime.pipeline.gathering import Gathered, gather
from twotime.recipe import GEOMETRY_UNITS, Found, RunFacts, parse_recipe
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry, static_image, two_time
from twotime.xpcs.orientation import as_written

GEOMETRY = Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01)
RECIPE: dict[str, Any] = {
    "rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}],
    "masks": {"from_data": False},
    "fit": {"ages": 3},
    "denoise": {"enabled": False},
}
FRAMES = simulate_frames(SpeckleModel((40, 40), GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=2.0, seed=4), 90)


class Frames:
    """Frames in memory as a source; some cannot be read, and there may be another way to them."""

    def __init__(
        self,
        frames: np.ndarray,
        *,
        damaged: tuple[int, ...] = (),
        other: "Frames | None" = None,
        types: tuple[type, ...] = (np.uint16,),
        step: int = 17,
        **facts: Any,
    ) -> None:
        geometry = {name: Found(getattr(GEOMETRY, name), "test") for name in GEOMETRY_UNITS}
        self.frames, self.damaged, self.other, self.types, self.step = frames, damaged, other, types, step
        self.facts = RunFacts("1a2b3c4d-0000", "camera_image", frames.shape, geometry=geometry, **facts)
        self.dtype: np.dtype[Any] = frames.dtype

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, stop, self.step * stride):
            numbers = range(first, min(first + self.step * stride, stop), stride)
            for number in numbers:
                if number in self.damaged:
                    raise DamagedFrames(f"frame {number} cannot be read.", number, number + 1)
                if self.damaged:
                    yield number, self.frames[number : number + 1]
            if not self.damaged:
                kind = self.types[min(first // 40, len(self.types) - 1)]
                yield first, self.frames[numbers.start : numbers.stop : stride].astype(kind)

    def pixel_mask(self) -> np.ndarray | None:
        return None

    def fallback(self) -> "Frames | None":
        return self.other


def gathered(source: Frames, **recipe: Any) -> Gathered:
    return gather(source, plan(source.facts, parse_recipe({**RECIPE, **recipe})), no_progress)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


def test_blocks_of_any_length_give_the_same() -> None:
    whole, single = gathered(Frames(FRAMES, step=90)), gathered(Frames(FRAMES, step=1))

    np.testing.assert_array_equal(whole.counts, single.counts)
    np.testing.assert_array_equal(whole.statistics.total, single.statistics.total)
    assert whole.counts.dtype == np.uint8


def test_frames_of_a_file_read_twice_are_found_and_left_out(ensemble: Ensemble) -> None:
    """The defect of the beamline's handler: the first file comes again in place of the others."""
    repeated = FRAMES.copy()
    repeated[30:60] = FRAMES[:30]
    repeated[60:] = FRAMES[:30]
    analysis = analyse(Frames(repeated, frames_per_file=30), parse_recipe(RECIPE), ensemble)

    assert np.flatnonzero(analysis.arrays["bad_frames"]).tolist() == list(range(30, 90))
    (sentence,) = (one for one in analysis.warnings if "repeat earlier ones" in one)
    assert sentence.startswith("60 of 90 frames repeat earlier ones, frames 30 to 89 (detector files hold 30 each)")
    np.testing.assert_array_equal(
        analysis.arrays["two_time"][:, :30, :30],
        analyse(Frames(FRAMES[:30]), parse_recipe(RECIPE), ensemble).arrays["two_time"],
    )


def test_repeated_frames_are_read_by_another_way_where_there_is_one(ensemble: Ensemble) -> None:
    repeated = FRAMES.copy()
    repeated[45:] = FRAMES[:45]
    analysis = analyse(Frames(repeated, other=Frames(FRAMES)), parse_recipe(RECIPE), ensemble)

    assert not analysis.arrays["bad_frames"].any()
    assert any("read from the detector's own files instead" in warning for warning in analysis.warnings)


def test_frames_of_hardly_any_counts_are_no_repetition() -> None:
    dark = np.zeros_like(FRAMES)
    dark[:, 20, 20] = 1

    assert gathered(Frames(dark)).repeated == 0


def test_damaged_frames_are_named_and_the_others_analysed(ensemble: Ensemble) -> None:
    analysis = analyse(Frames(FRAMES, damaged=(0, 41, 42, 89)), parse_recipe(RECIPE), ensemble)

    assert np.flatnonzero(analysis.arrays["bad_frames"]).tolist() == [0, 41, 42, 89]
    assert "Frame 41 was left out: frame 41 cannot be read." in analysis.warnings
    reference = analyse(Frames(FRAMES), parse_recipe({**RECIPE, "frames": {"exclude": [0, 41, 42, 89]}}), ensemble)
    np.testing.assert_array_equal(analysis.arrays["two_time"], reference.arrays["two_time"])


def test_recipe_may_demand_that_every_frame_is_sound() -> None:
    with pytest.raises(DamagedFrames, match="frame 41 cannot be read"):
        gathered(Frames(FRAMES, damaged=(41,)), frames={"on_damage": "stop"})
    repeated = FRAMES.copy()
    repeated[80] = FRAMES[3]
    with pytest.raises(DamagedFrames, match="1 of 90 frames repeat earlier ones, frame 80"):
        gathered(Frames(repeated), frames={"on_damage": "stop"})


def test_run_without_a_readable_frame_is_refused() -> None:
    with pytest.raises(UnusableRun, match="No frame of run 1a2b3c4d can be read"):
        gathered(Frames(FRAMES[:3], damaged=(0, 1, 2)))


def test_saturation_is_judged_by_the_type_of_each_block() -> None:
    """The camera changes its bit depth with the exposure, and with it the mark of gaps and saturation."""
    marked = FRAMES.astype(np.uint32)
    marked[:40, 5, 5], marked[40:, 5, 5] = 65535, 2**32 - 1
    marked[7, 6, 6] = 65535
    marked[60, 7, 7] = 65535
    source = Frames(marked, types=(np.uint16, np.uint32), step=20)

    found = gathered(source)

    assert np.argwhere(found.statistics.saturated).tolist() == [[5, 5], [6, 6]]
    assert found.statistics.maximum[7, 7] == 65535
    assert any("uint16 from frame 0, uint32 from frame 40" in warning for warning in found.warnings)


@pytest.mark.parametrize("mark", [np.uint8, np.uint16, np.uint32])
def test_marks_of_every_type_are_masked(mark: type, ensemble: Ensemble) -> None:
    frames = np.minimum(FRAMES, 200).astype(mark)
    frames[:, :, 10] = np.iinfo(mark).max

    arrays = analyse(Frames(frames, types=(mark,)), parse_recipe(RECIPE), ensemble).arrays

    assert not arrays["mask"][:, 10].any()
    assert arrays["mask"][:, 11].all()


def test_frames_are_added_before_they_are_correlated(ensemble: Ensemble) -> None:
    recipe = parse_recipe({**RECIPE, "frames": {"bin": 4, "find_bad": False}})
    analysis = analyse(Frames(FRAMES), recipe, ensemble)
    added = FRAMES[:88].reshape(22, 4, 40, 40).sum(axis=1)

    labels = analysis.arrays["roi_labels"]
    for r, c2 in enumerate(analysis.arrays["two_time"], start=1):
        np.testing.assert_allclose(c2, two_time(added[:, labels == r]), rtol=1e-6)
    assert analysis.arrays["frame_number"].tolist() == list(range(0, 88, 4))
    assert analysis.tables["g2"]["lag_s"][0] == pytest.approx(0.04)


@pytest.mark.parametrize("kind", ["azimuthal", "smoothed"])
def test_counts_are_divided_by_the_static_image(kind: Any, ensemble: Ensemble) -> None:
    """A sample that scatters unevenly raises C2 everywhere; divided by its static image the baseline is back at 1."""
    rows, columns = np.mgrid[:40, :40]
    radius = np.hypot(rows + 30, columns - 20)
    uneven = np.random.default_rng(1).poisson(2 * FRAMES * (60 / radius) ** 4).astype(np.uint16)
    baselines = {}
    for name in ("frame", kind):
        arrays = analyse(Frames(uneven), parse_recipe({**RECIPE, "normalisation": name}), ensemble).arrays
        baselines[name] = np.nanmean(arrays["two_time"][0][np.triu_indices(90, 60)])

    assert baselines["frame"] > 1.05
    assert abs(baselines[kind] - 1) < 0.2 * (baselines["frame"] - 1)
    labels = arrays["roi_labels"]
    image = static_image(arrays["mean_frame"], arrays["mask"], radius, kind)
    own = labels == 1
    np.testing.assert_allclose(arrays["two_time"][0], two_time(uneven[:, own], flat=image[own]), rtol=1e-5)


def test_flux_is_the_sum_of_each_whole_frame_but_its_marks(ensemble: Ensemble) -> None:
    flicker = np.random.default_rng(2).uniform(0.7, 1.3, 90)[:, None, None]
    frames = np.random.default_rng(3).poisson(5 * FRAMES * flicker).astype(np.uint16)
    recipe = parse_recipe({**RECIPE, "frames": {"find_bad": False}, "normalisation": "flux"})
    marked = frames.copy()
    marked[:, 0, :] = 65535

    arrays = analyse(Frames(marked), recipe, ensemble).arrays

    own = arrays["roi_labels"] == 1
    flux = frames[:, 1:].sum(axis=(1, 2)).astype(float)
    np.testing.assert_allclose(arrays["two_time"][0], two_time(frames[:, own], flux=flux), rtol=1e-6)


@pytest.mark.parametrize("orientation", ["flipped", "flipped and turned"])
def test_frames_as_written_give_what_upright_ones_give(orientation: Any, ensemble: Ensemble) -> None:
    upright = FRAMES.copy()
    upright[:, 3:5] = 65535
    written = as_written(upright, orientation)
    reference = analyse(Frames(upright), parse_recipe(RECIPE), ensemble)
    given = {"geometry": {"beam_center_y": GEOMETRY.beam_center_y, "beam_center_x": GEOMETRY.beam_center_x}}

    turned = analyse(Frames(written, orientation=orientation), parse_recipe({**RECIPE, **given}), ensemble)

    for name, array in reference.arrays.items():
        np.testing.assert_array_equal(turned.arrays[name], array, err_msg=name)


def test_counts_that_exceed_memory_lie_in_a_file_and_are_the_same(
    ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    bright = FRAMES.copy()
    bright[70] *= 200
    recipe = parse_recipe({**RECIPE, "frames": {"find_bad": False}})
    inside = analyse(Frames(bright), recipe, ensemble)
    monkeypatch.setattr(gathering, "IN_MEMORY_BYTES", 1000)

    found = gathered(Frames(bright))
    outside = analyse(Frames(bright), recipe, ensemble)

    assert isinstance(found.counts, np.memmap)
    assert found.counts.dtype == np.uint16
    np.testing.assert_array_equal(outside.arrays["two_time"], inside.arrays["two_time"])
