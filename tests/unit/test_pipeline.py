"""The whole route on frames in memory."""

from typing import Any

import numpy as np
import pytest
from tests.memory import GEOMETRY, Frames

from cnn_ed import Ensemble
from twotime.errors import Cancelled, RecipeError, UnusableRun
from twotime.pipeline import analyse, plan
from twotime.pipeline.one_roi import _age_fits, _raw_curve
from twotime.recipe import FitOptions, parse_recipe
from twotime.results import nodes_of
from twotime.simulate import SpeckleModel, simulate_frames
from twotime.xpcs import Geometry, two_time

RECIPE = {"rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}], "masks": {"from_data": False}, "fit": {"ages": 3}}


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    model = SpeckleModel((40, 40), GEOMETRY, diffusion=6e5, contrast=0.3, mean_counts=2.0, seed=4)
    return simulate_frames(model, 90)


def test_every_node_has_the_axes_it_announces(ensemble: Ensemble, frames: np.ndarray) -> None:
    analysis = analyse(Frames(frames), parse_recipe(RECIPE), ensemble)

    assert {node.name for node in nodes_of("xpcs")} == set(analysis.arrays) | set(analysis.tables) | {"fits_variant"}
    sizes = {"roi": 2, "frame": 90, "frame_1": 90, "frame_2": 90, "row": 40, "column": 40, "lag": 90}
    for node in nodes_of("xpcs"):
        if not node.is_table:
            assert analysis.arrays[node.name].shape == tuple(sizes[axis] for axis in node.axes)
    assert len(analysis.tables["fits"]) == 2
    assert len(analysis.tables["fits_age"]) == 6
    assert analysis.tables["g2"].groupby("roi").size().tolist() == [67, 67]
    assert analysis.versions["ensemble"] == ensemble.version


def test_simulated_rates_come_out_within_their_errors(ensemble: Ensemble, frames: np.ndarray) -> None:
    fits = analyse(Frames(frames), parse_recipe(RECIPE), ensemble).tables["fits"]

    true = 6e5 * fits["q"] ** 2
    assert (np.abs(fits["raw_relaxation_rate"] - true) < 4 * fits["raw_relaxation_rate_error"]).all()
    assert (np.abs(fits["denoised_relaxation_rate"] - true) < 4 * fits["denoised_relaxation_rate_error"]).all()
    np.testing.assert_allclose(fits["raw_relaxation_rate_per_frame"], 0.01 * fits["raw_relaxation_rate"])


def test_curves_are_the_mean_diagonals_of_the_published_two_time_functions(
    ensemble: Ensemble, frames: np.ndarray
) -> None:
    # By default the fitted denoised curve has another scale than the picture, and beyond 14 lags blocks have a share.
    # The picture follows the measured curve where that is certain, by less than a tenth of a percent here.
    recipe = parse_recipe(RECIPE | {"denoise": {"contrast": "window"}})
    analysis = analyse(Frames(frames), recipe, ensemble)

    g2 = analysis.tables["g2"]
    curves = (("two_time", "g2_raw", 67, 1e-5), ("two_time_denoised", "g2_denoised", 14, 1e-3))
    for name, column, longest, tolerance in curves:
        rows = g2[g2["lag_frames"] <= longest]
        assert len(rows) == 2 * longest
        two_times = analysis.arrays[name]
        expected = [
            np.nanmean(np.diagonal(two_times[roi - 1], lag))
            for roi, lag in zip(rows["roi"], rows["lag_frames"], strict=True)
        ]
        np.testing.assert_allclose(rows[column], expected, rtol=tolerance)
    np.testing.assert_allclose(g2["lag_s"], 0.01 * g2["lag_frames"])


def test_ages_are_means_of_both_times_in_frames_and_seconds(ensemble: Ensemble, frames: np.ndarray) -> None:
    ages = analyse(Frames(frames), parse_recipe(RECIPE), ensemble).tables["fits_age"]

    assert ages["age_frames"].tolist() == [15, 45, 75] * 2
    np.testing.assert_allclose(ages["age_s"], 0.01 * ages["age_frames"])


def test_headline_is_raw_or_denoised_and_says_why(ensemble: Ensemble, frames: np.ndarray) -> None:
    for row in analyse(Frames(frames), parse_recipe(RECIPE), ensemble).tables["fits"].to_dict("records"):
        assert row["relaxation_rate"] == row[f"{row['headline']}_relaxation_rate"]
        assert row["headline"] == "estimate"
        assert row["relaxation_rate"] == row["estimate_relaxation_rate"]
        low, high = row["estimate_relaxation_rate_low_68"], row["estimate_relaxation_rate_high_68"]
        assert low < row["relaxation_rate"] < high
        assert row["relaxation_rate_error"] == pytest.approx((high - low) / 2)


def test_denoised_errors_are_those_of_the_calibration(ensemble: Ensemble, frames: np.ndarray) -> None:
    fits = analyse(Frames(frames), parse_recipe(RECIPE), ensemble).tables["fits"]

    assert ensemble.calibration is not None
    relative = (fits["denoised_relaxation_rate_error"] / fits["denoised_relaxation_rate"]).to_numpy()
    noise, nothing = fits["denoised_input_noise"].to_numpy(), np.full((len(fits), 4), 1e-3)
    rate = fits["denoised_relaxation_rate_per_frame"].to_numpy() * fits["denoised_stride"].to_numpy()
    assert (relative >= ensemble.calibration.errors(rate, noise, nothing, windows=1e6)[:, 0]).all()
    for i, name in enumerate(("relaxation_rate", "beta", "baseline", "alpha")):
        np.testing.assert_allclose(
            fits[f"denoised_covariance_{name}_{name}"], fits[f"denoised_{name}_error"] ** 2, rtol=1e-6, err_msg=str(i)
        )


def test_fixed_parameters_stay_without_error_after_calibration(ensemble: Ensemble, frames: np.ndarray) -> None:
    recipe = parse_recipe({**RECIPE, "fit": {"fixed": {"baseline": 1.0}, "ages": 0}})
    fits = analyse(Frames(frames), recipe, ensemble).tables["fits"]

    assert (fits["denoised_baseline_error"] == 0).all()
    assert (fits["denoised_relaxation_rate_error"] > 0).all()


def test_fewer_than_fifty_frames_are_analysed_raw_with_the_reason(ensemble: Ensemble, frames: np.ndarray) -> None:
    analysis = analyse(Frames(frames[:40]), parse_recipe(RECIPE), ensemble)

    fits = analysis.tables["fits"]
    assert "two_time_denoised" not in analysis.arrays
    assert (fits["headline"] == "raw").all()
    assert fits["denoised_refusal"][0] == "40 frames with denoise.stride 1 are fewer than the 50 the models need"
    assert any("40 frames are fewer than the 50" in warning for warning in analysis.warnings)


def test_handful_of_frames_is_analysed_with_fewer_ages(ensemble: Ensemble, frames: np.ndarray) -> None:
    analysis = analyse(Frames(frames[:6]), parse_recipe(RECIPE | {"fit": {"ages": 8}}), ensemble)

    assert len(analysis.tables["fits_age"]) == 2 * 6


def test_negative_counts_are_masked(ensemble: Ensemble, frames: np.ndarray) -> None:
    marked = frames.astype(np.int32)
    marked[:, :8] = -1
    fits = analyse(Frames(marked), parse_recipe(RECIPE), ensemble).tables["fits"]

    assert fits["n_pixels"][0] < analyse(Frames(frames), parse_recipe(RECIPE), ensemble).tables["fits"]["n_pixels"][0]
    assert abs(fits["raw_relaxation_rate"][0] - 6e5 * fits["q"][0] ** 2) < 4 * fits["raw_relaxation_rate_error"][0]


def test_beam_loss_over_half_the_scan_leaves_the_raw_result(ensemble: Ensemble, frames: np.ndarray) -> None:
    lost = frames.copy()
    lost[30:80] = 0
    fits = analyse(Frames(lost), parse_recipe(RECIPE), ensemble).tables["fits"]

    assert (fits["headline"] == "raw").all()
    assert fits["denoised_refusal"].str.startswith("bad frames leave no window with enough sound ones").all()


def test_denoising_can_be_switched_off(ensemble: Ensemble, frames: np.ndarray) -> None:
    analysis = analyse(Frames(frames), parse_recipe(RECIPE | {"denoise": {"enabled": False}}), ensemble)

    assert analysis.tables["fits"]["denoised_refusal"][0] == "denoising is switched off in the recipe"
    assert analysis.tables["fits_age"]["denoised_relaxation_rate"].isna().all()


def test_frames_of_constant_zero_are_refused(ensemble: Ensemble, frames: np.ndarray) -> None:
    with pytest.raises(UnusableRun, match="All 90 frames of run 1a2b3c4d are zero; check the shutter"):
        analyse(Frames(np.zeros_like(frames)), parse_recipe(RECIPE), ensemble)


def test_roi_that_loses_all_pixels_is_left_out_with_a_word(ensemble: Ensemble, frames: np.ndarray) -> None:
    dark = frames.copy()
    dark[:, :17] = 65535
    analysis = analyse(Frames(dark), parse_recipe(RECIPE), ensemble)

    assert analysis.tables["fits"]["roi"].tolist() == [1]
    assert any("lost its pixels to the mask and was left out: 0 remain" in warning for warning in analysis.warnings)


def test_noisy_pixels_are_masked_and_counted_unless_the_recipe_keeps_them(
    ensemble: Ensemble, frames: np.ndarray
) -> None:
    flawed = frames.copy()
    flawed[::15, 10, 10:14] = 30
    both = [
        analyse(Frames(flawed), parse_recipe({**RECIPE, "masks": {"noisy": noisy}, "fit": {"ages": 0}}), ensemble)
        for noisy in (True, False)
    ]

    assert not both[0].arrays["mask"][10, 10:14].any()
    assert both[1].arrays["mask"].all()
    assert any("4 of them because they flicker or drift by themselves" in word for word in both[0].warnings)
    assert not any("flicker" in word for word in both[1].warnings)


def test_mask_that_takes_every_pixel_is_refused(ensemble: Ensemble, frames: np.ndarray) -> None:
    recipe = RECIPE | {"masks": {"from_data": False, "dark_below_mean": 1000.0}}

    with pytest.raises(UnusableRun, match="No ROI of run 1a2b3c4d keeps any pixel after the mask; loosen masks"):
        analyse(Frames(frames), parse_recipe(recipe), ensemble)


def test_bad_frames_are_left_out_and_named(ensemble: Ensemble, frames: np.ndarray) -> None:
    spoilt = frames.copy()
    spoilt[20] = 0
    spoilt[60] *= 4
    analysis = analyse(Frames(spoilt), parse_recipe(RECIPE | {"frames": {"exclude": [7]}}), ensemble)

    assert np.flatnonzero(analysis.arrays["bad_frames"]).tolist() == [7, 20, 60]
    assert np.isnan(analysis.arrays["two_time"][:, 60]).all()
    assert (analysis.arrays["preview"][:, 60] == 0).all()
    assert any(warning.startswith("Frame 60 was left out: spike") for warning in analysis.warnings)


def test_stride_and_range_are_kept_in_frame_numbers(ensemble: Ensemble, frames: np.ndarray) -> None:
    recipe = RECIPE | {"frames": {"start": 10, "stop": 80, "stride": 2}}
    analysis = analyse(Frames(frames), parse_recipe(recipe), ensemble)

    np.testing.assert_array_equal(analysis.arrays["frame_number"], np.arange(10, 80, 2))
    assert analysis.tables["g2"]["lag_s"].iloc[0] == pytest.approx(0.02)


def test_cancelling_stops_between_blocks(ensemble: Ensemble, frames: np.ndarray) -> None:
    told = []

    def progress(_: str, fraction: float) -> None:
        told.append(fraction)
        if fraction > 0.3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        analyse(Frames(frames, step=17), parse_recipe(RECIPE), ensemble, progress)
    assert told == [0.0, 17 / 90, 34 / 90]


def test_plan_shows_sources_and_pixels_before_any_frame_is_read(frames: np.ndarray) -> None:
    document = plan(Frames(frames).facts, parse_recipe(RECIPE | {"geometry": {"distance_m": 4.0}})).document()

    assert document["geometry"][2] == {"name": "distance_m", "value": 4.0, "unit": "m", "source": "recipe"}
    assert [row["n_pixels"] > 0 for row in document["rois"]] == [True, True]
    assert document["n_frames"] == 90
    warnings = plan(Frames(frames).facts, parse_recipe({})).document()["warnings"]
    assert any("before dead, hot and noisy pixels" in word for word in warnings)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rois": [{"unit": "pixel", "edges": [[500, 510]]}]}, r"rois: ring 1 \(500 to 510 pixels\) lies outside"),
        ({"masks": {"boxes": [{"rows": [0, 99], "columns": [0, 5]}]}}, r"masks\.boxes\.0\.rows is \[0, 99\]"),
    ],
)
def test_recipe_that_does_not_fit_the_detector_is_refused(
    frames: np.ndarray, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        plan(Frames(frames).facts, parse_recipe(RECIPE | changes))


def test_rings_in_both_units_can_be_mixed(frames: np.ndarray) -> None:
    facts = Frames(frames).facts
    pixels = plan(facts, parse_recipe(RECIPE)).rois
    edge = float(pixels.q_outer[0]), float(pixels.q_inner[1])
    mixed = [RECIPE["rois"][0], {"unit": "1/A", "edges": [edge]}]

    rois = plan(facts, parse_recipe(RECIPE | {"rois": mixed})).rois

    np.testing.assert_array_equal(rois.n_pixels[:2], pixels.n_pixels)
    assert rois.n_pixels[2] > 0


def test_errors_at_constant_age_are_right_as_often_as_they_claim() -> None:
    geometry = Geometry(-2.0e5, 400.0, 100.0, 1.0, 1e-6, 1.0)
    diffusion = 0.05 / (4 * np.pi * np.sin(np.arctan(2e-3) / 2)) ** 2
    pulls: list[float] = []
    for seed in range(12):
        model = SpeckleModel((1, 800), geometry, diffusion, 0.2, mean_counts=2.0, seed=seed)
        pixels = simulate_frames(model, 200).reshape(200, 800)
        c2 = two_time(pixels)
        curve = _raw_curve(c2, pixels, np.zeros(200, bool), 1.0, FitOptions())
        ages = _age_fits(c2, curve, FitOptions(ages=3), 1.0)
        assert ages is not None
        fits = ages.fits
        pulls += list(((fits.relaxation_rate - 0.05) / fits.relaxation_rate_error)[fits.trusted])

    assert len(pulls) > 20
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_variants_are_fitted_where_asked_for(ensemble: Ensemble, frames: np.ndarray) -> None:
    recipe = parse_recipe({**RECIPE, "fit": {"variants": ["flow", "vibration"], "ages": 0}})
    table = analyse(Frames(frames), recipe, ensemble).tables["fits_variant"]

    assert table.groupby(["roi", "variant"]).size().to_dict() == {
        (roi, kind): number for roi in (1, 2) for kind, number in (("flow", 4), ("vibration", 6))
    }
    rates = table[(table["parameter"] == "relaxation_rate") & (table["variant"] == "vibration")]
    assert (np.abs(rates["value"] - 6e5 * rates["q"] ** 2) < 5 * rates["error"]).all()


def test_age_cuts_may_take_the_baseline_of_the_whole_scan(ensemble: Ensemble, frames: np.ndarray) -> None:
    own, whole = (
        analyse(Frames(frames), parse_recipe({**RECIPE, "fit": {"ages": 3, "age_baseline": kind}}), ensemble)
        for kind in ("own", "whole")
    )

    trusted = whole.tables["fits"].set_index("roi")["raw_trusted"]
    for roi, ages in whole.tables["fits_age"].groupby("roi"):
        fit = whole.tables["fits"].set_index("roi").loc[roi]
        before = own.tables["fits_age"][own.tables["fits_age"]["roi"] == roi]
        if trusted[roi]:
            np.testing.assert_allclose(ages["raw_baseline"], fit["raw_baseline"])
            np.testing.assert_allclose(ages["raw_baseline_error"], fit["raw_baseline_error"])
            assert np.nanmedian(ages["raw_relaxation_rate_error"] / before["raw_relaxation_rate_error"]) < 1
    assert trusted.any()


def test_overlapping_age_cuts_err_as_their_pairs_say(ensemble: Ensemble, frames: np.ndarray) -> None:
    touching, wide = (
        analyse(Frames(frames), parse_recipe({**RECIPE, "fit": {"ages": 3, **width}}), ensemble).tables["fits_age"]
        for width in ({}, {"age_width": 90})
    )

    assert np.nanmedian(wide["raw_relaxation_rate_error"] / touching["raw_relaxation_rate_error"]) < 0.9


def test_frame_that_stands_out_may_be_kept(ensemble: Ensemble, frames: np.ndarray) -> None:
    spoilt = frames.copy()
    spoilt[20] = 0
    spoilt[60] *= 4
    analysis = analyse(Frames(spoilt), parse_recipe(RECIPE | {"frames": {"keep": [20, 60]}}), ensemble)

    assert np.flatnonzero(analysis.arrays["bad_frames"]).tolist() == [20]
    assert any(warning.startswith("Frame 60 was kept, as asked: spike") for warning in analysis.warnings)


def test_frames_in_which_the_beam_had_moved_are_left_out_and_named(ensemble: Ensemble) -> None:
    model = SpeckleModel((40, 40), GEOMETRY, diffusion=6e4, contrast=0.3, mean_counts=2.0, seed=4)
    frames = simulate_frames(model, 90)
    frames[40:43] = np.roll(frames, 7, axis=2)[40:43]
    frames[40:43] = frames[40:43, ::-1]

    found = analyse(Frames(frames), parse_recipe(RECIPE), ensemble)
    kept = analyse(Frames(frames), parse_recipe(RECIPE | {"frames": {"keep": [40, 41, 42]}}), ensemble)

    assert any(line.startswith("Frames 40 to 42 were left out of ROI 1 to 2: ") for line in found.warnings)
    assert np.isnan(found.arrays["two_time"][:, 40:43]).all()
    assert not any("Frames 40" in line for line in kept.warnings)
    assert np.isfinite(kept.arrays["two_time"]).all()
