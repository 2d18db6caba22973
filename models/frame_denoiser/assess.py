"""What a trained network is told about itself: factors of its errors, and the traits of frames it knows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from frame_denoiser.applicability import Limits, traits_of
from frame_denoiser.calibration import calibrate
from frame_denoiser.denoiser import residual_of
from frame_denoiser.network import FrameNetwork
from frame_denoiser.simulation import SimulatedFrame, simulate_frame
from frame_denoiser.tiles import posterior_of_frame

EDGE = 192
"""Pixels; larger than the frames of the training."""


def assess(
    network: FrameNetwork, seed: int, frames: int = 600, progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Entries "calibration" and "limits" of the card, from simulated frames of another seed than the training's.

    Parameters
    ----------
    network : trained
    seed : of the training
    frames : to simulate
    progress : told the fraction done
    """
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    # Simulated twice: hundreds of frames at once would need much memory.
    calibration = calibrate(network, (simulated(seed, number) for number in range(frames)))
    traits = []
    for number in range(frames):
        frame = simulated(seed, number)
        counts = frame.counts.astype(np.float32)
        log_mean, log_shape = posterior_of_frame(network, counts, frame.mask)
        rate, error = calibration.apply(counts, frame.mask, log_mean, log_shape)
        traits.append(traits_of(counts, rate, residual_of(counts, rate, error, frame.mask), frame.mask))
        if progress is not None:
            progress((number + 1) / frames)
    return {
        "calibration": calibration.document(),
        "limits": Limits.of_traits(traits).document(),
    }


def simulated(seed: int, number: int) -> SimulatedFrame:
    """A frame that no training of this seed sees; their random numbers have keys of two parts."""
    return simulate_frame(np.random.default_rng([seed, number, 1]), (EDGE, EDGE))
