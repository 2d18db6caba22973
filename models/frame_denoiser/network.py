"""The network: a U-Net that corrects the smoothed rate of each pixel and says how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from frame_denoiser.scales import FEATURES, SHAPE, Scales, features_of, scales_of

LOWEST_SHAPE, HIGHEST_SHAPE = 0.2, 1e6
"""Limits of the shape of a posterior: relative errors of 220 % and 0.1 %."""


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    channels : of each level, from full resolution to the coarsest
    """

    channels: tuple[int, ...] = (24, 32, 48, 64)

    @property
    def stride(self) -> int:
        """Pixels that the coarsest level bins in each direction."""
        return 1 << (len(self.channels) - 1)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a connection that passes them by."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.past = nn.Conv2d(channels_in, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, channels, H, W) of images (B, channels_in, H, W)."""
        hidden = functional.relu(self.first(images))
        sum_: Tensor = self.second(hidden) + self.past(images)
        return functional.relu(sum_)


class FrameNetwork(nn.Module):
    """U-Net from features of a frame to two numbers of each pixel.

    The first is the logarithm of the rate relative to the smoothed one. The second is that of the shape of the
    posterior, a gamma distribution, relative to the counts in the smallest neighbourhood.
    """

    def __init__(self, architecture: Architecture = Architecture()) -> None:
        super().__init__()
        self.architecture = architecture
        channels = architecture.channels
        self.down = nn.ModuleList(_blocks([FEATURES, *channels]))
        self.up = nn.ModuleList(Block(coarse + fine, fine) for fine, coarse in pairwise(channels))
        self.out = nn.Conv2d(channels[0] + FEATURES, 2, 1)
        # Begins as the smoothed rate, so that training starts from something sensible.
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Corrections (B, 2, H, W) of features (B, FEATURES, H, W); H and W divisible by the stride."""
        kept, hidden = [], features
        for level, block in enumerate(self.down):
            hidden = block(functional.avg_pool2d(hidden, 2) if level else hidden)
            kept.append(hidden)
        for level in reversed(range(len(self.up))):
            wider = functional.interpolate(hidden, scale_factor=2, mode="nearest")
            hidden = self.up[level](torch.cat([wider, kept[level]], dim=1))
        # In full precision, in training too: a short number format would round rates to 0.4 %.
        with torch.autocast("cpu", enabled=False):
            corrections: Tensor = self.out(torch.cat([hidden.float(), features], dim=1))
        return corrections


@dataclass(frozen=True)
class Posterior:
    """Gamma distribution of the rate of each pixel.

    Attributes
    ----------
    log_mean : (B, H, W), logarithm of the mean, counts per pixel
    log_shape : (B, H, W), logarithm of the shape; the relative error is exp(-log_shape / 2)
    """

    log_mean: Tensor
    log_shape: Tensor


def posterior_of(corrections: Tensor, scales: Scales) -> Posterior:
    """Posterior of the rates from the output (B, 2, H, W) of the network."""
    base, counts = scales.base[:, 0], scales.counts[-1][:, 0]
    log_shape = (torch.log(counts + SHAPE) + corrections[:, 1]).clamp(
        float(torch.log(torch.tensor(LOWEST_SHAPE))), float(torch.log(torch.tensor(HIGHEST_SHAPE)))
    )
    return Posterior(torch.log(base) + corrections[:, 0].clamp(-12, 12), log_shape)


def apply(network: FrameNetwork, counts: Tensor, mask: Tensor) -> Posterior:
    """Posterior of the rates of frames (B, 1, H, W) with sides divisible by the stride."""
    with torch.no_grad():
        scales = scales_of(counts, mask)
        features = features_of(counts, mask, scales)
    corrections = network(features.contiguous(memory_format=torch.channels_last))
    return posterior_of(corrections, scales)


def _blocks(channels: Sequence[int]) -> list[Block]:
    return [Block(before, after) for before, after in pairwise(channels)]
