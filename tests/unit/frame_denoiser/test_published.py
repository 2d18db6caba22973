"""The networks of Oppliger 2024 as rivals: their sizes, their loss, their training, and how they stand in a table."""

from pathlib import Path

import numpy as np
import pytest
import torch

from frame_denoiser import FrameDenoiser
from frame_denoiser.published import NETWORKS, NetworkName, denoised_rate, scaled
from frame_denoiser.published_versions import read_rival, write_published
from frame_denoiser.rivals import Rival, richardson_lucy
from frame_denoiser.similarity import FILTER, K1, K2, SIGMA, WEIGHTS, ms_ssim, published_loss
from frame_denoiser.simulation import simulate_frame
from frame_denoiser.train_published import PublishedSchedule, pair, train_published

SMALL = PublishedSchedule(steps=3, batch=2, shape=(48, 64), seed=5)


def images(seed: int, side: int = 192) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((2, 1, side, side)))


@pytest.mark.parametrize(("name", "weights"), [("vdsr", 704_129), ("irunet", 1_954_497)])
def test_networks_have_the_published_sizes(name: NetworkName, weights: int) -> None:
    network = NETWORKS[name]()

    assert sum(parameter.numel() for parameter in network.parameters()) == weights
    found = network(torch.rand(1, 1, 32, 48))
    assert found.shape == (1, 1, 32, 48)
    assert name == "vdsr" or 0 <= float(found.detach().min()) <= float(found.detach().max()) <= 1


def test_similarity_of_one_window_is_that_of_its_definition() -> None:
    one, other = (image[:1] for image in (images(1, FILTER), images(2, FILTER)))
    place = np.arange(FILTER) - (FILTER - 1) / 2
    weight = np.exp(-0.5 * (place / SIGMA) ** 2)
    window = np.outer(weight, weight) / weight.sum() ** 2
    a, b = one[0, 0].numpy(), other[0, 0].numpy()
    means = [(window * image).sum() for image in (a, b)]
    variances = [(window * (image - mean) ** 2).sum() for image, mean in zip((a, b), means, strict=True)]
    covariance = (window * (a - means[0]) * (b - means[1])).sum()
    luminance = (2 * means[0] * means[1] + K1**2) / (means[0] ** 2 + means[1] ** 2 + K1**2)
    expected = luminance * (2 * covariance + K2**2) / (sum(variances) + K2**2)

    assert float(ms_ssim(one, other)) == pytest.approx(expected ** sum(WEIGHTS), rel=1e-6)


def test_similarity_falls_with_noise_and_is_one_for_the_same() -> None:
    truth = images(3)
    noisy = [float(ms_ssim(truth, truth + sigma * (images(4) - 0.5))) for sigma in (0.0, 0.2, 0.6)]

    assert noisy[0] == pytest.approx(1)
    assert noisy[0] > noisy[1] > noisy[2]
    assert float(published_loss(truth, truth)) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="images have sides of 10 pixels, expected at least 11"):
        ms_ssim(images(1, 10), images(2, 10))


def test_pairs_show_the_same_scattering_scaled_apart() -> None:
    short, long = pair(np.random.default_rng(3), PublishedSchedule(lowest=5, highest=10, shape=(96, 96)))

    assert short.shape == long.shape == (1, 96, 96)
    assert float(short.max()) == float(long.max()) == 1
    coarse = [torch.nn.functional.avg_pool2d(image, 8).ravel().numpy() for image in (short, long)]
    assert np.corrcoef(*coarse)[0, 1] > 0.9


def test_network_is_trained_stored_and_compared(tmp_path: Path) -> None:
    trained = train_published("irunet", SMALL, tmp_path / "checkpoint.pt", every=1)
    again = train_published("irunet", SMALL, tmp_path / "checkpoint.pt", every=1)
    for one, other in zip(trained.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="was written with"):
        train_published("vdsr", SMALL, tmp_path / "checkpoint.pt")

    write_published(tmp_path / "own", "irunet", trained, {"data": "simulated pairs"})
    rival = read_rival(tmp_path / "own")
    frame = simulate_frame(np.random.default_rng(2), (64, 80), 0.3)
    assert (rival.name, rival.strengths) == ("irunet own", (1.0,))
    np.testing.assert_array_equal(
        rival.apply(frame.counts, frame.mask, 1.0), denoised_rate(trained, frame.counts, frame.mask)
    )
    with pytest.raises(ValueError, match="holds the published network irunet, which gives no errors"):
        FrameDenoiser.load(tmp_path / "own")
    (tmp_path / "own" / "network.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="sha256 differs"):
        read_rival(tmp_path / "own")
    with pytest.raises(ValueError, match="holds no published network"):
        read_rival(tmp_path)


def test_rate_of_a_published_network_holds_the_counts_of_its_frame() -> None:
    counts = np.random.default_rng(1).poisson(0.5, (50, 61)).astype(float)
    mask = np.ones(counts.shape, bool)
    mask[:, 20:23] = False
    torch.manual_seed(3)
    rate = denoised_rate(NETWORKS["irunet"]().eval(), counts, mask)

    assert rate.shape == counts.shape
    assert rate[mask].sum() == pytest.approx(counts[mask].sum())
    assert (rate >= 0).all()
    assert denoised_rate(NETWORKS["irunet"]().eval(), np.zeros((32, 32)), np.ones((32, 32), bool)).sum() == 0


def test_scaled_image_of_zeros_stays_zero() -> None:
    assert scaled(np.zeros((16, 16)), np.ones((16, 16), bool)).sum() == 0
    assert scaled(np.ones((16, 16)), np.zeros((16, 16), bool)).sum() == 0


def test_richardson_lucy_finds_a_weak_peak_better_than_counts() -> None:
    rows, columns = np.mgrid[:64, :64]
    rate = 0.3 + 3 * np.exp(-((rows - 30) ** 2 + (columns - 34) ** 2) / 18)
    counts = np.random.default_rng(3).poisson(rate).astype(float)
    rival = Rival("Richardson-Lucy", (2.0,), richardson_lucy)
    found = rival.apply(counts, np.ones(rate.shape, bool), 2.0)

    assert found.sum() == pytest.approx(counts.sum(), rel=0.02)
    assert np.mean((found - rate) ** 2) < 0.2 * np.mean((counts - rate) ** 2)
