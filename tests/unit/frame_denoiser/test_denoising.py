"""The shipped network: rates, errors and counts of simulated frames."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from frame_denoiser import FrameDenoiser, find_peaks, region_counts
from frame_denoiser.assess import simulated
from frame_denoiser.evaluate import coverage_of, evaluate_rates
from frame_denoiser.measured import evaluate_measured
from frame_denoiser.simulation import peak_image, simulate_frame
from frame_denoiser.stored import SHIPPED, WEIGHTS, read_version
from frame_denoiser.thinning import thin
from frame_denoiser.tiles import BINS, posterior_of_frame

SEED = 90210


@pytest.fixture(scope="module")
def denoiser() -> FrameDenoiser:
    return FrameDenoiser.load()


def flat_frame(level: float, seed: int = 3, edge: int = 96) -> NDArray[np.int64]:
    return np.random.default_rng(seed).poisson(level, (edge, edge))


def test_tiles_agree_with_the_whole_frame(denoiser: FrameDenoiser) -> None:
    frame = simulate_frame(np.random.default_rng(4), (332, 410), 0.5)
    counts = frame.counts.astype(np.float32)
    whole = posterior_of_frame(denoiser.network, counts, frame.mask, tile=BINS * 40)
    tiled = posterior_of_frame(denoiser.network, counts, frame.mask, tile=BINS * 4)
    for one, other in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


def test_tile_that_cuts_bins_is_refused(denoiser: FrameDenoiser) -> None:
    with pytest.raises(ValueError, match="tile is 100, expected a multiple of 16"):
        denoiser.denoise(flat_frame(1.0), tile=100)


@pytest.mark.parametrize("level", [0.01, 1.0, 100.0])
def test_counts_of_a_frame_are_kept(denoiser: FrameDenoiser, level: float) -> None:
    counts = flat_frame(level, edge=192)
    found = denoiser.denoise(counts)
    region = np.zeros(counts.shape, bool)
    region[32:160, 32:160] = True
    sums = region_counts(counts, found, region)
    truth = level * region.sum()
    assert abs(sums.denoised - truth) < max(0.02 * truth, 3 * sums.denoised_error)
    assert sums.raw == counts[region].sum()
    assert sums.raw_error == pytest.approx(np.sqrt(sums.raw))


def test_errors_hold_on_unseen_frames(denoiser: FrameDenoiser) -> None:
    frames = [simulated(SEED, number) for number in range(24)]
    found = [denoiser.denoise(frame.counts, frame.mask) for frame in frames]
    coverage = coverage_of(frames, [one.rate for one in found], [one.error.astype(float) for one in found])
    assert 0.6 < coverage.one < 0.78
    assert 0.9 < coverage.two < 0.99


def test_rates_are_nearer_to_the_truth_than_raw_counts(denoiser: FrameDenoiser) -> None:
    for quality, _ in evaluate_rates(denoiser, SEED, 2).values():
        assert quality["denoised"].relative_error < 0.7 * quality["raw counts"].relative_error
        assert quality["denoised"].psnr > quality["raw counts"].psnr
        assert quality["denoised"].ms_ssim > quality["raw counts"].ms_ssim


def test_peak_has_its_counts_and_place(denoiser: FrameDenoiser) -> None:
    rate = 0.2 + 300 * peak_image((128, 128), 60.3, 71.8, (2.0, 2.0), 0.0)
    counts = np.random.default_rng(8).poisson(rate)
    peaks = find_peaks(denoiser.denoise(counts))
    assert len(peaks) == 1
    peak = peaks[0]
    assert peak.counts == pytest.approx(300, abs=3 * peak.counts_error)
    assert peak.counts_denoised == pytest.approx(300, rel=0.2)
    assert (peak.row, peak.column) == pytest.approx((60.3, 71.8), abs=4 * peak.row_error)
    assert peak.width == pytest.approx(2 * 2.3548, rel=0.25)


def test_flat_frames_show_no_peaks(denoiser: FrameDenoiser) -> None:
    frames = np.stack([flat_frame(level, seed, 192) for seed, level in enumerate((0.01, 0.1, 1.0, 10.0))])
    found = denoiser.denoise(frames)
    assert [len(find_peaks(found.frame(number))) for number in range(4)] == [0, 0, 0, 0]
    assert found.unlike == ((), (), (), ())


def test_simulated_frames_are_like_the_training(denoiser: FrameDenoiser) -> None:
    frames = [simulated(SEED, number) for number in range(40, 60)]
    strange = [denoiser.denoise(frame.counts, frame.mask).unlike[0] for frame in frames]
    assert sum(bool(sentences) for sentences in strange) <= 2


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (flat_frame(3.0) * 10, "All counts are multiples of 10: these are no photons; give the gain 10"),
        (flat_frame(30.0) * 4 + 1, "The noise is .* times that of photon counts; are these photons"),
        (np.full((96, 96), 7), "less than counting allows; were the frames averaged"),
        (flat_frame(30000.0), "above the trained range to 1000"),
        (
            np.minimum(flat_frame(2.0) * np.where(np.eye(96), 300, 1), 255),
            "hold the largest count 255: they look saturated",
        ),
        (np.zeros((96, 96), int), "below the trained range from 0.001"),
    ],
)
def test_strange_frame_is_told(denoiser: FrameDenoiser, counts: NDArray[np.int64], sentence: str) -> None:
    unlike = denoiser.denoise(counts).unlike[0]
    assert any(re.search(sentence, one) for one in unlike), unlike


def test_hot_pixels_are_told(denoiser: FrameDenoiser) -> None:
    counts = flat_frame(0.5)
    counts[::6, ::5] = 400 + np.arange(20)
    assert any("spurious hits or hot" in one for one in denoiser.denoise(counts).unlike[0])


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    for file in (WEIGHTS / SHIPPED).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    network, card = read_version(tmp_path)
    assert network.architecture.stride == 8
    assert card["version"].startswith(f"{SHIPPED}+")
    content = bytearray((tmp_path / "network.pt").read_bytes())
    content[-1] ^= 1
    (tmp_path / "network.pt").write_bytes(content)
    with pytest.raises(ValueError, match="is not the file of its card"):
        FrameDenoiser.load(tmp_path)


def test_thinned_parts_add_up_to_the_counts() -> None:
    counts = flat_frame(4.0)
    parts = thin(np.random.default_rng(1), counts, 0.25)
    np.testing.assert_array_equal(parts.seen + parts.held_out, counts)
    assert parts.seen.sum() / counts.sum() == pytest.approx(0.25, abs=0.01)
    correlation = np.corrcoef(parts.seen.ravel(), parts.held_out.ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(counts.size)
    with pytest.raises(ValueError, match="fraction is 1"):
        thin(np.random.default_rng(1), counts, 1.0)


def test_held_out_photons_of_measured_frames_are_predicted(denoiser: FrameDenoiser, measured_data: Path) -> None:
    with h5py.File(measured_data / "id10_maxipix_frames.h5") as file:
        frames = file["entry/data/data"][:20]
    found = evaluate_measured(denoiser, frames, SEED, sums=(5,), repeats=2)[0]
    assert found.exposure["denoised"] > 1
    assert 0.6 < found.within_one < 0.8
