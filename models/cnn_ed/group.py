"""Some of the models of a training, one epoch at a time."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from cnn_ed.augment import Augmenter
from cnn_ed.cost import cost, decoded_lags, lag_averages, pixel_shares
from cnn_ed.dataset import Examples, full_windows, means_of_others
from cnn_ed.network import Architecture, EncoderDecoderStack
from cnn_ed.schedule import Schedule

FEWEST_OTHERS = 3


class Shown:
    """The training examples, batch by batch."""

    def __init__(
        self, examples: Examples, schedule: Schedule, architecture: Architecture, device: torch.device
    ) -> None:
        self.schedule, self.device = schedule, device
        self.inputs, self.targets, self._number = pairs_of(examples, schedule.targets, architecture)
        self._augmenter = None
        if any(vars(schedule.augmentation).values()):
            if not architecture.symmetric:
                raise ValueError("augmentation works on upper triangles; give a symmetric architecture.")
            self._augmenter = Augmenter(examples, schedule.augmentation)

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (U, B) and targets (D, B) of one epoch in random order."""
        order = torch.randperm(len(self.inputs), generator=generator)
        for chosen in torch.split(order, self.schedule.batch):
            inputs, targets = self.inputs[chosen].T, self.targets[chosen].T
            if self._augmenter is not None:
                inputs, targets = self._augmenter(inputs, targets, self._number[chosen], generator)
            yield inputs.to(self.device), targets.to(self.device)


class Group:
    """Some of the models with their optimiser, and the best that each has been."""

    def __init__(self, schedule: Schedule, stack: EncoderDecoderStack, device: torch.device) -> None:
        self.schedule, self.stack = schedule, stack.to(device)
        self.optimiser = torch.optim.Adam(
            stack.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
        )
        self.averaged = {name: value.detach().clone() for name, value in stack.named_parameters()}
        lag, symmetric = (
            decoded_lags(stack.architecture.window, stack.architecture.symmetric),
            stack.architecture.symmetric,
        )
        self._shares, self._averages = pixel_shares(lag, symmetric).to(device), lag_averages(lag).to(device)

    def train(self, shown: Shown, epoch: int, seed: int, progress: Callable[[float], None]) -> Tensor:
        """Go once through all examples; the mean training cost (K,) of Eq. 8."""
        generator = torch.Generator().manual_seed(seed)
        total, number = torch.zeros(self.stack.models), 0
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.decay**epoch
        self.stack.train()
        for inputs, targets in shown.batches(generator):
            two_time, one_time = cost(self.stack(inputs), targets, self._shares, self._averages)
            self.optimiser.zero_grad(set_to_none=True)
            (two_time + self.schedule.one_time_weight * one_time).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimiser.step()
            if self.schedule.averaging:
                self._average(self.schedule.averaging)
            total += (two_time + one_time).detach().cpu() * inputs.shape[1]
            number += inputs.shape[1]
            progress(number / len(shown.inputs))
        if not self.schedule.averaging:
            self._average(0.0)
        return total / number

    def validate(self, measured: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Both terms (K,) of Eq. 8 over the validation examples."""
        totals = torch.zeros(2, self.stack.models)
        stack = EncoderDecoderStack(self.stack.models, self.stack.architecture).to(measured[0].device).eval()
        stack.load_state_dict(self.averaged)
        with torch.inference_mode():
            for inputs, targets in zip(*(torch.split(part, 32) for part in measured), strict=True):
                found = cost(stack(inputs.T), targets.T, self._shares, self._averages)
                totals += torch.stack(found).cpu() * len(inputs)
        two_time, one_time = totals / len(measured[0])
        return two_time, one_time

    def _average(self, past: float) -> None:
        with torch.no_grad():
            for name, value in self.stack.named_parameters():
                self.averaged[name].lerp_(value, 1 - past)


def pairs_of(examples: Examples, kind: str, architecture: Architecture) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (M, U), their targets (M, D) of a kind of `Schedule.targets`, and their numbers in the examples (M,)."""
    number = np.arange(len(examples))
    targets = examples.inputs if kind == "input" else examples.targets[examples.target_index]
    if kind == "others":
        targets, others = means_of_others(examples)
        number = np.flatnonzero(others >= FEWEST_OTHERS)
        if not len(number):
            raise ValueError(f"No input has {FEWEST_OTHERS} windows of the same target that share no frame with it.")
    inputs, targets = examples.inputs[number], targets[number]
    decoded = torch.from_numpy(targets) if architecture.symmetric else full_windows(targets, examples.window).flatten(1)
    return torch.from_numpy(inputs), decoded, torch.from_numpy(number)
