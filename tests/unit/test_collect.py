"""Training examples from two-time correlation functions of one's own."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnn_ed.collect import Collection, Measured, windows_of
from cnn_ed.dataset import full_windows, load_examples
from twotime.xpcs import decay


def measured(experiment: str, n_frames: int = 200) -> Measured:
    lag = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    c2 = decay(lag, 0.05, 0.15, 1.0, 1.0)
    return Measured(experiment, 1, c2, contrast=0.15, contrast_error=0.01, rate_per_frame=0.05, stationary=True)


def test_windows_are_shifted_by_half_their_length_and_scaled_to_contrast_one() -> None:
    one = measured("a")

    number, windows = windows_of(one.c2, one.contrast, 50)

    np.testing.assert_array_equal(number, np.arange(7))
    np.testing.assert_allclose(windows[3][0, 10], 1 + np.exp(-2 * 0.05 * 10), rtol=1e-6)
    np.testing.assert_allclose(np.diagonal(windows[3]), np.diagonal(windows[3], 1)[0], rtol=1e-6)


def test_windows_with_a_bad_frame_are_left_out() -> None:
    one = measured("a")
    one.c2[60] = one.c2[:, 60] = np.nan

    number, windows = windows_of(one.c2, one.contrast, 50)

    np.testing.assert_array_equal(number, [0, 3, 4, 5, 6])
    assert np.isfinite(windows).all()


def test_every_second_frame_gives_a_target_of_its_own(tmp_path: Path) -> None:
    collection = Collection()
    for name in "abcdefgh":
        collection.add(measured(name, n_frames=300))
    found = collection.divided(0.5)

    np.savez(tmp_path / "set.npz", **found["training"])
    examples = load_examples(tmp_path / "set.npz")
    assert set(examples.frame_stride.tolist()) == {1, 2}
    every_second = full_windows(examples.targets[examples.frame_stride == 2][:1], 50).numpy()[0]
    np.testing.assert_allclose(every_second[0, 10], 1 + np.exp(-2 * 0.05 * 20), rtol=1e-5)
    for target in range(len(examples.targets)):
        own = examples.inputs[examples.target_index == target]
        np.testing.assert_allclose(examples.targets[target], own.mean(axis=0), rtol=1e-6)


def test_no_experiment_is_in_both_files_and_each_keeps_its_place() -> None:
    few, many = Collection(), Collection()
    for number in range(20):
        many.add(measured(f"run {number}"))
        if number < 10:
            few.add(measured(f"run {number}"))

    first, second = few.divided(0.4), many.divided(0.4)

    assert not set(second["training"]["experiment"]) & set(second["validation"]["experiment"])
    assert set(first["validation"]["experiment"]) <= set(second["validation"]["experiment"])


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    good, collection = measured("a"), Collection()
    collection.add(replace(good, contrast_error=0.1))
    collection.add(replace(good, stationary=False))
    collection.add(replace(good, rate_per_frame=0.2))
    collection.add(measured("a", n_frames=100))

    assert collection.left_out == Counter(
        {
            "the contrast is not known well enough": 2,
            "the rate changes with age": 2,
            "the rate is not within 0.006 to 0.3 per frame": 1,
            "fewer than 4 windows without bad frames": 2,
        }
    )


def test_too_few_runs_are_said_in_words() -> None:
    collection = Collection()
    collection.add(replace(measured("a"), stationary=False))

    with pytest.raises(
        ValueError, match=r"No experiment is left for the training file; collect more runs\. Left out: 2 x"
    ):
        collection.divided(0.25)
