"""Sums of rates over regions follow the counts where the counts know better."""

import numpy as np
import pytest

from frame_denoiser import FrameDenoiser
from frame_denoiser.balance import LARGEST, balanced
from frame_denoiser.region_quality import evaluate_regions


def test_many_counts_correct_the_rate_and_few_do_not() -> None:
    rng = np.random.default_rng(1)
    known = np.ones((96, 96), bool)
    known[40:50] = False
    for level, expected in ((1000.0, 1.0), (0.01, 1.02)):
        counts = np.where(known, rng.poisson(level, known.shape), 10**6).astype(np.float32)
        rate = np.full(known.shape, 1.02 * level, np.float32)
        assert balanced(counts, rate, known).mean() / level == pytest.approx(expected, abs=2e-3)


def test_rate_is_changed_by_three_per_cent_at_most() -> None:
    rate = np.full((64, 64), 100.0, np.float32)
    found = balanced(np.full((64, 64), 500.0, np.float32), rate, np.ones((64, 64), bool))
    np.testing.assert_allclose(found, 100 * (1 + LARGEST), rtol=1e-5)


def test_errors_of_region_sums_hold() -> None:
    for quality in evaluate_regions(FrameDenoiser.load(), 31, 10):
        assert quality.within_one > 0.5
        assert quality.within_two > 0.8
