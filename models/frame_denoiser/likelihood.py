"""What training minimises: the improbability of the truth, or of counts that the network did not see.

The posterior of the rate of a pixel is a gamma distribution of mean m and shape k. The best m is the mean of the true
posterior whatever k is, so that counts are kept on average; the best k makes the error right.
"""

import math

import torch
from torch import Tensor

from frame_denoiser.network import Posterior

HIDDEN_WEIGHT = 0.3
"""Weight of pixels in gaps, whose rate only their neighbours tell."""

STEEP = 4.0
"""Logarithm of true over predicted rate beyond which the loss goes on as a straight line."""

LARGEST_SHAPE = 1e4
"""Shape beyond which held-out counts say nothing more about it."""


def truth_loss(posterior: Posterior, rate: Tensor, mask: Tensor) -> Tensor:
    """Mean over pixels of -log p(rate), each weighted by the square root of its predicted relative error.

    Parameters
    ----------
    posterior : (B, H, W)
    rate : (B, H, W), true rate, counts per pixel
    mask : (B, H, W), 1 where usable

    Notes
    -----
    With u = log(rate / m): k (exp u - u - 1) + log Gamma(k) - k log k + k, up to a constant. The weight does not depend
    on the truth, so the best m and k stay what they are; without it frames of many counts would rule the gradient
    (Seitzer 2022, beta-NLL).
    """
    shape = torch.exp(posterior.log_shape)
    off = torch.log(rate) - posterior.log_mean
    near = off.clamp(max=STEEP)
    misfit = torch.expm1(near) - near + (off - near) * math.expm1(STEEP)
    loss = shape * misfit + _normalisation(shape)
    return _weighted_mean(loss, shape, HIDDEN_WEIGHT + (1 - HIDDEN_WEIGHT) * mask)


def held_out_loss(posterior: Posterior, counts: Tensor, exposure: Tensor, mask: Tensor) -> Tensor:
    """The same from counts that the network did not see; needs no truth.

    Parameters
    ----------
    posterior : (B, H, W), of the rate in the exposure that the network saw
    counts : (B, H, W), held out
    exposure : (B, 1, 1), of the held-out counts, in units of the seen one
    mask : (B, H, W), 1 where usable

    Notes
    -----
    Counts of a gamma-distributed rate follow the negative binomial distribution.
    """
    log_shape = posterior.log_shape.clamp(max=math.log(LARGEST_SHAPE))
    shape = torch.exp(log_shape)
    log_expected = posterior.log_mean + torch.log(exposure)
    log_sum = torch.logaddexp(log_shape, log_expected)
    loss = torch.lgamma(shape) - torch.lgamma(counts + shape)
    loss = loss + shape * (log_sum - log_shape) + counts * (log_sum - log_expected)
    return _weighted_mean(loss, shape, mask)


def _normalisation(shape: Tensor) -> Tensor:
    """log Gamma(k) - k log k + k, by Stirling's series where the terms would cancel."""
    small = shape.clamp(max=20.0)
    large = shape.clamp(min=20.0)
    exact = torch.lgamma(small) - small * torch.log(small) + small
    series = 0.5 * torch.log(2 * math.pi / large) + 1 / (12 * large)
    return torch.where(shape < 20.0, exact, series)


def _weighted_mean(loss: Tensor, shape: Tensor, weight: Tensor) -> Tensor:
    weight = weight * shape.detach() ** -0.5
    return (loss * weight).sum() / weight.sum()
