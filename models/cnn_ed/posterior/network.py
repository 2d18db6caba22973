"""The network that turns a curve into a posterior: a mixture of Gaussians over the parameters of its decay."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnn_ed.posterior.mixture import Mixture

SIZE = 4
"""Parameters of a decay."""
TRIANGLE = SIZE * (SIZE + 1) // 2


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: numbers in, neurons of each of three hidden layers, components of the mixture."""

    features: int
    hidden: int = 192
    components: int = 3


class PosteriorNetwork(nn.Module):
    """Three hidden layers; the centre of each component may rest on a least-squares fit that is given beside.

    Where a curve is precise, its fit is right to less than any network learns to compute, so the centre is
    g · fit + (1 - g) · own with a gate g for each parameter that the network sets. With it the estimate and the fit
    agree where there are many frames and photons.
    """

    centre: Tensor
    width: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("centre", torch.zeros(shape.features))
        self.register_buffer("width", torch.ones(shape.features))
        outputs = shape.components * (1 + SIZE + TRIANGLE) + SIZE
        self.layers = nn.Sequential(
            nn.Linear(shape.features, shape.hidden),
            nn.SiLU(),
            nn.Linear(shape.hidden, shape.hidden),
            nn.SiLU(),
            nn.Linear(shape.hidden, shape.hidden),
            nn.SiLU(),
            nn.Linear(shape.hidden, outputs),
        )

    def forward(self, features: Tensor, fit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (M, C), means (M, C, 4) and lower triangular factors (M, C, 4, 4) of the precision."""
        components = self.shape.components
        out = self.layers((features - self.centre) / self.width)
        logits, own, triangle, gate = out.split([components, components * SIZE, components * TRIANGLE, SIZE], dim=1)
        gate = torch.sigmoid(gate - 1)[:, None]
        mean = gate * fit[:, None] + (1 - gate) * own.unflatten(1, (components, SIZE))
        triangle = triangle.unflatten(1, (components, TRIANGLE))
        factor = torch.zeros(*triangle.shape[:2], SIZE, SIZE, dtype=out.dtype)
        rows, columns = torch.tril_indices(SIZE, SIZE, -1)
        diagonal = torch.arange(SIZE)
        log_precision = 7 * torch.tanh(triangle[..., :SIZE] / 7)
        factor[..., diagonal, diagonal] = log_precision.exp()
        factor[..., rows, columns] = triangle[..., SIZE:]
        return logits, mean, factor

    def mixture(self, features: Tensor, fit: Tensor) -> Mixture:
        """The same as a `Mixture`."""
        logits, mean, factor = self(features, fit)
        identity = torch.eye(SIZE, dtype=factor.dtype).expand_as(factor)
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        return Mixture(torch.softmax(logits, dim=1), mean, inverse.transpose(-1, -2) @ inverse)


def together(mixtures: list[Mixture]) -> Mixture:
    """One mixture in which each of the given ones has the same say."""
    return Mixture(
        torch.cat([one.weight / len(mixtures) for one in mixtures], dim=1),
        torch.cat([one.mean for one in mixtures], dim=1),
        torch.cat([one.covariance for one in mixtures], dim=1),
    )
