"""The denoiser: network, training, windows, scaling, strides, ensemble."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_ed import Ensemble
from cnn_ed.augment import Augmentation, Augmenter
from cnn_ed.cost import lag_averages, one_time_of
from cnn_ed.dataset import Examples, full_windows, load_examples, means_of_others
from cnn_ed.ensemble import WEIGHTS
from cnn_ed.inference import AppliedStack
from cnn_ed.network import Architecture, EncoderDecoderStack
from cnn_ed.scaling import scaling_by_window, scaling_of_all
from cnn_ed.schedule import Schedule
from cnn_ed.strides import choose_stride, fill_between_lags
from cnn_ed.train import train
from cnn_ed.windows import band_of, extract, put_band, stitch, window_starts, with_lag_zero_redrawn, without_gaps
from twotime.xpcs import decay, one_time

SMALL = Architecture(window=6, channels=3, latent=2)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble.load()


def noisy_two_time(n_frames: int, rate: float, noise: float, seed: int = 0) -> np.ndarray:
    """Contrast 0.2 with symmetric white noise, as a fraction of the contrast."""
    lag = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    random = np.random.default_rng(seed).normal(0, 0.2 * noise, (n_frames, n_frames))
    return (decay(lag, rate, 0.2, 1.0, 1.0) + (random + random.T) / np.sqrt(2)).astype(np.float32)


def symmetric_windows(number: int, size: int, seed: int = 0) -> np.ndarray:
    windows = 1 + np.random.default_rng(seed).random((number, size, size)).astype(np.float32)
    return (windows + windows.transpose(0, 2, 1)) / 2


def triangles(windows: np.ndarray) -> np.ndarray:
    """Upper triangles (1, U, M) of windows (M, W, W), as those of one model."""
    rows, columns = np.triu_indices(windows.shape[-1])
    return np.ascontiguousarray(windows[None, :, rows, columns].transpose(0, 2, 1))


def examples(number: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    upper = np.triu_indices(SMALL.window)[0].size
    targets = rng.random((4, upper)).astype(np.float32)
    index = rng.integers(0, 4, number).astype(np.int32)
    inputs = targets[index] + rng.normal(0, 0.3, (number, upper)).astype(np.float32)
    ones = np.ones(4, np.int32)
    return Examples(inputs, targets, index, np.arange(number, dtype=np.int32), np.array(list("abcd")), ones)


@pytest.mark.parametrize("symmetric", [True, False])
def test_stack_equals_the_network_as_the_paper_draws_it(symmetric: bool) -> None:
    stack = EncoderDecoderStack(3, Architecture(symmetric=symmetric))
    stack.initialise([1, 2, 3])
    windows = torch.from_numpy(symmetric_windows(4, 50))
    rows, columns = np.triu_indices(50)

    outputs = stack(windows[:, rows, columns].T)

    for model in range(3):
        plain = stack.plain(model)(windows)
        expected = plain[:, rows, columns] if symmetric else plain.flatten(1)
        torch.testing.assert_close(outputs[model].T, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "architecture", [Architecture(), Architecture(symmetric=False), SMALL, Architecture(12, 4, 20)]
)
def test_compiled_application_equals_the_plain_networks(architecture: Architecture) -> None:
    stack = EncoderDecoderStack(2, architecture)
    stack.initialise([1, 2])
    windows = symmetric_windows(140, architecture.window)
    applied = AppliedStack(stack)

    outputs, latent = applied.apply(windows)

    for model in range(2):
        plain = stack.plain(model)
        expected = plain(torch.from_numpy(windows)).detach().numpy()
        np.testing.assert_allclose(
            applied.full(outputs)[model], (expected + expected.transpose(0, 2, 1)) / 2, atol=2e-6
        )
        np.testing.assert_allclose(latent[model], plain.encode(torch.from_numpy(windows)).detach().numpy(), atol=1e-5)


def test_application_does_not_depend_on_the_number_of_threads(ensemble: Ensemble) -> None:
    windows = symmetric_windows(300, 50)
    before = torch.get_num_threads()

    outputs = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        outputs.append(ensemble.apply(windows)[0])
    torch.set_num_threads(before)

    np.testing.assert_array_equal(*outputs)


def test_states_go_into_a_stack_and_back() -> None:
    stack, copy = EncoderDecoderStack(2, SMALL), EncoderDecoderStack(2, SMALL)
    stack.initialise([5, 6])
    copy.load_states([stack.state(0), stack.state(1)])

    for mine, theirs in zip(stack.parameters(), copy.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0)


def test_states_of_another_architecture_are_refused() -> None:
    stack = EncoderDecoderStack(1, Architecture(window=6, channels=3, latent=4))

    with pytest.raises(ValueError, match="Model 0 is not one of Architecture"):
        EncoderDecoderStack(1, SMALL).load_states([stack.state(0)])


QUICK = Schedule(models=6, trial=1, finalists=5, epochs=3, batch=8, learning_rate=1e-3)


def test_training_goes_on_where_it_was_killed_as_if_it_had_not_been(tmp_path: Path) -> None:
    data = examples(60, 1), examples(40, 2)

    whole = train(*data, QUICK, tmp_path / "whole.pt", SMALL)
    for epochs in (1, 2):
        train(*data, replace(QUICK, epochs=epochs), tmp_path / "killed.pt", SMALL)
    resumed = train(*data, QUICK, tmp_path / "killed.pt", SMALL)

    assert resumed.history == whole.history
    for mine, theirs in zip(resumed.stack.parameters(), whole.stack.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0)


def test_training_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    data = examples(60, 1), examples(40, 2)

    found = [train(*data, QUICK, tmp_path / f"{threads}.pt", SMALL, threads=threads) for threads in (1, 3)]

    assert found[0].history == found[1].history


def test_only_the_finalists_go_on_after_the_trial(tmp_path: Path) -> None:
    found = train(examples(60, 1), examples(40, 2), QUICK, tmp_path / "c.pt", SMALL)
    first, second = found.history[0], found.history[1]

    worst = int(np.argmax(first["validation_cost"]))
    assert second["model"] == [number for number in first["model"] if number != worst]
    np.testing.assert_array_equal(found.number, second["model"])


@pytest.mark.parametrize(
    "change",
    [
        {"targets": "all", "augmentation": Augmentation()},
        {"targets": "input"},
        {"augmentation": Augmentation(noise=0.5)},
        {"averaging": 0.9, "dropout": 0.1, "weight_decay": 1e-4},
    ],
)
def test_training_lowers_the_cost(tmp_path: Path, change: dict[str, Any]) -> None:
    schedule = replace(QUICK, models=2, finalists=2, epochs=15, learning_rate=3e-3, **change)
    found = train(examples(80, 1), examples(40, 2), schedule, tmp_path / "c.pt", SMALL)

    assert (np.array(found.history[-1]["training_cost"]) < 0.8 * np.array(found.history[0]["training_cost"])).all()


def test_checkpoint_of_another_schedule_or_architecture_is_refused(tmp_path: Path) -> None:
    data = examples(60, 1), examples(40, 2)
    train(*data, replace(QUICK, epochs=1, seed=1), tmp_path / "c.pt", SMALL)

    with pytest.raises(ValueError, match=r"c\.pt was trained with seed 1 instead of 2"):
        train(*data, replace(QUICK, epochs=1, seed=2), tmp_path / "c.pt", SMALL)
    with pytest.raises(ValueError, match=r"c\.pt was trained with latent 2 instead of 3"):
        train(*data, replace(QUICK, epochs=1, seed=1), tmp_path / "c.pt", replace(SMALL, latent=3))


def test_unknown_kind_of_targets_is_refused() -> None:
    with pytest.raises(ValueError, match="targets is 'mean', expected one of others, all, input"):
        Schedule(targets="mean")


def test_means_of_others_leave_out_windows_with_common_frames() -> None:
    inputs = np.arange(5, dtype=np.float32)[:, None] * np.ones((1, 21), np.float32)
    names = np.array(["a"])
    data = Examples(
        inputs, inputs[:1], np.zeros(5, np.int32), np.arange(5, dtype=np.int32), names, np.ones(1, np.int32)
    )

    means, number = means_of_others(data)

    np.testing.assert_array_equal(number, [3, 2, 2, 2, 3])
    np.testing.assert_allclose(means[:, 0], [3.0, 3.5, 2.0, 0.5, 1.0])


def test_reversal_and_shuffle_keep_the_mean_over_each_diagonal() -> None:
    data = examples(60, 1)
    augmenter = Augmenter(data, Augmentation(reversal=1.0, shuffle=1.0))
    rows, columns = np.triu_indices(SMALL.window)
    averages = lag_averages(columns - rows)
    inputs, targets = torch.from_numpy(data.inputs[:8].T), torch.from_numpy(data.targets[data.target_index[:8]].T)

    new_inputs, new_targets = augmenter(inputs, targets, torch.arange(8), torch.Generator().manual_seed(1))

    assert not torch.equal(new_inputs, inputs)
    torch.testing.assert_close(averages @ new_inputs, averages @ inputs)
    torch.testing.assert_close(averages @ new_targets, averages @ targets)


def test_synthetic_examples_are_decays_with_measured_noise() -> None:
    data = examples(60, 1)
    augmenter = Augmenter(data, Augmentation(synthetic=1.0))
    inputs = torch.from_numpy(data.inputs.T)

    noisy, decays = augmenter(inputs, inputs, torch.arange(60), torch.Generator().manual_seed(1))

    rows, columns = np.triu_indices(SMALL.window)
    for lag in range(1, SMALL.window - 1):
        assert (decays[columns - rows == lag].mean(dim=0) > decays[columns - rows == lag + 1].mean(dim=0)).all()
    assert float((noisy - decays).std()) == pytest.approx(0.3, rel=0.1)


def test_file_without_targets_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", inputs=np.zeros((1, 21)))

    with pytest.raises(ValueError, match=r"half\.npz lacks the arrays experiment, frame_stride"):
        load_examples(tmp_path / "half.npz")


def test_triangles_become_symmetric_windows() -> None:
    windows = full_windows(np.arange(6, dtype=np.float32)[None], 3).numpy()[0]

    np.testing.assert_array_equal(windows, [[0, 1, 2], [1, 3, 4], [2, 4, 5]])


@given(st.integers(50, 140))
def test_windows_cover_all_frames(n_frames: int) -> None:
    starts = window_starts(n_frames)

    assert starts[0] == 0
    assert starts[-1] + 50 == n_frames
    assert np.diff(starts).max(initial=1) <= 5


@given(st.integers(50, 120), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_stitching_what_was_cut_out_gives_it_back(n_frames: int, seed: int) -> None:
    c2 = np.random.default_rng(seed).random((n_frames, n_frames)).astype(np.float32)
    starts = window_starts(n_frames)

    c2 = (c2 + c2.T) / 2
    stitched = stitch(triangles(extract(c2, starts)), starts, n_frames, 50)[0]

    known = np.isfinite(stitched)
    np.testing.assert_allclose(stitched[known], band_of(c2, 50)[known], rtol=1e-6)
    assert known[: n_frames - 1, 1].all()


@given(st.integers(50, 110), st.integers(1, 49), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_stitching_fills_the_band_of_the_windows_and_nothing_else(n_frames: int, step: int, seed: int) -> None:
    c2 = np.random.default_rng(seed).random((n_frames, n_frames)).astype(np.float32)
    starts = window_starts(n_frames, step=step)
    covered = np.zeros_like(c2, bool)
    for start in starts:
        covered[start : start + 50, start : start + 50] = True

    stitched = np.full_like(c2, np.nan)
    put_band(stitch(triangles(extract(c2, starts)), starts, n_frames, 50)[0], stitched)

    np.testing.assert_array_equal(np.isfinite(stitched), covered)
    np.testing.assert_allclose(np.triu(stitched)[covered], np.triu(c2)[covered], rtol=1e-6)


def test_later_windows_weigh_more_in_each_pass_and_equally_in_both() -> None:
    starts = np.array([0, 1])
    outputs = np.stack([np.zeros((3, 3)), np.ones((3, 3))]).astype(np.float32)

    stitched = stitch(triangles(outputs), starts, 4, 3)[0]

    assert stitched[0, 0] == 0
    assert stitched[3, 0] == 1
    assert stitched[1, 0] == 0.5


def test_lag_zero_is_drawn_from_lag_one_and_always_the_same() -> None:
    windows = symmetric_windows(2, 50)

    redrawn = with_lag_zero_redrawn(windows)

    for before, after in zip(windows, redrawn, strict=True):
        assert np.isin(np.diagonal(after), np.diagonal(before, 1)).all()
    np.testing.assert_array_equal(redrawn, with_lag_zero_redrawn(windows))


def test_gaps_are_bridged_by_the_mean_of_their_lag() -> None:
    window = noisy_two_time(50, 0.05, 0.0)
    gappy = window.copy()
    gappy[7] = gappy[:, 7] = np.nan

    filled, usable = without_gaps(gappy[None])

    assert usable.all()
    np.testing.assert_allclose(filled[0], window, rtol=1e-5)


@given(st.floats(0.01, 1.0), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_scaling_and_back_changes_nothing(contrast: float, seed: int) -> None:
    windows = (1 + contrast * symmetric_windows(3, 50, seed)).astype(np.float32)
    scaling = scaling_by_window(windows)
    scaled = scaling.to_network(windows)

    np.testing.assert_allclose(np.diagonal(scaled, 1, 1, 2).mean(axis=1), 2, rtol=1e-3)
    back = scaling.from_network(scaled.reshape(3, -1).T).T.reshape(scaled.shape)
    np.testing.assert_allclose(back, windows, rtol=1e-4)


def test_global_scaling_takes_baseline_and_contrast_of_the_whole() -> None:
    scaling = scaling_of_all(noisy_two_time(300, 0.05, 0.0) + 0.1, 4)

    np.testing.assert_allclose(scaling.baseline, 1.1, rtol=1e-4)
    np.testing.assert_allclose(scaling.contrast, 0.2 * np.exp(-0.1), rtol=1e-3)


@given(st.floats(1e-4, 0.5), st.integers(50, 4000))
def test_stride_leaves_enough_frames(rate: float, n_frames: int) -> None:
    stride = choose_stride(n_frames, 50, rate, (0.01, 0.15))

    assert stride >= 1
    assert n_frames // stride >= 50
    assert stride == 1 or rate < 0.02


def test_lags_between_multiples_of_the_stride_are_interpolated() -> None:
    n_frames, every = 120, 3
    age = np.add.outer(np.arange(n_frames), np.arange(n_frames)) / 2
    lag = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    smooth = (1 + 0.001 * age - 0.002 * lag).astype(np.float32)
    mask = lag % every == 0
    values, spread = np.where(mask, smooth, 0), np.where(mask, 0, np.nan).astype(np.float32)

    fill_between_lags(values, spread, mask, every, 20)

    # At both ends the next multiple of the stride does not reach the same age; its nearest age stands in.
    inner = mask & (age > lag / 2 + every) & (age < n_frames - 1 - lag / 2 - every)
    assert mask[60, 60 + 4]
    assert not mask[60, 61]
    np.testing.assert_allclose(values[inner], smooth[inner], atol=1e-5)


@pytest.mark.parametrize("n_frames", [50, 73, 120])
def test_denoised_values_are_symmetric_and_cover_the_last_frames(ensemble: Ensemble, n_frames: int) -> None:
    c2 = noisy_two_time(n_frames, 0.05, 0.5)

    found = ensemble.denoise(c2)

    np.testing.assert_array_equal(found.values, found.values.T)
    assert found.mask[-1, -2]
    assert found.mask[0, 1]
    np.testing.assert_array_equal(found.values[~found.mask], c2[~found.mask])
    np.testing.assert_array_equal(np.isfinite(found.spread), found.mask)
    assert found.g2_members.shape == (10, 49)


def test_denoising_lowers_the_noise_and_keeps_the_decay(ensemble: Ensemble) -> None:
    c2, clean = noisy_two_time(100, 0.05, 1.0), noisy_two_time(100, 0.05, 0.0)
    np.fill_diagonal(clean, 1.2)

    found = ensemble.denoise(c2)
    band = found.mask & ~np.eye(100, dtype=bool)

    assert np.std((found.values - clean)[band]) < 0.25 * np.std((c2 - clean)[band])


def test_denoising_is_deterministic(ensemble: Ensemble) -> None:
    c2 = noisy_two_time(80, 0.05, 1.0)

    np.testing.assert_array_equal(ensemble.denoise(c2).values, ensemble.denoise(c2).values)


def test_bad_frames_stay_nan(ensemble: Ensemble) -> None:
    c2 = noisy_two_time(90, 0.05, 0.5)
    c2[30] = c2[:, 30] = np.nan

    found = ensemble.denoise(c2)

    assert np.isnan(found.values[30]).all()
    assert np.isfinite(np.delete(np.delete(found.values, 30, 0), 30, 1)).all()
    assert np.isfinite(found.g2).all()


@pytest.mark.parametrize("stride", [2, 3, 5])
def test_bad_frames_stay_nan_at_every_stride(ensemble: Ensemble, stride: int) -> None:
    c2 = noisy_two_time(260, 0.008, 0.3)
    c2[101] = c2[:, 101] = np.nan

    found = ensemble.denoise(c2, stride=stride)

    assert np.isnan(found.values[101]).all()
    assert not found.mask[101].any()
    np.testing.assert_array_equal(np.isfinite(found.spread), found.mask)
    np.testing.assert_array_equal(found.values, found.values.T)


@pytest.mark.parametrize("contrast", ["window", "global"])
@pytest.mark.parametrize("bad", [range(0, 120, 2), range(30, 90), range(120)])
def test_too_many_bad_frames_are_said_in_words(ensemble: Ensemble, contrast: str, bad: range) -> None:
    c2 = noisy_two_time(120, 0.05, 0.3)
    c2[list(bad)] = c2[:, list(bad)] = np.nan

    found = ensemble.denoise(c2, contrast=contrast)

    assert not found.mask.any()
    assert found.applicability.reasons == ("bad frames leave no window with enough sound ones",)


def test_global_contrast_mode_bears_a_lost_end_of_the_scan(ensemble: Ensemble) -> None:
    c2 = noisy_two_time(120, 0.06, 0.3)
    c2[80:] = c2[:, 80:] = np.nan

    found = ensemble.denoise(c2, contrast="global")

    np.testing.assert_allclose(found.g2, ensemble.denoise(c2[:80, :80], contrast="global").g2, atol=0.02)


def test_slow_dynamics_are_denoised_at_a_stride(ensemble: Ensemble) -> None:
    found = ensemble.denoise(noisy_two_time(240, 0.006, 0.3), rate_per_frame=0.006)

    assert found.stride == 4
    np.testing.assert_array_equal(found.lag, 4 * np.arange(1, 50))
    np.testing.assert_allclose(found.g2[:30], decay(found.lag[:30], 0.006, 0.2, 1.0, 1.0), atol=0.03)


def test_global_contrast_mode_keeps_a_raised_baseline(ensemble: Ensemble) -> None:
    found = ensemble.denoise(noisy_two_time(200, 0.06, 0.3) + 0.15, contrast="global")

    assert found.g2[45] == pytest.approx(1.15, abs=0.02)


def test_fast_dynamics_and_noise_are_not_trusted(ensemble: Ensemble) -> None:
    fast = ensemble.denoise(noisy_two_time(100, 0.4, 0.3)).applicability
    noise = ensemble.denoise(noisy_two_time(100, 0.05, 6.0)).applicability

    assert not fast.trusted
    assert any("outside the trained 0.01 to 0.15" in reason for reason in fast.reasons)
    assert any("exceeds the trained" in reason for reason in noise.reasons)


def test_wrong_shapes_and_modes_are_refused(ensemble: Ensemble) -> None:
    with pytest.raises(ValueError, match=r"windows have shape \(1, 40, 40\)"):
        ensemble.apply(np.ones((1, 40, 40)))
    with pytest.raises(ValueError, match="c2 has 40 frames, expected at least the 50"):
        ensemble.denoise(np.ones((40, 40)))
    with pytest.raises(ValueError, match="contrast is 'local'"):
        ensemble.denoise(np.ones((60, 60)), contrast="local")


def test_unknown_version_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="There is no ensemble v0; the versions here are v2"):
        Ensemble.load("v0")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "v2", tmp_path / "v2")
    victim = tmp_path / "v2" / "model_03.pt"
    content = bytearray(victim.read_bytes())
    content[1000] ^= 1
    victim.write_bytes(content)

    with pytest.raises(ValueError, match=r"model_03\.pt are not the ones of the card"):
        Ensemble.load(path=tmp_path / "v2")


def test_measured_windows_are_denoised_as_the_model_card_says(ensemble: Ensemble, measured_data: Path) -> None:
    validation = load_examples(measured_data / "cnn_ed_validation.npz")
    windows = full_windows(validation.inputs[:600], 50).numpy()
    targets = one_time_of(full_windows(validation.targets[validation.target_index[:600]], 50).numpy())

    raw = np.mean((one_time_of(windows) - targets) ** 2)
    denoised = np.mean((one_time_of(ensemble.apply(windows)[0]) - targets) ** 2)

    assert denoised < 0.2 * raw


def test_one_time_of_windows_agrees_with_the_core() -> None:
    windows = symmetric_windows(2, 50)

    np.testing.assert_allclose(one_time_of(windows), one_time(windows).g2, rtol=1e-6)


def test_weights_from_elsewhere_say_which_they_are(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "v2", tmp_path / "v2")

    found = Ensemble.load(path=tmp_path / "v2")

    assert found.version.startswith("v2+")
    assert Ensemble.load(path=WEIGHTS / "v2").version == "v2"


def test_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no card\.json; give a folder that `twotime train` has written"):
        Ensemble.load(path=tmp_path)
