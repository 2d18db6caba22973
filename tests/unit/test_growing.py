"""A scan followed while it runs ends with the numbers that its analysis gives."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.memory import GEOMETRY, Frames

from cnn_ed import Ensemble
from twotime.live.growing_analysis import GrowingAnalysis
from twotime.pipeline import Plan, analyse, plan
from twotime.pipeline.tables import fits_table, g2_table
from twotime.recipe import parse_recipe
from twotime.simulate import SpeckleModel, simulate_frames

RECIPE: dict[str, Any] = {"rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}], "fit": {"ages": 3}}
FRAMES = simulate_frames(SpeckleModel((40, 40), GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=2.0, seed=4), 153)
FRAMES[100] //= 4  # a beam loss
FRAMES[:, 30, 20] = 5000  # a hot pixel
EXACT = ("relaxation_rate", "relaxation_rate_error", "beta", "baseline", "alpha", "contrast", "mean_counts")


def moved_for_a_while() -> np.ndarray:
    """A slow sample; frames 90 to 92 show other speckle."""
    model = SpeckleModel((40, 40), GEOMETRY, diffusion=6e4, contrast=0.3, mean_counts=2.0, seed=4)
    frames = simulate_frames(model, 153)
    frames[90:93] = np.roll(frames[90:93, ::-1], 7, axis=2)
    return frames


def planned(n_frames: int, **recipe: Any) -> Plan:
    facts = replace(Frames(FRAMES, detector="camera_image").facts, shape=(n_frames, 40, 40))
    return plan(facts, parse_recipe({**RECIPE, **recipe}))


def follow(growing: GrowingAnalysis, frames: np.ndarray, step: int, looks: int) -> None:
    for number, first in enumerate(range(0, len(frames), step)):
        growing.take(first, frames[first : first + step])
        if number % looks == 0:
            growing.grown()


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


@pytest.mark.parametrize("recipe", [{}, {"normalisation": "azimuthal"}, {"frames": {"bin": 2}}])
@pytest.mark.parametrize("frames", [FRAMES, moved_for_a_while()], ids=["losses", "excursion"])
def test_what_grew_equals_the_analysis_of_the_whole(
    ensemble: Ensemble, recipe: dict[str, Any], frames: np.ndarray
) -> None:
    whole = analyse(Frames(frames, detector="camera_image"), parse_recipe({**RECIPE, **recipe}), ensemble)
    growing = GrowingAnalysis(planned(len(frames), **recipe), ensemble)

    follow(growing, frames, 7, 3)
    grown = growing.grown()

    assert grown is not None
    fits = fits_table(grown.reading, grown.results, grown.plan.frame_time_s)
    for name in EXACT:
        np.testing.assert_allclose(fits[name], whole.tables["fits"][name], rtol=1e-5, err_msg=name)
    assert list(fits["headline"]) == list(whole.tables["fits"]["headline"])
    g2 = g2_table(grown.reading.rois, grown.results, grown.plan.frame_time_s)
    for name in ("g2_raw", "g2_denoised", "g2_raw_error"):
        np.testing.assert_allclose(g2[name], whole.tables["g2"][name], rtol=1e-5, err_msg=name)
    for r, result in enumerate(grown.results):
        np.testing.assert_allclose(result.c2, whole.arrays["two_time"][r], rtol=1e-6)
    np.testing.assert_array_equal(grown.reading.bad, whole.arrays["bad_frames"])
    moved = [[line for line in warnings if "had moved" in line] for warnings in (grown.warnings, whole.warnings)]
    assert moved[0] == moved[1]


def test_scan_that_ended_early_is_handed_over_with_the_frames_it_has(ensemble: Ensemble) -> None:
    growing = GrowingAnalysis(planned(500), ensemble)

    follow(growing, FRAMES, 20, 100)
    gathered = growing.finished(planned(len(FRAMES)))

    assert gathered.counts.shape[0] == gathered.statistics.n_frames == len(FRAMES)
    assert growing.room == 500 - len(FRAMES)


def test_too_few_frames_say_nothing_yet(ensemble: Ensemble) -> None:
    growing = GrowingAnalysis(planned(100), ensemble)
    growing.take(0, FRAMES[:9])

    assert growing.grown() is None


def test_looking_that_takes_too_long_is_coarsened_with_a_word(ensemble: Ensemble) -> None:
    growing = GrowingAnalysis(planned(153), ensemble, longest_look_s=0.0)
    growing.take(0, FRAMES[:120])

    first, second = growing.grown(), growing.grown()

    assert first is not None
    assert second is not None
    assert (len(first.results[0].c2), len(second.results[0].c2)) == (120, 60)
    assert second.warnings[0] == "Live numbers add every 2 frames to one; the final ones will not."


def test_plan_with_other_rois_is_refused(ensemble: Ensemble) -> None:
    growing = GrowingAnalysis(planned(153), ensemble)
    growing.take(0, FRAMES)

    with pytest.raises(ValueError, match="other ROIs"):
        growing.finished(planned(153, rois=[{"unit": "pixel", "edges": [[36, 45]]}]))
