"""Frames of counts in, rates with standard errors out."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from frame_denoiser.counts import checked_counts, checked_mask
from frame_denoiser.scales import SHAPE, scales_of

Array = NDArray[np.float32]


@dataclass(frozen=True)
class DenoisedFrames:
    """Denoised frames; arrays (H, W) or (F, H, W) as the input, float32.

    Attributes
    ----------
    counts : raw counts, as given
    rate : counts per pixel in the exposure of the input, posterior mean; also in gaps, NaN where nothing is known
    error : standard error of `rate`
    residual : (counts - rate) / sqrt(rate + error²), standard deviations; NaN where masked
    unlike : for each frame, sentences why it differs from what the denoiser was made for
    version : of the denoiser
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
    version : name
    """

    def __init__(self, version: str) -> None:
        self.version = version

    @classmethod
    def load(cls, version_or_folder: str | Path | None = None) -> "FrameDenoiser":
        """The shipped denoiser, or the one of a version.

        Raises
        ------
        ValueError
            If there is no such version.
        """
        if version_or_folder not in (None, "scales"):
            raise ValueError(f"version_or_folder is {str(version_or_folder)!r}, expected 'scales' or None.")
        return cls("scales")

    def denoise(
        self,
        counts: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        *,
        frames_summed: int = 1,
        gain: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> DenoisedFrames:
        """Rates of frames, each for itself.

        Parameters
        ----------
        counts : (H, W) or (F, H, W) array, counts
        mask : (H, W), True where usable; None: all pixels
        frames_summed : detector frames that each image is the sum of
        gain : detector units for each photon where `counts` holds no photons
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
        rate, error = np.empty_like(stack), np.empty_like(stack)
        for number, frame in enumerate(stack):
            rate[number], error[number] = _smoothed(frame, usable)
            if progress is not None:
                progress((number + 1) / len(stack))
        residual = np.where(usable, (stack - rate) / np.sqrt(rate + error**2), np.nan).astype(np.float32)
        shape = frames.shape
        unlike: tuple[tuple[str, ...], ...] = ((),) * len(stack)
        return DenoisedFrames(
            frames, rate.reshape(shape), error.reshape(shape), residual.reshape(shape), unlike, self.version
        )


def _smoothed(frame: Array, usable: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Rate at the finest scale that has counts, and its error: counting, and the step from the coarser scale."""
    counts, mask = (torch.from_numpy(np.asarray(array, np.float32))[None, None] for array in (frame, usable))
    scales = scales_of(counts, mask)
    rate = scales.base
    counting = rate / torch.sqrt(scales.counts[-1] + SHAPE)
    error = torch.hypot(counting, rate - scales.rates[-2])
    return rate[0, 0].numpy(), error[0, 0].numpy()
