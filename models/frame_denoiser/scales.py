"""Local mean rates of a frame at several scales, each shrunk towards the coarser one by its counts.

The neighbourhood of a pixel is a Gaussian of width s. It holds c = A G_s * (n m) counts in A = 4 pi s² (G_s * m)
usable pixels. With a prior of mean r' (the rate at the next coarser scale) and shape a, a gamma distribution, the
posterior mean of the rate is

    r = (c + a) / (A + a / r')

Where a scale has few counts its rate is that of the coarser scale. All of it is free of a unit of intensity: 0.001
photons per pixel are seen at coarse scales, 1000 at the finest.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SHAPE = 4.0
"""Shape a of the gamma prior: a scale is believed when it holds some four counts."""

WIDTHS = (32.0, 16.0, 8.0, 4.0, 2.0, 1.0)
"""Widths of the Gaussians, pixels; all but the last are made of binned frames."""

BINS = 16
"""Largest edge of a bin, pixels; places of bins stay the same where parts of a frame start at multiples of it."""

FEATURES = len(WIDTHS) + 6


@dataclass(frozen=True)
class Scales:
    """Rates of frames at several scales.

    Attributes
    ----------
    rates : (S, B, 1, H, W), counts per pixel; from coarse to fine
    counts : (S, B, 1, H, W), c in the neighbourhood of each scale
    pixels : (S, B, 1, H, W), A in the neighbourhood
    """

    rates: Tensor
    counts: Tensor
    pixels: Tensor

    @property
    def base(self) -> Tensor:
        """Rates (B, 1, H, W) at the finest scale."""
        return self.rates[-1]


def mean_rate(counts: Tensor, mask: Tensor) -> Tensor:
    """Mean rate (B, 1, 1, 1) of the usable pixels of frames (B, 1, H, W); above zero without any count."""
    total = (counts * mask).sum(dim=(1, 2, 3), keepdim=True)
    return (total + 0.5) / mask.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)


def scales_of(counts: Tensor, mask: Tensor, overall: Tensor | None = None) -> Scales:
    """Rates of frames at the scales of `WIDTHS`.

    Parameters
    ----------
    counts : (B, 1, H, W), counts; whatever value where masked
    mask : (B, 1, H, W), 1 where usable
    overall : (B, 1, 1, 1), mean rate that the widest scale is shrunk to; None: `mean_rate`
    """
    known = torch.cat([counts * mask, mask], dim=1)  # (B, 2, H, W)
    rate = (mean_rate(counts, mask) if overall is None else overall).expand_as(counts)
    rates, sums, areas = [], [], []
    for width in WIDTHS:
        local = _blurred(known, width) * (4 * math.pi * width**2)
        count, area = local[:, :1], local[:, 1:]
        rate = (count + SHAPE) / (area + SHAPE / rate)
        rates.append(rate)
        sums.append(count)
        areas.append(area)
    return Scales(torch.stack(rates), torch.stack(sums), torch.stack(areas))


def features_of(counts: Tensor, mask: Tensor, scales: Scales) -> Tensor:
    """What the network sees, (B, FEATURES, H, W): deviations of each scale from the coarser one, level and mask."""
    coarser = scales.rates[:-1]
    deviations = _deviation(scales.counts[1:], scales.pixels[1:] * coarser).squeeze(2).transpose(0, 1)
    base = scales.base
    seen = counts * mask
    single = _deviation(seen, base * mask)
    ratio = torch.log((seen + 1) / (base + 1)) * mask
    steps = torch.log(scales.rates[-3:] / scales.rates[-4:-1]).squeeze(2).transpose(0, 1)
    level = torch.log(base) / 3
    return torch.cat([deviations, single, ratio, steps, level, mask], dim=1)


def _deviation(count: Tensor, expected: Tensor) -> Tensor:
    """Difference of a count from its expectation in standard deviations, compressed where it is large."""
    return torch.asinh(2 * (torch.sqrt(count + 0.375) - torch.sqrt(expected + 0.375)))


def _blurred(images: Tensor, width: float) -> Tensor:
    """Images (B, C, H, W) convolved with a Gaussian of some width, pixels; zero outside; wide ones on binned pixels."""
    bin_size = max(1, int(width // 2))
    height, breadth = images.shape[-2:]
    if bin_size > 1:
        images = functional.pad(images, (0, -breadth % bin_size, 0, -height % bin_size))
        images = functional.avg_pool2d(images, bin_size)
    images = _convolved(images, width / bin_size)
    if bin_size > 1:
        images = functional.interpolate(images, scale_factor=bin_size, mode="bilinear", align_corners=False)
    return images[..., :height, :breadth]


def _convolved(images: Tensor, width: float) -> Tensor:
    radius = int(3 * width + 0.5)
    places = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (places / width) ** 2)
    kernel = kernel / kernel.sum()
    flat = images.reshape(-1, 1, *images.shape[-2:])
    flat = functional.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(radius, 0))
    flat = functional.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, radius))
    return flat.view(*images.shape[:-2], *flat.shape[-2:])
