"""Frames denoised while a scan runs are those that its analysis denoises."""

from typing import Any

import numpy as np
import pytest
from tests.memory import Frames

from frame_denoiser import FrameDenoiser
from twotime.errors import UnusableRun
from twotime.live.display import DENOISED_EDGE, denoised_arrays, denoised_numbers
from twotime.live.growing_frames import GrowingFrames
from twotime.pipeline import denoise_frames, plan_frames
from twotime.recipe import FrameRecipe, parse_recipe

SHAPE = (32, 48)
REGION = {"rows": [8, 21], "columns": [20, 33]}


@pytest.fixture(scope="module")
def denoiser() -> FrameDenoiser:
    return FrameDenoiser.load()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Twelve frames of a peak."""
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = 8 * np.exp(-((row - 14) ** 2 + (column - 26) ** 2) / 6)
    return np.random.default_rng(3).poisson(0.3 + peak, (12, *SHAPE)).astype(np.uint16)


def growing(denoiser: FrameDenoiser, frames: np.ndarray, /, **fields: Any) -> GrowingFrames:
    return GrowingFrames(plan_frames(Frames(frames, None, detector="camera_image").facts, recipe(**fields)), denoiser)


def recipe(**fields: Any) -> FrameRecipe:
    found = parse_recipe({"kind": "frames", "frames": {"sum": 3}, "regions": [REGION], **fields})
    assert isinstance(found, FrameRecipe)
    return found


def test_last_frame_of_a_scan_is_the_one_of_its_analysis(denoiser: FrameDenoiser, frames: np.ndarray) -> None:
    one = growing(denoiser, frames)
    found = []
    for first in range(0, 12, 2):
        one.take(first, frames[first : first + 2])
        found.append(one.newest())
    analysis = denoise_frames(Frames(frames, None, detector="camera_image"), recipe(), denoiser)

    last = found[-1]
    assert last is not None
    np.testing.assert_array_equal(last.denoised.counts, analysis.arrays["frames_raw"][3])
    np.testing.assert_array_equal(last.denoised.rate, analysis.arrays["rate"][3])
    np.testing.assert_array_equal(last.denoised.error, analysis.arrays["rate_error"][3])
    np.testing.assert_array_equal(last.mask, analysis.arrays["mask"])
    for name in ("counts", "counts_denoised", "counts_denoised_error"):
        np.testing.assert_allclose(last.tables["regions"][name], analysis.tables["regions"][name], rtol=1e-6)
    own = analysis.tables["peaks"].query("frame == 3")
    np.testing.assert_array_equal(last.tables["peaks"]["row"], own["row"])


def test_first_sum_is_shown_while_it_grows_and_counts_once(denoiser: FrameDenoiser, frames: np.ndarray) -> None:
    one = growing(denoiser, frames)
    places = []
    for number in range(7):
        one.take(number, frames[number : number + 1])
        found = one.newest()
        places.append(None if found is None else (found.place.frame, found.place.summed))
    assert places == [(0, 1), (0, 2), (0, 3), None, None, (1, 3), None]
    assert found is None
    one.take(7, frames[7:9])
    last = one.newest()
    assert last is not None
    assert last.tables["frames"]["frame"].tolist() == [0, 1, 2]


def test_nothing_is_shown_twice_or_before_the_first_frame(denoiser: FrameDenoiser, frames: np.ndarray) -> None:
    one = growing(denoiser, frames)
    assert one.newest() is None
    one.take(0, frames[:3])
    assert one.newest() is not None
    assert one.newest() is None


def test_frames_left_out_and_frames_after_the_last_whole_sum_do_not_count(
    denoiser: FrameDenoiser, frames: np.ndarray
) -> None:
    one = growing(denoiser, frames, frames={"sum": 5, "exclude": [6]})
    one.take(0, frames)
    last = one.newest()
    assert last is not None
    assert (last.place.frame, last.place.number, last.place.summed) == (1, 5, 4)
    np.testing.assert_array_equal(last.denoised.counts, frames[[5, 7, 8, 9]].sum(axis=0))


def test_tables_stay_bounded(denoiser: FrameDenoiser, frames: np.ndarray) -> None:
    the_plan = plan_frames(Frames(frames, None, detector="camera_image").facts, recipe(frames={"sum": 1}))
    one = GrowingFrames(the_plan, denoiser, most_rows=4)
    for number in range(len(frames)):
        one.take(number, frames[number : number + 1])
        last = one.newest()
    assert last is not None
    assert last.tables["frames"]["frame"].tolist() == [7, 8, 9, 10, 11]


def test_saturated_frames_say_that_no_pixel_is_left(denoiser: FrameDenoiser) -> None:
    frames = np.full((3, *SHAPE), 65535, np.uint16)
    one = growing(denoiser, frames)
    one.take(0, frames)
    with pytest.raises(UnusableRun, match="No pixel of run 1a2b3c4d can be used so far"):
        one.newest()


def test_screen_gets_small_pictures_with_their_scale(denoiser: FrameDenoiser) -> None:
    frames = np.random.default_rng(1).poisson(2, (1, 2 * DENOISED_EDGE, 40)).astype(np.uint16)
    frames[:, 100:110] = 65535
    one = growing(denoiser, frames, frames={"sum": 1}, regions=[])
    one.take(0, frames)
    last = one.newest()
    assert last is not None
    arrays, numbers = denoised_arrays(last), denoised_numbers(last)
    assert {array.shape for array in arrays.values()} == {(DENOISED_EDGE, 20)}
    assert (numbers["frame_step"], numbers["frame_shape"]) == (2, [2 * DENOISED_EDGE, 40])
    assert np.isnan(arrays["frame_raw"][50:55]).all()
    assert np.isfinite(arrays["frame_rate"]).all()
