"""What is no frame of counts is refused with the argument, its value and what is expected."""

from typing import Any

import numpy as np
import pytest

from frame_denoiser import FrameDenoiser, find_peaks, region_counts

COUNTS = np.random.default_rng(1).poisson(2.0, (24, 32))


def changed(value: float, kind: type = float) -> Any:
    counts = COUNTS.astype(kind)
    counts[3, 5] = value
    return counts


@pytest.fixture(scope="module")
def denoiser() -> FrameDenoiser:
    return FrameDenoiser.load()


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (COUNTS[0], r"counts has shape \(32,\), expected \(H, W\) or \(F, H, W\)"),
        (COUNTS[None, None], r"counts has shape \(1, 1, 24, 32\)"),
        (COUNTS[:1], r"counts has shape \(1, 32\), expected frames of at least 16 pixels"),
        (COUNTS[:1, :1], r"counts has shape \(1, 1\), expected frames of at least 16 pixels"),
        (COUNTS[None][:0], r"counts has shape \(0, 24, 32\)"),
        (changed(np.nan), r"counts\[3, 5\] is nan, expected finite numbers"),
        (changed(np.inf), r"counts\[3, 5\] is inf, expected finite numbers"),
        (changed(-1, int), r"counts\[3, 5\] is -1, expected no negative counts"),
        (changed(0.37), r"counts\[3, 5\] is 0.37, expected whole photons; give the gain"),
        (changed(2**32 - 1, int), r"counts\[3, 5\] is 4294967295, expected at most 16777216; mask pixels"),
        (COUNTS.astype(complex), r"counts has type complex128"),
    ],
)
def test_counts_that_are_none_are_refused(denoiser: FrameDenoiser, counts: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        denoiser.denoise(counts)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones((32, 24), bool), r"mask has shape \(32, 24\), expected \(24, 32\)"),
        (np.zeros((24, 32), bool), "mask leaves out all pixels"),
        (np.full((24, 32), 0.5), "mask has type float64 and values beside 0 and 1"),
    ],
)
def test_unusable_mask_is_refused(denoiser: FrameDenoiser, mask: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        denoiser.denoise(COUNTS, mask)


@pytest.mark.parametrize("gain", [0.0, -1.0, np.nan])
def test_unusable_gain_is_refused(denoiser: FrameDenoiser, gain: float) -> None:
    with pytest.raises(ValueError, match=r"gain is .*, expected a positive number"):
        denoiser.denoise(COUNTS * 10.0, gain=gain)


def test_exposure_of_no_frames_is_refused(denoiser: FrameDenoiser) -> None:
    with pytest.raises(ValueError, match="frames_summed is 0, expected at least 1"):
        denoiser.denoise(COUNTS, frames_summed=0)


def test_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version_or_folder is 'v99'"):
        FrameDenoiser.load("v99")


def test_gain_turns_detector_units_into_photons(denoiser: FrameDenoiser) -> None:
    noise = np.random.default_rng(2).normal(0, 1, COUNTS.shape)
    photons = denoiser.denoise(COUNTS)
    units = denoiser.denoise(COUNTS * 12.5 + noise, gain=12.5)
    assert np.array_equal(units.counts, photons.counts)
    assert np.array_equal(units.rate, photons.rate)


def test_stack_is_denoised_frame_by_frame(denoiser: FrameDenoiser) -> None:
    stack = np.stack([COUNTS, COUNTS[::-1]])
    both = denoiser.denoise(stack)
    alone = denoiser.denoise(stack[1])
    np.testing.assert_array_equal(both.rate[1], alone.rate)
    assert both.frame(1).rate.shape == COUNTS.shape
    assert len(both.unlike) == 2


def test_frame_of_zero_counts_has_a_rate_within_its_error_of_zero(denoiser: FrameDenoiser) -> None:
    found = denoiser.denoise(np.zeros((64, 64), np.uint16))
    assert np.isfinite(found.rate).all()
    assert (found.rate < 0.01).all()
    assert (found.error > 0).all()
    assert not find_peaks(found)


def test_gaps_have_a_rate_and_no_residual(denoiser: FrameDenoiser) -> None:
    mask = np.ones(COUNTS.shape, bool)
    mask[:, 10:14] = False
    found = denoiser.denoise(np.where(mask, COUNTS, 60000), mask)
    assert np.isfinite(found.rate).all()
    assert found.rate.max() < 20
    assert np.isnan(found.residual[~mask]).all()
    assert np.isfinite(found.residual[mask]).all()


def test_peaks_need_one_frame(denoiser: FrameDenoiser) -> None:
    stack = denoiser.denoise(np.stack([COUNTS, COUNTS]))
    with pytest.raises(ValueError, match=r"arrays of shapes .*, expected those of one frame"):
        find_peaks(stack)
    with pytest.raises(ValueError, match="significance is 0"):
        find_peaks(stack.frame(0), significance=0)
    with pytest.raises(ValueError, match=r"mask has shape \(2, 2\)"):
        find_peaks(stack.frame(0), np.ones((2, 2), bool))


def test_region_without_usable_pixel_is_refused(denoiser: FrameDenoiser) -> None:
    found = denoiser.denoise(COUNTS)
    nothing = np.zeros(COUNTS.shape, bool)
    with pytest.raises(ValueError, match="region holds 0 pixels, none of them usable"):
        region_counts(COUNTS, found, nothing)
    with pytest.raises(ValueError, match=r"region has shape \(2, 2\), expected \(24, 32\)"):
        region_counts(COUNTS, found, np.ones((2, 2), bool))
