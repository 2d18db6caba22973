"""Training without long exposures: counts of measured frames are split into seen and held-out ones.

Each photon goes to one part or the other by a coin. The parts of a Poisson count are independent Poisson counts, so the
held-out part is as good as a second exposure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from frame_denoiser.counts import checked_counts, checked_mask
from frame_denoiser.likelihood import held_out_loss
from frame_denoiser.network import FrameNetwork
from frame_denoiser.train import Schedule, predict

HOT = 30.0
"""Mean of a pixel over the median of its neighbours above which it is hot; sharp Bragg peaks stay below."""

FEW = 20
"""Counts that chance does not make of none, or none of them."""


@dataclass(frozen=True)
class Thinned:
    """Two parts of the same counts, (..., H, W) each."""

    seen: NDArray[np.float32]
    held_out: NDArray[np.float32]


Crop = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], float]
"""Of one size (H, W): counts that a network sees, counts held out, usable pixels; exposure of the held-out part."""


def loss_of_crops(network: FrameNetwork, crops: Sequence[Crop]) -> Tensor:
    """Improbability of the held-out counts of a batch, given the seen ones."""
    seen, held_out, mask, exposure = (
        torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*crops, strict=True)
    )
    return held_out_loss(predict(network, seen, mask), held_out, exposure[:, None, None], mask)


def thin(rng: np.random.Generator, counts: NDArray[np.generic], fraction: float) -> Thinned:
    """Split counts at random; each photon is seen with a probability.

    Parameters
    ----------
    rng : source of randomness
    counts : (..., H, W) array, photon counts
    fraction : probability, above 0 and below 1

    Raises
    ------
    ValueError
        If the fraction leaves nothing on one side.

    Notes
    -----
    Exact for Poisson counts: both parts are Poisson counts, with rates `fraction` and 1 - `fraction` of the whole, and
    independent of each other.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, expected a number above 0 and below 1.")
    whole = np.asarray(counts).astype(np.int64)
    seen = rng.binomial(whole, fraction)
    return Thinned(seen.astype(np.float32), (whole - seen).astype(np.float32))


def usable_pixels(total: NDArray[np.generic], frames: int, hot_above: float = HOT) -> NDArray[np.bool_]:
    """Pixels (H, W) that are neither dead nor hot, as far as their counts tell.

    Parameters
    ----------
    total : (H, W) array, counts of all frames together
    frames : how many these are
    hot_above : a pixel is hot when it counts so many times the median of its 5 x 5 neighbours, and more than one count
        a frame above it

    Notes
    -----
    A pixel without counts is dead only where the median of its neighbours is 20 or more, which chance does not bring to
    zero; leaving out pixels that are zero by chance would make rates too high.
    """
    counts = np.asarray(total, np.float64)
    around = ndimage.median_filter(counts, 5)
    hot = (counts > hot_above * around) & (counts > around + max(frames, FEW))
    return np.asarray(~hot & ~((counts == 0) & (around >= FEW)))


class MeasuredExamples:
    """Crops of measured frames: sums of a few of them, split anew in each step.

    Parameters
    ----------
    frames : (F, H, W) array, photon counts
    mask : (H, W), True where usable; None: `usable_pixels`
    largest_sum : frames in the largest sum

    Raises
    ------
    ValueError
        If frames or mask cannot be used; see `frame_denoiser.counts`.
    """

    def __init__(
        self, frames: NDArray[np.generic], mask: NDArray[np.bool_] | None = None, largest_sum: int = 16
    ) -> None:
        checked = checked_counts(frames)
        self._frames = checked.reshape(-1, *checked.shape[-2:])
        self._mask = (
            usable_pixels(self._frames.sum(axis=0), len(self._frames))
            if mask is None
            else checked_mask(mask, checked.shape)
        )
        self._largest_sum = min(largest_sum, len(self._frames))

    def loss(self, network: FrameNetwork, rng: np.random.Generator, schedule: Schedule) -> Tensor:
        """Improbability of the held-out counts of a batch."""
        # Sides divisible by 16 suit every depth of the network.
        edges = [min(schedule.size, side // 16 * 16) for side in self._frames.shape[1:]]
        return loss_of_crops(network, [self._crop(rng, edges) for _ in range(schedule.batch)])

    def _crop(self, rng: np.random.Generator, edges: list[int]) -> Crop:
        number = int(rng.integers(1, self._largest_sum + 1))
        chosen = rng.choice(len(self._frames), number, replace=False)
        corner = [int(rng.integers(0, side - edge + 1)) for side, edge in zip(self._mask.shape, edges, strict=True)]
        cut = tuple(slice(start, start + edge) for start, edge in zip(corner, edges, strict=True))
        fraction = float(rng.uniform(0.1, 0.9))
        parts = thin(rng, self._frames[chosen][(slice(None), *cut)].sum(axis=0), fraction)
        turned = int(rng.integers(0, 4)) if edges[0] == edges[1] else 0
        seen, held_out = (np.rot90(part, turned).copy() for part in (parts.seen, parts.held_out))
        return seen, held_out, np.rot90(self._mask[cut], turned).copy(), (1 - fraction) / fraction
