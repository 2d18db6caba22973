"""The networks of Oppliger et al. 2024, as rivals: VDSR and IRUNet on frames that are scaled to 1.

Both see a frame scaled by its own largest counts and are trained against a long exposure scaled by its own; absolute
counts are lost. To stand in a table of rates, the output is scaled so that it holds the counts of its input.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

NetworkName = Literal["vdsr", "irunet"]
CHANNELS = 64
MULTIPLE = 16
"""Sides of frames must be divisible by this."""
QUANTILE = 0.999
"""Of the counts of a frame that is scaled to 1; single Bragg peaks and hot pixels do not decide."""


class VDSR(nn.Module):
    """Twenty 3 x 3 convolutions of 64 channels with PReLU, one that makes an image, and the input added to it.

    Notes
    -----
    Kim 2016, as Oppliger 2024 uses it. A PReLU has one slope for each channel here; one for each pixel would tie the
    network to frames of one size.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in in (1, *[CHANNELS] * 19):
            layers += [nn.Conv2d(channels_in, CHANNELS, 3, padding=1), nn.PReLU(CHANNELS)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(CHANNELS, 1, 3, padding=1))
        self.layers.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, H, W) of images (B, 1, H, W)."""
        added: Tensor = self.layers(images)
        return images + added


class IRUNet(nn.Module):
    """U-Net of four levels from inception blocks, 64 channels throughout; the skips of the upper levels are added.

    Notes
    -----
    Gil Zuluaga 2021, as Oppliger 2024 uses it: 1,954,497 weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.down = nn.ModuleList(nn.Sequential(_Reduction(), _Inception()) for _ in range(4))
        self.up = nn.ModuleList(nn.ConvTranspose2d(CHANNELS, CHANNELS, 2, stride=2) for _ in range(4))
        self.blocks = nn.ModuleList(_Inception() for _ in range(4))
        self.tail = nn.Conv2d(CHANNELS, 1, 1)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, H, W), 0 to 1, of images (B, 1, H, W) with sides divisible by 16."""
        hidden = functional.relu(self.head(images))
        kept = []
        for down in self.down:
            hidden = down(hidden)
            kept.append(hidden)
        # The published network adds what was kept at half and at a quarter of the resolution, and no more.
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            hidden = block(functional.relu(up(hidden)))
            if level in (1, 2):
                hidden = hidden + kept[2 - level]
        return torch.sigmoid(self.tail(hidden))


class _Inception(nn.Module):
    """Three convolutions side by side, one of them dilated, and the input added to their mixture."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.wide = nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1)
        self.far = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=2, dilation=2)
        self.mix = nn.Conv2d(4 * CHANNELS, CHANNELS, 1)

    def forward(self, images: Tensor) -> Tensor:
        branches = [functional.relu(branch(images)) for branch in (self.near, self.wide, self.far)]
        mixed: Tensor = self.mix(torch.cat(branches, dim=1))
        return images + mixed


class _Reduction(nn.Module):
    """The same at half the resolution: two convolutions and a mean side by side, a convolution past them."""

    def __init__(self) -> None:
        super().__init__()
        self.past = nn.Conv2d(CHANNELS, CHANNELS, 2, stride=2)
        self.near = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, stride=2, padding=1)
        self.mix = nn.Conv2d(4 * CHANNELS, CHANNELS, 1)

    def forward(self, images: Tensor) -> Tensor:
        branches = [functional.relu(self.near(images)), functional.relu(self.wide(images))]
        mixed: Tensor = self.mix(torch.cat([*branches, functional.avg_pool2d(images, 2)], dim=1))
        passed: Tensor = self.past(images)
        return passed + mixed


NETWORKS: Mapping[NetworkName, Callable[[], nn.Module]] = {"vdsr": VDSR, "irunet": IRUNet}
"""By the name that the command line knows."""


def scaled(image: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """An image (H, W) over its own largest values, 0 to 1, and 0 where masked."""
    usable = image[mask]
    top = float(np.quantile(usable, QUANTILE)) if usable.size else 1.0
    top = top if top > 0 else max(float(usable.max(initial=0.0)), 1.0)
    return np.where(mask, np.clip(image / top, 0, 1), 0).astype(np.float32)


def denoised_rate(network: nn.Module, counts: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rate (H, W) of a frame by a published network; holds as many counts on usable pixels as the frame does."""
    image = scaled(counts, mask)
    height, width = image.shape
    sides = (-height % MULTIPLE, -width % MULTIPLE)
    padded = np.pad(image, ((0, sides[0]), (0, sides[1])), mode="reflect" if min(image.shape) > MULTIPLE else "edge")
    with torch.no_grad():
        found = network(torch.from_numpy(padded)[None, None])[0, 0, :height, :width].numpy().astype(float)
    rate = np.maximum(found, 0.0)
    held = float(rate[mask].sum())
    return np.asarray(rate * (float(counts[mask].sum()) / held if held > 0 else 0.0))


def _initialise(module: nn.Module) -> None:
    """Weights as He 2015 draws them, biases 0, as published."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
