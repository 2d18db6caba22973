"""Frames of counts in, rates with standard errors out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frame_denoiser.applicability import Limits, differences, traits_of
from frame_denoiser.calibration import Calibration
from frame_denoiser.counts import checked_counts, checked_mask
from frame_denoiser.network import FrameNetwork
from frame_denoiser.stored import read_version
from frame_denoiser.tiles import TILE, posterior_of_frame

Array = NDArray[np.float32]


@dataclass(frozen=True)
class DenoisedFrames:
    """Denoised frames; arrays (H, W) or (F, H, W) as the input, float32.

    Attributes
    ----------
    counts : raw counts; with a gain, photons
    rate : counts per pixel in the exposure of the input, posterior mean; gaps hold what their surroundings tell
    error : standard error of `rate`
    residual : (counts - rate) / sqrt(rate + error²), standard deviations; NaN where masked
    unlike : for each frame, sentences why it differs from what the network was trained on
    version : of the network
    """

    counts: Array
    rate: Array
    error: Array
    residual: Array
    unlike: tuple[tuple[str, ...], ...]
    version: str

    def frame(self, number: int) -> "DenoisedFrames":
        """One frame, arrays (H, W)."""
        if self.counts.ndim == 2:
            return self
        arrays = {name: getattr(self, name)[number] for name in ("counts", "rate", "error", "residual")}
        return replace(self, unlike=(self.unlike[number],), **arrays)


class FrameDenoiser:
    """Turns frames of photon counts into rates with standard errors.

    Parameters
    ----------
    network : trained
    card : its description: version, calibration, limits
    """

    def __init__(self, network: FrameNetwork, card: Mapping[str, Any]) -> None:
        self.network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.version = str(card["version"])
        self._calibration = Calibration.of_card(card)
        self._limits = Limits.of_card(card)

    @classmethod
    def load(cls, version_or_folder: str | Path | None = None) -> "FrameDenoiser":
        """The shipped network, one of its versions by name, or one from a folder that training wrote.

        Raises
        ------
        ValueError
            If there is no such version, or its weights are not those of its card.
        """
        return cls(*read_version(version_or_folder))

    def denoise(
        self,
        counts: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        *,
        frames_summed: int = 1,
        gain: float | None = None,
        tile: int = TILE,
        progress: Callable[[float], None] | None = None,
    ) -> DenoisedFrames:
        """Rates of frames, each for itself.

        Parameters
        ----------
        counts : (H, W) or (F, H, W) array, counts
        mask : (H, W), True where usable; None: all pixels
        frames_summed : detector frames that each image is the sum of; a sum of photons is a count like any other, so
            this changes no rate
        gain : detector units for each photon where `counts` holds no photons; 1/F for the mean of F frames
        tile : edge of the pixels that are computed at a time; changes memory and speed, not the result
        progress : told the fraction done

        Returns
        -------
        DenoisedFrames

        Raises
        ------
        ValueError
            If an argument cannot be used; see `frame_denoiser.counts`.
        """
        if frames_summed < 1:
            raise ValueError(f"frames_summed is {frames_summed}, expected at least 1.")
        frames = checked_counts(counts, gain)
        usable = checked_mask(mask, frames.shape)
        stack = frames.reshape(-1, *frames.shape[-2:])
        rate, error, residual = (np.empty_like(stack) for _ in range(3))
        unlike = []
        for number, frame in enumerate(stack):

            def told(fraction: float, done: int = number) -> None:
                if progress is not None:
                    progress((done + fraction) / len(stack))

            log_mean, log_shape = posterior_of_frame(self.network, frame, usable, tile, told)
            rate[number], error[number] = self._calibration.apply(frame, usable, log_mean, log_shape)
            residual[number] = residual_of(frame, rate[number], error[number], usable)
            unlike.append(differences(traits_of(frame, rate[number], residual[number], usable), self._limits))
        shape = frames.shape
        rate, error, residual = (array.reshape(shape) for array in (rate, error, residual))
        return DenoisedFrames(frames, rate, error, residual, tuple(unlike), self.version)


def residual_of(counts: Array, rate: Array, error: Array, mask: NDArray[np.bool_]) -> Array:
    """What denoising took away, in standard deviations (H, W); NaN where masked."""
    return np.where(mask, (counts - rate) / np.sqrt(rate + error**2), np.float32(np.nan))
