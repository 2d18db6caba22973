"""Collected runs: stored with checksums, compared before they serve as exposures of each other, and trained on."""

from pathlib import Path

import numpy as np
import pytest

from frame_denoiser import FrameDenoiser
from frame_denoiser.collected import CollectedExamples, CollectedRun, is_steady, same_scattering
from frame_denoiser.collection import Collection, place_of, read_collection
from frame_denoiser.measured import evaluate_measured, evaluate_runs
from frame_denoiser.network import Architecture, FrameNetwork
from frame_denoiser.simulation import peak_image
from frame_denoiser.train import Schedule, train

SHAPE = (64, 80)
RATE = 0.2 + 40 * peak_image(SHAPE, 30.0, 40.0, (2.0, 2.0), 0.0)
MASK = np.ones(SHAPE, np.bool_)


def run(seed: int, frames: int = 12, exposure: float = 1.0, rate: np.ndarray = RATE, group: str = "a") -> CollectedRun:
    counts = np.random.default_rng(seed).poisson(exposure * rate, (frames, *SHAPE)).astype(np.uint16)
    return CollectedRun(f"run-{seed}", group, counts, MASK)


def stored(folder: Path, runs: list[CollectedRun]) -> Collection:
    collection = Collection(folder, {"recipe": {}})
    for one in runs:
        collection.add(one.uid, one.counts, one.mask, scan_id=None, sample="s", detector="camera", group=one.group)
    return collection


@pytest.mark.parametrize("exposure", [0.05, 1.0, 20.0])
def test_same_scattering_of_any_exposure_is_recognised(exposure: float) -> None:
    rng = np.random.default_rng(2)
    agree = [
        same_scattering(rng.poisson(5 * RATE).astype(float), rng.poisson(5 * exposure * RATE).astype(float), MASK)
        for _ in range(50)
    ]
    assert np.mean(agree) > 0.9


def test_moved_peak_is_other_scattering() -> None:
    moved = np.roll(RATE, 9, axis=0)
    rng = np.random.default_rng(3)
    images = [rng.poisson(12 * rate).astype(float) for rate in (RATE, moved)]
    assert not same_scattering(*images, MASK)
    assert same_scattering(*images, (RATE < 0.21) & (moved < 0.21))


def test_run_that_changes_is_not_steady() -> None:
    changing = run(4)
    changing.counts[6:] = run(5, frames=6, rate=np.roll(RATE, 9, axis=0)).counts
    assert is_steady(run(4))
    assert not is_steady(changing)
    assert not is_steady(run(4, frames=1))


def test_runs_serve_as_exposures_of_each_other_only_within_their_group() -> None:
    same = [run(1), run(2, frames=2, exposure=20.0)]
    other = run(3, group="b")
    moved = run(6, rate=np.roll(RATE, 9, axis=0))

    assert CollectedExamples([*same, other]).ways == {"thinned": 3, "repeated": 3, "paired": 2}
    assert CollectedExamples([same[0], moved]).ways["paired"] == 0


def test_exposures_are_those_of_the_counts() -> None:
    """Of every way the held-out counts are the seen ones times their exposure, within their noise."""
    examples = CollectedExamples([run(1), run(2, frames=2, exposure=20.0)])
    rng = np.random.default_rng(7)
    off = []
    for _ in range(60):
        seen, held_out, mask, exposure = examples._crop(rng, [64, 64])
        assert (seen.shape, mask.all()) == ((64, 64), True)
        expected = exposure * seen.sum()
        off.append((held_out.sum() - expected) / np.sqrt(expected * (1 + exposure)))
    assert abs(np.mean(off)) < 0.5
    assert 0.7 < np.std(off) < 1.4


def test_collection_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    stored(tmp_path, [run(1)])
    again = Collection(tmp_path, {"recipe": {}})

    assert again.has("run-1")
    assert not again.has("run-2")
    (tmp_path / "run-1.npz").write_bytes(b"damaged")
    assert not again.has("run-1")
    with pytest.raises(ValueError, match=r"run-1.npz is not the file that was collected \(sha256 differs\)"):
        read_collection(tmp_path)
    with pytest.raises(ValueError, match="holds runs taken with"):
        Collection(tmp_path, {"recipe": {"gain": 2}})
    with pytest.raises(ValueError, match="expected a folder that twotime frames collect wrote"):
        read_collection(tmp_path / "nowhere")


def test_groups_are_divided_between_training_and_validation(tmp_path: Path) -> None:
    stored(tmp_path, [run(number, frames=2, group=f"group {number}") for number in range(12)])

    training = {one.group for one in read_collection(tmp_path, validation=0.4)}
    validation = {one.group for one in read_collection(tmp_path, validation=0.4, held_out=True)}

    assert validation == {f"group {number}" for number in range(12) if place_of(f"group {number}") < 0.4}
    assert training | validation == {f"group {number}" for number in range(12)}
    assert not training & validation
    np.testing.assert_array_equal(read_collection(tmp_path)[0].counts, run(0, frames=2).counts)
    with pytest.raises(ValueError, match="left for validation"):
        read_collection(tmp_path, validation=0.0, held_out=True)


def test_network_trains_on_collected_runs(tmp_path: Path) -> None:
    examples = CollectedExamples([run(1), run(2, frames=2, exposure=20.0)])
    schedule = Schedule(steps=30, batch=2, size=64, learning_rate=3e-3, warm_up=5, averaging=0.5, seed=1)

    losses = [
        float(examples.loss(network, np.random.default_rng(9), Schedule(batch=6, size=64)).item())
        for network in (
            FrameNetwork(Architecture((4, 6))),
            train(examples, schedule, tmp_path / "checkpoint.pt", Architecture((4, 6))),
        )
    ]

    assert losses[1] < losses[0]


def test_runs_without_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="No collected run holds a count"):
        CollectedExamples([CollectedRun("dark", "dark", np.zeros((2, *SHAPE), np.uint8), MASK)])


def test_runs_of_a_collection_count_alike_in_an_evaluation() -> None:
    runs = [run(1, frames=1).counts[:, :32, :32], run(2, frames=1).counts[:, :32, :32]]
    denoiser = FrameDenoiser.load()

    (together,) = evaluate_runs(denoiser, runs, seed=3)

    apart = [evaluate_measured(denoiser, frames, 3)[0] for frames in runs]
    assert together.level == pytest.approx(np.mean([one.level for one in apart]))
    assert together.exposure["denoised"] == pytest.approx(np.mean([one.exposure["denoised"] for one in apart]))
