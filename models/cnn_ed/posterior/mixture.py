"""Mixtures of Gaussians over the four parameters of a decay: quantiles, covariances, and what a known value tells."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

QUANTILE_STEPS = 16
"""Halvings of the interval in which a quantile is sought: to 2e-4 of the widest component's standard deviation."""


@dataclass(frozen=True)
class Mixture:
    """Posteriors of M curves, each of C components.

    Attributes
    ----------
    weight : (M, C), adding up to 1
    mean : (M, C, D)
    covariance : (M, C, D, D)
    """

    weight: Tensor
    mean: Tensor
    covariance: Tensor

    def quantiles(self, shares: tuple[float, ...]) -> Tensor:
        """Values (M, D, S) of each parameter below which these shares of its posterior lie."""
        scale = self.covariance.diagonal(dim1=-2, dim2=-1).clamp(min=1e-18).sqrt()
        centre, width = self.mean.transpose(1, 2)[..., None, :], scale.transpose(1, 2)[..., None, :]  # (M, D, 1, C)
        wanted = torch.tensor(shares, dtype=self.mean.dtype)
        low = (centre - 6 * width).amin(-1).expand(-1, -1, len(shares)).clone()
        high = (centre + 6 * width).amax(-1).expand(-1, -1, len(shares)).clone()
        weight = self.weight[:, None, None]
        for _ in range(QUANTILE_STEPS):
            middle = (low + high) / 2
            below = (weight * torch.special.ndtr((middle[..., None] - centre) / width)).sum(-1)
            under = below < wanted
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (M, D) and covariance (M, D, D) of the whole mixture."""
        weight = self.weight[..., None]
        mean = (weight * self.mean).sum(1)
        offset = self.mean - mean[:, None]
        outer = offset[..., :, None] * offset[..., None, :]
        return mean, (weight[..., None] * (self.covariance + outer)).sum(1)

    def given(self, known: dict[int, Tensor]) -> "Mixture":
        """The posterior where some parameters are known: values (M,) by their number.

        Notes
        -----
        Each component is conditioned and weighed by how well it foretold the known values. Known parameters keep
        their value and no variance.
        """
        if not known:
            return self
        size = self.mean.shape[-1]
        fixed = sorted(known)
        free = [d for d in range(size) if d not in known]
        value = torch.stack([known[d] for d in fixed], dim=-1)  # (M, F)
        offset = value[:, None] - self.mean[..., fixed]
        within = self.covariance[..., fixed, :][..., fixed]
        factor = torch.linalg.cholesky(within)
        solved = torch.cholesky_solve(offset[..., None], factor)[..., 0]
        log_weight = (
            self.weight.clamp(min=1e-30).log()
            - 0.5 * (offset * solved).sum(-1)
            - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        )
        mean, covariance = self.mean.clone(), torch.zeros_like(self.covariance)
        mean[..., fixed] = value[:, None].expand(offset.shape)
        if free:
            across = self.covariance[..., free, :][..., fixed]
            lever = torch.cholesky_solve(across.transpose(-1, -2), factor).transpose(-1, -2)
            mean[..., free] = self.mean[..., free] + (lever @ offset[..., None])[..., 0]
            left = self.covariance[..., free, :][..., free] - lever @ across.transpose(-1, -2)
            for place, d in enumerate(free):
                covariance[..., d, free] = left[..., place, :]
        return Mixture(torch.softmax(log_weight, dim=1), mean, covariance)


def log_density(logits: Tensor, mean: Tensor, factor: Tensor, values: Tensor) -> Tensor:
    """Logarithm (M,) of the density at values (M, D).

    Parameters
    ----------
    logits : (M, C)
    mean : (M, C, D)
    factor : (M, C, D, D), lower triangular F with the precision F Fᵀ
    """
    offset = values[:, None] - mean
    whitened = (factor.transpose(-1, -2) @ offset[..., None])[..., 0]
    size = values.shape[-1]
    log_normal = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) - 0.5 * (whitened**2).sum(-1)
    return torch.logsumexp(torch.log_softmax(logits, dim=1) + log_normal, dim=1) - size / 2 * math.log(2 * math.pi)
