"""More training examples from the measured ones: symmetries, nearby decays, decays of known shape, measured noise."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnn_ed.cost import lag_averages
from cnn_ed.dataset import Examples
from twotime.xpcs import fit_decay

SYNTHETIC_RATE = (0.006, 0.2)
"""Drawn evenly in the logarithm, a little beyond the rates that the models are meant for."""
SYNTHETIC_ALPHA = (1.05, 0.25)
"""Median and relative spread of the exponent: most dynamics are near a simple exponential at any rate, but in the
published data slow ones are compressed."""
NEARBY = (0.3, 0.2)
"""Relative spread of rate and exponent around those of a measured target."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to the examples of a batch, anew each time they are shown.

    Attributes
    ----------
    reversal : probability of reversing time, which equilibrium and its 2TCF do not notice
    shuffle : probability of shuffling each diagonal of the inputs; the targets then are their means over the diagonals
    noise : strength of noise added to half of the inputs, in units of the noise of measured windows
    nearby : share of examples whose decay is exchanged for a nearby one, with everything else as measured
    synthetic : share of examples replaced by a decay of known shape with measured noise
    """

    reversal: float = 0.0
    shuffle: float = 0.0
    noise: float = 0.0
    nearby: float = 0.0
    synthetic: float = 0.0


class Augmenter:
    """Applies an `Augmentation` to batches of upper triangles, pixels first.

    Measured noise is the difference of two windows of one measurement that share no frame, over √2: no decay is left.
    """

    def __init__(self, examples: Examples, augmentation: Augmentation) -> None:
        self._augmentation = augmentation
        self._inputs = torch.from_numpy(examples.inputs)
        size = examples.window
        rows, columns = np.triu_indices(size)
        self._lag = torch.from_numpy(columns - rows)[:, None]  # (U, 1)
        number = np.zeros((size, size), np.int64)
        number[rows, columns] = np.arange(len(rows))
        self._reversed = torch.from_numpy(number[size - 1 - columns, size - 1 - rows])
        self._diagonals = [torch.nonzero(self._lag[:, 0] == lag).flatten() for lag in range(size)]
        self._pairs = pairs_apart(examples)
        self._decays = _fitted(examples)[examples.target_index] if augmentation.nearby else None

    def __call__(
        self, inputs: Tensor, targets: Tensor, number: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Inputs and targets (U, B), both new, of the examples of these numbers (B,)."""
        wanted, batch = self._augmentation, inputs.shape[1]
        inputs, targets = inputs.clone(), targets.clone()
        if wanted.noise:
            half = batch // 2
            inputs[:, :half] += wanted.noise * self._noise(half, generator)
        if wanted.nearby:
            first = round(wanted.nearby * batch)
            change = self._change_to_nearby(number[:first], generator)
            inputs[:, :first] += change
            targets[:, :first] += change
        if wanted.synthetic:
            last = round(wanted.synthetic * batch)
            targets[:, batch - last :] = self._synthetic(last, generator)
            inputs[:, batch - last :] = targets[:, batch - last :] + self._noise(last, generator)
        if float(torch.rand(1, generator=generator)) < wanted.reversal:
            inputs, targets = inputs[self._reversed], targets[self._reversed]
        if float(torch.rand(1, generator=generator)) < wanted.shuffle:
            for diagonal in self._diagonals:
                inputs[diagonal] = inputs[diagonal[torch.randperm(len(diagonal), generator=generator)]]
                targets[diagonal] = targets[diagonal].mean(dim=0)
        return inputs, targets

    def _noise(self, number: int, generator: torch.Generator) -> Tensor:
        drawn = self._pairs[torch.randint(len(self._pairs), (number,), generator=generator)]
        noise: Tensor = ((self._inputs[drawn[:, 0]] - self._inputs[drawn[:, 1]]) / math.sqrt(2)).T
        return noise

    def _change_to_nearby(self, number: Tensor, generator: torch.Generator) -> Tensor:
        """What the nearby decays have more than the fitted ones (U, B); nothing where there is no trusted fit."""
        assert self._decays is not None
        rate, beta, alpha = self._decays[number].T
        shifts = torch.randn(2, len(number), generator=generator) * torch.tensor(NEARBY)[:, None]
        near = torch.clamp(alpha * torch.exp(shifts[1]), 0.5, 2.5)
        change = beta * (self._shape(rate * torch.exp(shifts[0]), near) - self._shape(rate, alpha))
        nearby: Tensor = torch.nan_to_num(change)
        return nearby

    def _synthetic(self, number: int, generator: torch.Generator) -> Tensor:
        normal = torch.randn(3, number, generator=generator)
        slow, fast = np.log(SYNTHETIC_RATE)
        rate = torch.exp(slow + (fast - slow) * torch.rand(number, generator=generator))
        middle, spread = SYNTHETIC_ALPHA
        alpha = torch.clamp(middle * torch.exp(spread * normal[0]), 0.5, 2.2)
        decays: Tensor = 1 + 0.05 * normal[1] + torch.exp(0.2 * normal[2]) * self._shape(rate, alpha)
        return decays

    def _shape(self, rate: Tensor, alpha: Tensor) -> Tensor:
        shape: Tensor = torch.exp(-2 * (rate * self._lag) ** alpha)
        return shape


def pairs_apart(examples: Examples) -> Tensor:
    """Pairs (Q, 2) of windows of the same target that share no frame, one for each window that has such a partner."""
    pairs = []
    for target in np.unique(examples.target_index):
        own = np.flatnonzero(examples.target_index == target)
        for first, second in zip(own, np.roll(own, -max(2, len(own) // 2)), strict=True):
            if abs(int(examples.position[first]) - int(examples.position[second])) >= 2:
                pairs.append((first, second))
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


def _fitted(examples: Examples) -> Tensor:
    """Rate, beta and alpha (T, 3) of each target; NaN where the fit is not trusted."""
    rows, columns = np.triu_indices(examples.window)
    curves = examples.targets.astype(float) @ lag_averages(columns - rows).numpy().astype(float).T
    fits = fit_decay(np.arange(1, examples.window), curves)
    found = np.stack([fits.relaxation_rate, fits.beta, fits.alpha], axis=1)
    found[~fits.trusted] = np.nan
    return torch.from_numpy(found.astype(np.float32))
