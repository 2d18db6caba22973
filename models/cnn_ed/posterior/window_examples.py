"""Examples for the networks of windows: measured curves with honest truths, and known decays in measured noise.

A single training file holds few experiments (some 170 measurements with a truth), and their decays cluster: in the
published data most slow ones are compressed, α near 1.9. Networks trained on them as they stand learn that cluster. So
each measured decay is exchanged for a nearby one most of the time, rare kinds of decays are drawn more often than
frequent ones, and three examples in ten are decays of any shape in the noise of measured windows.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnn_ed.applicability import input_noise
from cnn_ed.augment import pairs_apart
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.evaluate import honest_truths
from cnn_ed.posterior.measured import LAG, WindowCurves, no_fit, parameters_in_units, window_features

FEWEST_WINDOWS, AGREEMENT = 6, 0.7
"""As of `honest_truths`; looser than there: a truth off by 20 % still teaches more than it misleads."""
RARITY = 0.7
"""Power of the density of decays by which frequent kinds are drawn less often; 1 would draw all kinds alike."""
KINDS = (0.5, 0.25)
"""Differences in log Γ and log α within which two decays are of one kind."""
SYNTHETIC = 0.3
"""Share of the examples that are decays of known shape in measured noise."""
SYNTHETIC_RATE = (0.004, 0.4)
"""Per frame, of these; wider than the measured truths, so that windows beyond their range are known for it."""
NEARBY, NEARBY_SPREAD = 0.7, (0.3, 0.2)
"""Share of the measured decays that are exchanged for a nearby one, and how far that lies in log Γ and log α."""


class WindowExamples:
    """Draws examples; a new one each time, from the generator of torch.

    Parameters
    ----------
    data : measured windows; those with a truth, and all pairs of windows of one measurement for their noise
    """

    def __init__(self, data: Examples) -> None:
        strict = honest_truths(data)
        truths = honest_truths(data, FEWEST_WINDOWS, AGREEMENT)
        known = truths.fits.trusted | np.isin(truths.example, strict.example)
        self.example = truths.example[known]
        fits = truths.fits.rows(known)
        truth = np.stack([fits.relaxation_rate, fits.beta, fits.baseline, fits.alpha], axis=1)
        windows = full_windows(data.inputs, data.window).numpy()
        self._g2 = torch.from_numpy(one_time_of(windows)).float()
        self._noise = torch.from_numpy(input_noise(windows)).float()
        self._truth = torch.from_numpy(truth).float()
        self._weight = torch.from_numpy(_rarity(truth, data.target_index[self.example])).float()
        self._pairs = pairs_apart(data)

    @property
    def curves(self) -> WindowCurves:
        """The measured windows that have a truth, as they are."""
        return WindowCurves(self._g2[self.example].double().numpy(), self._noise[self.example].double().numpy())

    def draw(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (number, F), the fit on which centres may rest (there is none), and truths (number, 4)."""
        synthetic = round(SYNTHETIC * number)
        parts = [self._measured(number - synthetic), self._synthetic(synthetic)]
        g2, noise, truth = (torch.cat(part) for part in zip(*parts, strict=True))
        return window_features(g2, noise), no_fit(number), parameters_in_units(truth)

    def _measured(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.multinomial(self._weight, number, replacement=True)
        example, truth = torch.from_numpy(self.example)[chosen], self._truth[chosen]
        shift = torch.randn(number, 2) * torch.tensor(NEARBY_SPREAD) * (torch.rand(number, 1) < NEARBY)
        nearby = truth.clone()
        nearby[:, 0] = truth[:, 0] * shift[:, 0].exp()
        nearby[:, 3] = torch.where(shift[:, 1] == 0, truth[:, 3], (truth[:, 3] * shift[:, 1].exp()).clamp(0.3, 3))
        return self._g2[example] + _decay(nearby) - _decay(truth), self._noise[example], nearby

    def _synthetic(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Γ even in its logarithm from 0.004 to 0.4, α about 1.2, β and C∞ about 1; noise of a measured pair."""
        first, second = self._pairs[torch.randint(len(self._pairs), (number,))].T
        strength = torch.exp(0.3 * torch.randn(number)) / math.sqrt(2)
        normal = torch.randn(3, number)
        low, high = SYNTHETIC_RATE
        truth = torch.stack(
            [
                low * (high / low) ** torch.rand(number),
                torch.exp(0.2 * normal[0]),
                1 + 0.1 * normal[1],
                (1.2 * torch.exp(0.4 * normal[2])).clamp(0.3, 3),
            ],
            dim=1,
        )
        noise = torch.hypot(self._noise[first], self._noise[second]) * strength
        return (self._g2[first] - self._g2[second]) * strength[:, None] + _decay(truth), noise, truth


def _decay(parameters: Tensor) -> Tensor:
    rate, beta, baseline, alpha = (column[:, None] for column in parameters.unbind(1))
    return baseline + beta * torch.exp(-2 * (rate * torch.from_numpy(LAG)) ** alpha)


def _rarity(truth: NDArray[np.float64], target: NDArray[np.int32]) -> NDArray[np.float64]:
    """How often each window (M,) is drawn: less if its measurement has many, or if many measurements are like it.

    Windows of one measurement are alike, so their number counts by its root.
    """
    _, first, place, number = np.unique(target, return_index=True, return_inverse=True, return_counts=True)
    kind = np.log(truth[first][:, [0, 3]]) / np.array(KINDS)
    density = np.exp(-0.5 * ((kind[:, None] - kind) ** 2).sum(axis=2)).sum(axis=1)
    weight = (number**-0.5 * density**-RARITY)[place]
    return np.asarray(weight / weight.sum(), np.float64)
