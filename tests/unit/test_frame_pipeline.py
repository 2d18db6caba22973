"""The route of denoised frames on frames in memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from frame_denoiser import FrameDenoiser
from twotime.columns import COLUMNS
from twotime.errors import Cancelled, DamagedFrames, RecipeError, UnusableRun
from twotime.pipeline import ScanVariable, analysis_of, denoise_frames, plan, plan_frames
from twotime.recipe import FrameRecipe, Recipe, RunFacts, parse_recipe
from twotime.results import Analysis, nodes_of
from twotime.weights import Models

SHAPE = (48, 64)
PEAK = (20, 40)
BOX = {"rows": [14, 27], "columns": [34, 47]}
BESIDE = {"kind": "polygon", "vertices": [[2, 2], [2, 12], [12, 12], [12, 2]]}


class Frames:
    """Frames in memory as a source, in blocks of 5; at the frame `damaged` they cannot be read."""

    def __init__(self, frames: np.ndarray, damaged: int | None = None, **facts: Any) -> None:
        self.frames = frames
        self.facts = RunFacts("1a2b3c4d-0000", "camera_image", frames.shape, **facts)
        self.dtype: np.dtype[Any] = frames.dtype
        self.damaged = damaged

    def blocks(self, start: int, stop: int, stride: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(start, stop, 5 * stride):
            numbers = range(first, min(first + 5 * stride, stop), stride)
            if self.damaged in numbers:
                before = numbers[: numbers.index(self.damaged)]
                if before:
                    yield first, self.frames[before]
                raise DamagedFrames("a chunk is damaged.", self.damaged, self.damaged + 1)
            yield first, self.frames[numbers]

    def pixel_mask(self) -> np.ndarray | None:
        return None

    def fallback(self) -> "Frames | None":
        return None


def peaked(n_frames: int, brightness: float = 60.0, dtype: type = np.uint16) -> np.ndarray:
    """Counts of a flat background of 0.4 and a Gaussian peak that grows over the frames."""
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    shape = np.exp(-((row - PEAK[0]) ** 2 + (column - PEAK[1]) ** 2) / (2 * 1.8**2))
    grown = np.linspace(0, 1, n_frames)[:, None, None] * brightness * shape / shape.sum()
    return np.random.default_rng(5).poisson(0.4 + grown).astype(dtype)


def recipe(**fields: object) -> FrameRecipe:
    found = parse_recipe({"kind": "frames", **fields})
    assert isinstance(found, FrameRecipe)
    return found


@pytest.fixture(scope="module")
def denoiser() -> FrameDenoiser:
    return FrameDenoiser.load()


@pytest.fixture(scope="module")
def analysis(denoiser: FrameDenoiser) -> Analysis:
    temperature = ScanVariable("temperature", "K", np.arange(12.0))
    wanted = recipe(frames={"sum": 2}, regions=[BOX, BESIDE], peaks={"significance": 4})
    return denoise_frames(Frames(peaked(12)), wanted, denoiser, scan_variable=lambda _: temperature)


def test_every_node_has_the_axes_it_announces(analysis: Analysis) -> None:
    assert {node.name for node in nodes_of("frames")} == set(analysis.arrays) | set(analysis.tables)
    sizes = {"frame": 6, "row": SHAPE[0], "column": SHAPE[1]}
    for node in nodes_of("frames"):
        if not node.is_table:
            assert analysis.arrays[node.name].shape == tuple(sizes[axis] for axis in node.axes)
    assert analysis.kind == "frames"


def test_columns_of_the_tables_are_those_that_are_described(analysis: Analysis) -> None:
    for name, table in analysis.tables.items():
        assert set(table.columns) == set(COLUMNS[name])


def test_raw_frames_are_the_sums_of_consecutive_frames(analysis: Analysis) -> None:
    frames = peaked(12)

    np.testing.assert_array_equal(analysis.arrays["frames_raw"], frames[::2].astype(int) + frames[1::2])
    assert analysis.arrays["frame_number"].tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_allclose(analysis.arrays["mean_frame"], frames.mean(axis=0), rtol=1e-6)


def test_residual_is_what_denoising_took_away(analysis: Analysis) -> None:
    raw, rate, error = (analysis.arrays[name] for name in ("frames_raw", "rate", "rate_error"))

    np.testing.assert_allclose(analysis.arrays["residual"], (raw - rate) / np.sqrt(rate + error**2), rtol=1e-4)


def test_counts_of_regions_are_sums_over_their_pixels(analysis: Analysis) -> None:
    regions = analysis.tables["regions"]
    box = regions[regions["region"] == 1]
    raw = analysis.arrays["frames_raw"][:, 14:27, 34:47].sum(axis=(1, 2))

    assert box["counts"].tolist() == raw.tolist()
    assert box["n_pixels"].tolist() == [169] * 6
    np.testing.assert_allclose(box["counts_error"], np.sqrt(raw))
    assert box["scan_value"].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]


def test_peak_is_found_where_it_is_and_its_counts_within_their_error(analysis: Analysis) -> None:
    last = analysis.tables["peaks"].query("frame == 5").iloc[0]
    true = 60.0 * (10 + 11) / 11

    assert np.hypot(last["row"] - PEAK[0], last["column"] - PEAK[1]) < 1.5
    assert abs(last["counts"] - true) < 3 * last["counts_error"]
    assert last["significance"] > 4


def test_verdict_tells_which_region_changes(analysis: Analysis) -> None:
    codes = {(one["code"], *one["rois"]) for one in analysis.resolved["verdict"]}
    sentences = " ".join(one["sentence"] for one in analysis.resolved["verdict"])

    assert {("region_changes", 1), ("region_constant", 2), ("peaks",)} <= codes
    assert "The counts of region 1 change with temperature: from " in sentences
    assert " K (χ²" in sentences


def test_same_frames_give_the_same_numbers_however_they_are_cut_into_blocks(denoiser: FrameDenoiser) -> None:
    frames = peaked(7)
    one, other = (denoise_frames(Frames(frames, damaged), recipe(), denoiser) for damaged in (None, 100))

    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


def test_marked_pixels_are_masked_and_their_rate_filled_in(denoiser: FrameDenoiser) -> None:
    frames = peaked(2)
    frames[1, 20, 40] = 65535
    analysis = denoise_frames(Frames(frames), recipe(), denoiser)

    assert not analysis.arrays["mask"][20, 40]
    assert np.count_nonzero(~analysis.arrays["mask"]) == 1
    assert (analysis.arrays["frames_raw"][:, 20, 40] == 0).all()
    assert np.isfinite(analysis.arrays["rate"][:, 20, 40]).all()
    assert np.isnan(analysis.arrays["residual"][:, 20, 40]).all()
    assert analysis.warnings == ["1 of 3072 pixels were masked for their values, and their rates filled in."]


def test_pixels_that_are_dead_or_hot_among_their_neighbours_are_masked(denoiser: FrameDenoiser) -> None:
    frames = peaked(60)
    frames[:, 5, 6], frames[:, 30, 9] = 0, 40
    frames[:, :, 50:53] = 65535
    masked = {(5, 6), (30, 9)} | {(row, column) for row in range(SHAPE[0]) for column in range(50, 53)}
    wanted = {"frames": {"sum": 30}, "peaks": {"find": False}}
    found, all_of_them = (
        denoise_frames(Frames(frames), recipe(**wanted, **more), denoiser).arrays["mask"]
        for more in ({}, {"masks": {"isolated": False}})
    )

    assert {(int(row), int(column)) for row, column in np.argwhere(~found)} == masked
    assert np.count_nonzero(~all_of_them) == len(masked) - 2


def test_frames_are_seen_as_the_detector_is_turned(denoiser: FrameDenoiser) -> None:
    frames = peaked(1)
    analysis = denoise_frames(Frames(frames, orientation="flipped"), recipe(), denoiser)

    np.testing.assert_array_equal(analysis.arrays["frames_raw"][0], frames[0, ::-1])


def test_damaged_frame_is_left_out_of_its_sum(denoiser: FrameDenoiser) -> None:
    frames = peaked(6)
    analysis = denoise_frames(Frames(frames, damaged=3), recipe(frames={"sum": 2}), denoiser)

    np.testing.assert_array_equal(analysis.arrays["frames_raw"][1], frames[2])
    assert analysis.tables["frames"]["frames_summed"].tolist() == [2, 1, 2]
    assert analysis.warnings[0] == "Frame 3 could not be read: a chunk is damaged."
    assert "1 sums hold fewer than 2 frames" in analysis.warnings[1]
    with pytest.raises(DamagedFrames):
        denoise_frames(Frames(frames, damaged=3), recipe(frames={"on_damage": "stop"}), denoiser)


def test_excluded_frames_leave_the_others_at_their_place_in_the_scan(denoiser: FrameDenoiser) -> None:
    wanted = recipe(frames={"sum": 2, "exclude": [2, 3]})
    temperature = ScanVariable("temperature", "K", np.arange(6.0))
    analysis = denoise_frames(Frames(peaked(6)), wanted, denoiser, scan_variable=lambda _: temperature)

    assert analysis.tables["frames"]["frame_number"].tolist() == [0, 4]
    assert analysis.tables["frames"]["scan_value"].tolist() == [0.5, 4.5]


def test_gain_turns_values_into_photons(denoiser: FrameDenoiser) -> None:
    frames = peaked(2)
    values = frames * 7.3
    with pytest.raises(RecipeError, match="no number of photons; give gain"):
        denoise_frames(Frames(values), recipe(), denoiser)

    analysis = denoise_frames(Frames(values), recipe(gain=7.3), denoiser)
    np.testing.assert_array_equal(analysis.arrays["frames_raw"], frames)


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (np.zeros((2, *SHAPE), np.uint16), "All frames of run 1a2b3c4d are zero"),
        (np.full((2, *SHAPE), 65535, np.uint16), "No pixel of run 1a2b3c4d can be used"),
        (np.full((2, *SHAPE), np.nan), "No pixel of run 1a2b3c4d can be used"),
        (np.full((2, *SHAPE), -1, np.int32), "No pixel of run 1a2b3c4d can be used"),
        (np.ones((2, 1, 40), np.uint16), "Frame 0 cannot be denoised: counts has shape (1, 40)"),
    ],
)
def test_frames_that_hold_nothing_are_refused(denoiser: FrameDenoiser, frames: np.ndarray, sentence: str) -> None:
    with pytest.raises(UnusableRun) as error:
        denoise_frames(Frames(frames), recipe(), denoiser)

    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"regions": [BOX, BOX]}, "regions: region 2 (box rows 14 to 27, columns 34 to 47) overlaps region 1"),
        ({"regions": [{"rows": [0, 4], "columns": [60, 65]}]}, "regions: box has columns [60, 65]"),
        ({"regions": [BOX], "masks": {"boxes": [BOX]}}, "holds no pixel outside the mask"),
        ({"masks": {"boxes": [{"rows": [0, 49], "columns": [0, 4]}]}}, "masks.boxes.0.rows is [0, 49]"),
    ],
)
def test_plan_refuses_what_does_not_fit_the_detector(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        plan_frames(Frames(peaked(2)).facts, recipe(**fields))

    assert sentence in str(error.value)


def test_plan_says_how_many_frames_fit_the_memory() -> None:
    facts = RunFacts("1a2b3c4d-0000", "camera_image", (100, 2000, 2000))

    with pytest.raises(
        RecipeError, match=r"100 frames of 2000 x 2000 pixels need 7.45 GiB, .* enough for 13; add more"
    ):
        plan_frames(facts, recipe(), budget_bytes=2**30)
    assert plan_frames(facts, recipe(frames={"sum": 10}), budget_bytes=2**30).n_frames == 10


def test_frames_of_no_whole_sum_are_told(denoiser: FrameDenoiser) -> None:
    analysis = denoise_frames(Frames(peaked(5)), recipe(frames={"sum": 2}), denoiser)

    assert len(analysis.tables["frames"]) == 2
    assert analysis.warnings == ["The last 1 frames make no whole sum of 2 and were left out."]


def test_denoised_frames_are_neither_correlated_nor_denoised_again() -> None:
    facts = Frames(peaked(2), denoised="attribute twotime_denoised_frames of rate.h5").facts

    with pytest.raises(UnusableRun, match=r"holds denoised frames \(attribute .*\), which have no speckle left"):
        plan(facts, Recipe())
    with pytest.raises(UnusableRun, match="denoise the frames as the detector wrote them"):
        plan_frames(facts, recipe())


def test_kind_of_the_recipe_chooses_the_route(denoiser: FrameDenoiser) -> None:
    analysis = analysis_of(Frames(peaked(2)), recipe(), Models())

    assert analysis.kind == "frames"
    assert analysis.versions["frame_denoiser"] == denoiser.version


def test_progress_can_stop_the_analysis(denoiser: FrameDenoiser) -> None:
    def stop(stage: str, fraction: float) -> None:
        if stage == "denoising" and fraction > 0:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        denoise_frames(Frames(peaked(3)), recipe(), denoiser, stop)
