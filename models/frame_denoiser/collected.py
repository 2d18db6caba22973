"""Frames of a beamline's own runs as training examples: thinned photons, repeated frames, long and short exposures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frame_denoiser.network import FrameNetwork
from frame_denoiser.thinning import Crop, loss_of_crops, thin
from frame_denoiser.train import Schedule

Way = Literal["thinned", "repeated", "paired"]
BLOCK = 8
"""Edge of the blocks of pixels in which two images are compared."""
SAME_WITHIN = 0.05
"""Relative deviation of block sums, beyond counting, up to which two images show the same scattering."""
LARGEST_SUM = 16
"""Frames in the largest sum that a network sees."""
FEW_COUNTS = 100
"""Counts below which a comparison of two images says nothing."""


@dataclass(frozen=True)
class CollectedRun:
    """Frames of one run.

    Attributes
    ----------
    uid : of the run
    group : name that runs of the same scattering share
    counts : (F, H, W) array, photons; 0 where masked
    mask : (H, W), True where usable
    """

    uid: str
    group: str
    counts: NDArray[np.generic]
    mask: NDArray[np.bool_]


class CollectedExamples:
    """Crops of collected runs: of each, some counts are seen and others, of the same scattering, are held out.

    Parameters
    ----------
    runs : whose frames are used
    largest_sum : frames in the largest sum that is seen

    Attributes
    ----------
    ways : how many runs, or pairs of runs, serve in each way

    Raises
    ------
    ValueError
        If there is no run, or none with counts.

    Notes
    -----
    Thinning splits the photons of the same frames by coins; exact for Poisson counts, whatever the scattering does.
    Repeated frames of a run are used where its first and second half show the same scattering (Noise2Noise), which
    also holds for noise that is not Poisson. Pairs are runs of the same group that show the same scattering, of
    different exposures or not; their exposures are compared by their counts, so that monitors are not needed.
    """

    def __init__(self, runs: Sequence[CollectedRun], largest_sum: int = LARGEST_SUM) -> None:
        self._runs = [run for run in runs if run.counts[:, run.mask].any()]
        if not self._runs:
            raise ValueError("No collected run holds a count; collect others.")
        self._largest_sum = largest_sum
        self._steady = [run for run in self._runs if is_steady(run)]
        self._pairs = _pairs(self._runs)
        self._side = [min(run.mask.shape[axis] for run in self._runs) // 16 * 16 for axis in (0, 1)]

    @property
    def ways(self) -> dict[Way, int]:
        """How many runs or pairs serve in each way."""
        return {"thinned": len(self._runs), "repeated": len(self._steady), "paired": len(self._pairs)}

    def loss(self, network: FrameNetwork, rng: np.random.Generator, schedule: Schedule) -> Tensor:
        """Improbability of the held-out counts of a batch."""
        edges = [min(schedule.size, side) for side in self._side]
        return loss_of_crops(network, [self._crop(rng, edges) for _ in range(schedule.batch)])

    def _crop(self, rng: np.random.Generator, edges: list[int]) -> Crop:
        ways: list[Way] = [way for way, number in self.ways.items() if number]
        way = ways[int(rng.integers(len(ways)))]
        if way == "thinned":
            run = self._runs[int(rng.integers(len(self._runs)))]
            cut = _cut(rng, run.mask.shape, edges)
            fraction = float(rng.uniform(0.1, 0.9))
            chosen = rng.choice(len(run.counts), self._number(rng, len(run.counts)), replace=False)
            parts = thin(rng, _sum(run, chosen, cut), fraction)
            return _turned(rng, parts.seen, parts.held_out, run.mask[cut], (1 - fraction) / fraction)
        if way == "repeated":
            run = self._steady[int(rng.integers(len(self._steady)))]
            cut = _cut(rng, run.mask.shape, edges)
            order = rng.permutation(len(run.counts))
            number = self._number(rng, len(order) - 1)
            later = order[number : number + self._number(rng, len(order) - number)]
            images = _sum(run, order[:number], cut), _sum(run, later, cut)
            return _turned(rng, *images, run.mask[cut], len(later) / number)
        return self._pair(rng, edges)

    def _pair(
        self, rng: np.random.Generator, edges: list[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], float]:
        """Frames of one run seen, all frames of another one held out."""
        seen, later, ratio = self._pairs[int(rng.integers(len(self._pairs)))]
        cut = _cut(rng, seen.mask.shape, edges)
        chosen = rng.choice(len(seen.counts), self._number(rng, len(seen.counts)), replace=False)
        exposure = ratio * len(later.counts) / len(chosen)
        images = _sum(seen, chosen, cut), _sum(later, np.arange(len(later.counts)), cut)
        return _turned(rng, *images, (seen.mask & later.mask)[cut], exposure)

    def _number(self, rng: np.random.Generator, most: int) -> int:
        return int(rng.integers(1, min(self._largest_sum, most) + 1))


def is_steady(run: CollectedRun) -> bool:
    """Whether the first and the second half of a run show the same scattering; False for a single frame."""
    half = len(run.counts) // 2
    if half == 0:
        return False
    before, after = (part.sum(axis=0, dtype=np.float64) for part in (run.counts[:half], run.counts[half : 2 * half]))
    return same_scattering(before, after, run.mask)


def same_scattering(one: NDArray[np.float64], other: NDArray[np.float64], mask: NDArray[np.bool_]) -> bool:
    """Whether two images (H, W) of counts are the same up to a factor, as far as counting tells.

    Notes
    -----
    Sums over blocks of 8 x 8 pixels, a and b = r a + noise with r the ratio of all counts. The excess of
    (b - r a)² over its expectation from counting, r (1 + r) λ with λ the rate that both tell, must stay below
    (`SAME_WITHIN` r λ)², each summed over the blocks.
    """
    a, b = (_blocks(np.where(mask, image, 0.0)) for image in (one, other))
    if min(a.sum(), b.sum()) < FEW_COUNTS:
        return False
    ratio = b.sum() / a.sum()
    rate = (a + b) / (1 + ratio)
    excess = float(((b - ratio * a) ** 2 - ratio * (1 + ratio) * rate).sum())
    # Squares of counts scatter, too: two standard deviations of the sum are no difference.
    noise = 2 * float(np.sqrt(2 * ((ratio * (1 + ratio) * rate) ** 2).sum()))
    return bool(excess - noise < (SAME_WITHIN * ratio) ** 2 * float((rate**2).sum()))


def _pairs(runs: Sequence[CollectedRun]) -> list[tuple[CollectedRun, CollectedRun, float]]:
    """Pairs in both directions, with counts per frame of the second relative to the first."""
    found = []
    for one in runs:
        for other in runs:
            if one is other or one.group != other.group or one.mask.shape != other.mask.shape:
                continue
            mask = one.mask & other.mask
            totals = [run.counts.sum(axis=0, dtype=np.float64) for run in (one, other)]
            if mask.any() and same_scattering(totals[0], totals[1], mask):
                frames = len(one.counts) / len(other.counts)
                found.append((one, other, float(totals[1][mask].sum() / totals[0][mask].sum()) * frames))
    return found


def _cut(rng: np.random.Generator, shape: tuple[int, ...], edges: list[int]) -> tuple[slice, slice]:
    rows, columns = (int(rng.integers(0, side - edge + 1)) for side, edge in zip(shape, edges, strict=True))
    return slice(rows, rows + edges[0]), slice(columns, columns + edges[1])


def _sum(run: CollectedRun, frames: NDArray[np.integer], cut: tuple[slice, slice]) -> NDArray[np.int64]:
    summed: NDArray[np.int64] = run.counts[(np.sort(frames), *cut)].sum(axis=0, dtype=np.int64)
    return summed


def _turned(
    rng: np.random.Generator,
    seen: NDArray[np.generic],
    held_out: NDArray[np.generic],
    mask: NDArray[np.bool_],
    exposure: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], float]:
    """The same, turned by some right angles where the crop is square, and zero where masked."""
    turns = int(rng.integers(0, 4)) if mask.shape[0] == mask.shape[1] else 0
    images = [np.rot90(np.where(mask, image, 0), turns).astype(np.float32) for image in (seen, held_out)]
    return images[0], images[1], np.rot90(mask, turns).copy(), exposure


def _blocks(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over blocks of pixels; the rest at the edges is left out."""
    height, width = (side // BLOCK * BLOCK for side in image.shape)
    blocks: NDArray[np.float64] = image[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return np.asarray(blocks.sum(axis=(1, 3)))
