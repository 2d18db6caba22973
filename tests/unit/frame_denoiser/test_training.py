"""Likelihoods, simulation and training of the network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from frame_denoiser.likelihood import held_out_loss, truth_loss
from frame_denoiser.network import Architecture, FrameNetwork, Posterior
from frame_denoiser.simulation import counts_for, detect, peak_image, simulate_frame, speckle
from frame_denoiser.thinning import MeasuredExamples, usable_pixels
from frame_denoiser.train import Schedule, SimulatedExamples, learning_rate, train

SMALL = Architecture((4, 6))
SHORT = Schedule(steps=4, batch=1, size=32, warm_up=2)


class Interrupted(SimulatedExamples):
    """Stops in the third step, as a user does."""

    calls = 0

    def loss(self, network: FrameNetwork, rng: np.random.Generator, schedule: Schedule) -> torch.Tensor:
        self.calls += 1
        if self.calls > 2:
            raise KeyboardInterrupt
        return super().loss(network, rng, schedule)


def posterior(mean: float, shape: float) -> Posterior:
    return Posterior(torch.full((1, 1, 1), mean).log(), torch.full((1, 1, 1), shape).log())


@pytest.mark.parametrize("shape", [0.5, 3.0, 19.0, 25.0, 4000.0])
def test_truth_loss_is_that_of_the_gamma_distribution(shape: float) -> None:
    mean, one = 0.3, torch.ones(1, 1, 1)
    rates = mean * np.array([0.7, 1.0, 1.4])
    found = [truth_loss(posterior(mean, shape), torch.full((1, 1, 1), rate), one).item() for rate in rates]
    expected = -stats.gamma.logpdf(rates, shape, scale=mean / shape) - np.log(rates)
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-3, atol=1e-4)


def test_truth_loss_goes_on_as_a_line_where_the_truth_is_far() -> None:
    one = torch.ones(1, 1, 1)
    rates = [0.01 * np.exp(off) for off in (5.0, 6.0, 7.0)]
    found = [truth_loss(posterior(0.01, 2.0), torch.full((1, 1, 1), rate), one).item() for rate in rates]
    assert found[2] - found[1] == pytest.approx(found[1] - found[0], rel=1e-4)


@pytest.mark.parametrize(("shape", "exposure"), [(0.7, 1.0), (12.0, 9.0)])
def test_held_out_loss_is_that_of_the_negative_binomial(shape: float, exposure: float) -> None:
    mean, one = 2.0, torch.ones(1, 1, 1)
    counts = np.array([0, 1, 5, 20])
    found = [
        held_out_loss(
            posterior(mean, shape), torch.full((1, 1, 1), float(count)), torch.full((1, 1, 1), exposure), one
        ).item()
        for count in counts
    ]
    # The term of the counts alone is left out.
    reference = -stats.nbinom.logpmf(counts, shape, shape / (shape + exposure * mean)) - np.array(
        [torch.lgamma(torch.tensor(count + 1.0)).item() for count in counts]
    )
    np.testing.assert_allclose(np.diff(found), np.diff(reference), rtol=1e-3, atol=1e-3)


def test_best_mean_is_that_of_the_truth_whatever_the_shape() -> None:
    rates = torch.from_numpy(np.random.default_rng(1).gamma(0.8, 1.5, (1, 40, 40)).astype(np.float32))
    for shape in (0.5, 5.0):
        log_mean = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.LBFGS([log_mean], max_iter=20)
        log_shape = torch.full(rates.shape, float(np.log(shape)))

        def closure(
            own: torch.Tensor = log_mean,
            width: torch.Tensor = log_shape,
            solver: torch.optim.Optimizer = optimiser,
        ) -> torch.Tensor:
            solver.zero_grad()
            loss = truth_loss(Posterior(own.expand(rates.shape), width), rates, torch.ones(rates.shape))
            loss.backward()
            return loss

        optimiser.step(closure)
        assert log_mean.exp().item() == pytest.approx(rates.mean().item(), rel=1e-3)


def test_simulated_counts_have_the_rate_as_their_mean() -> None:
    rng = np.random.default_rng(5)
    rate = np.full((64, 64), 0.4)
    pairs = [detect(rng, rate) for _ in range(300)]
    deviation = np.mean([(counts - expected)[1:-1, 1:-1].mean() for counts, expected in pairs])
    assert abs(deviation) < 4 * np.sqrt(0.4 * 1.5 / (62 * 62 * 300))


def test_simulated_frame_is_the_same_for_the_same_seed() -> None:
    one, other = (simulate_frame(np.random.default_rng(7), (48, 40)) for _ in range(2))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.peaks == other.peaks
    assert (one.rate > 0).all()
    assert one.mask.any()
    assert (one.counts[~one.mask] == 0).all()


def test_peak_stands_as_many_errors_above_the_background_as_asked() -> None:
    counts = counts_for(5.0, 0.3, 2.0)
    assert counts / np.sqrt(counts + 4 * np.pi * 4 * 0.3) == pytest.approx(5.0)
    assert peak_image((64, 64), 31.5, 30.0, (2.0, 3.0), 0.4).sum() == pytest.approx(1.0, rel=1e-3)


def test_speckle_has_mean_one() -> None:
    assert speckle(np.random.default_rng(2), (64, 64)).mean() == pytest.approx(1.0)


def test_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = train(SimulatedExamples(), SHORT, tmp_path / "whole.pt", SMALL)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(), SHORT, tmp_path / "parts.pt", SMALL, every=2)
    parts = train(SimulatedExamples(), SHORT, tmp_path / "parts.pt", SMALL)
    for one, other in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(other, one)


def test_checkpoint_of_another_schedule_is_refused(tmp_path: Path) -> None:
    train(SimulatedExamples(), SHORT, tmp_path / "checkpoint.pt", SMALL)
    with pytest.raises(ValueError, match="was written with"):
        train(SimulatedExamples(), Schedule(steps=5), tmp_path / "checkpoint.pt", SMALL)


def test_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(Schedule(steps=100, warm_up=10), step) for step in range(100)]
    assert int(np.argmax(rates)) == 9
    assert rates[-1] < 0.02 * max(rates)


def test_measured_frames_train_without_truth(tmp_path: Path) -> None:
    frames = np.random.default_rng(3).poisson(4.0, (8, 40, 40))
    frames[:, 4, 4] = 5000
    frames[:, 9, 9] = 0
    usable = usable_pixels(frames.sum(axis=0), len(frames))
    assert not usable[4, 4]
    assert not usable[9, 9]
    assert usable.sum() == usable.size - 2
    network = train(MeasuredExamples(frames), SHORT, tmp_path / "checkpoint.pt", SMALL)
    losses = [MeasuredExamples(frames).loss(network, np.random.default_rng(0), SHORT).item() for _ in range(2)]
    assert np.isfinite(losses).all()
    assert losses[0] == losses[1]
