"""A plane on which like dynamics lie near each other: principal components of the models' latent vectors.

The latent vectors of all models, next to each other, vary along few directions. The first two of the training windows
make the map; they are fixed with the weights, so that a scan keeps its place whatever is measured later. Konstantinova
2021 names the latent space as a means to classify dynamics and to find anomalies.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 2
LARGEST = 8.0
"""Standard deviations beyond which a latent number counts as so many: inputs of another kind may lie far outside."""


@dataclass(frozen=True)
class LatentMap:
    """The way from latent vectors to places.

    Attributes
    ----------
    centre, width : (K, latent), median and half the 68 % range of the training windows
    axes : (2, K, latent), of standardised latent vectors
    offset : (2,), subtracted, so that the training windows lie around 0 with standard deviation 1
    """

    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    axes: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def of_training(cls, latent: NDArray[np.floating]) -> "LatentMap":
        """From the latent vectors (K, M, latent) of the training windows."""
        models, _, size = latent.shape
        low, centre, high = np.percentile(latent.astype(float), (16, 50, 84), axis=1)
        width = np.maximum((high - low) / 2, 1e-9)
        each = _standardised(latent.transpose(1, 0, 2), centre, width)
        mean = each.mean(axis=0)
        axes = np.linalg.svd(each - mean, full_matrices=False)[2][:DIMENSIONS]
        axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
        axes /= ((each - mean) @ axes.T).std(axis=0)[:, None]
        return cls(centre, width, axes.reshape(-1, models, size), axes @ mean)

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "LatentMap":
        """From what `plain` returned."""
        return cls(**{name: np.array(value, float) for name, value in plain.items()})

    def plain(self) -> dict[str, Any]:
        """Plain data for ``card.json``, to six digits."""
        return {name: np.round(value, 6).tolist() for name, value in asdict(self).items()}

    def places(self, latent: NDArray[np.floating]) -> NDArray[np.float64]:
        """Places (M, 2) of latent vectors (M, K, latent)."""
        axes = self.axes.reshape(len(self.axes), -1)
        return np.asarray(_standardised(latent, self.centre, self.width) @ axes.T - self.offset, np.float64)


def _standardised(
    latent: NDArray[np.floating], centre: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows (M, K latent) of latent vectors (M, K, latent)."""
    return np.clip((latent - centre) / width, -LARGEST, LARGEST).reshape(len(latent), centre.size)
