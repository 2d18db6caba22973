"""Training many initialisations at once: resumable after a kill, the same under the same seed."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnn_ed.cost import cost, lag_averages
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.network import Architecture, EncoderDecoderStack


@dataclass(frozen=True)
class Schedule:
    """How to train.

    Attributes
    ----------
    models : initialisations trained side by side; each has the seed `seed` plus its number
    epochs : at the most
    patience : epochs without a better validation cost after which a model counts as finished
    batch : examples per step
    learning_rate : of Adam, at the start
    decay : factor on the learning rate after each epoch
    seed : of the initial weights and of the order of the examples
    """

    models: int = 14
    epochs: int = 25
    patience: int = 6
    batch: int = 32
    learning_rate: float = 4e-5
    decay: float = 0.9995
    seed: int = 20210721


@dataclass(frozen=True)
class Trained:
    """Models as they were at their lowest validation cost.

    Attributes
    ----------
    stack : the models
    validation_cost : (K,) lowest cost of each, Eq. 8
    validation_one_time : (K,) mean squared error of the one-time correlation function at that epoch
    history : one row per epoch, with the costs of all models
    """

    stack: EncoderDecoderStack
    validation_cost: NDArray[np.float64]
    validation_one_time: NDArray[np.float64]
    history: list[dict[str, Any]]


def train(
    training: Examples,
    validation: Examples,
    schedule: Schedule,
    checkpoint: Path,
    architecture: Architecture = Architecture(),
    report: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Trained:
    """Train a stack of models, going on from `checkpoint` where one stands.

    Parameters
    ----------
    training, validation : examples; the validation decides when to stop
    checkpoint : file written after every epoch
    report : called after every epoch with the row of the history

    Raises
    ------
    ValueError
        If the examples do not fit the architecture, or the checkpoint belongs to another schedule.
    """
    for examples in (training, validation):
        if examples.window != architecture.window:
            raise ValueError(f"examples have windows of {examples.window}, expected {architecture.window} frames.")
    run = _Run(schedule, architecture)
    if checkpoint.exists():
        run.restore(checkpoint)
    prepared = [(torch.from_numpy(examples.inputs), *_targets(examples)) for examples in (training, validation)]
    while not run.finished:
        row = run.epoch(*prepared)
        run.save(checkpoint)
        report(row)
    return run.result()


class _Run:
    """A training in progress: the models, the optimiser, the best weights so far and the history."""

    def __init__(self, schedule: Schedule, architecture: Architecture) -> None:
        self.schedule = schedule
        self.stack = EncoderDecoderStack(schedule.models, architecture)
        self.stack.initialise([schedule.seed + k for k in range(schedule.models)])
        self.optimiser = torch.optim.Adam(self.stack.parameters(), lr=schedule.learning_rate, fused=True)
        self.averages = lag_averages(architecture.window)
        self.best = {name: value.detach().clone() for name, value in self.stack.named_parameters()}
        self.best_cost = torch.full((schedule.models,), torch.inf)
        self.best_one_time = torch.full((schedule.models,), torch.inf)
        self.best_epoch = torch.zeros(schedule.models, dtype=torch.int64)
        self.history: list[dict[str, Any]] = []

    @property
    def finished(self) -> bool:
        """Whether the epochs are over, or no model has improved for as long as the patience lasts."""
        epoch = len(self.history)
        waited = epoch - int(self.best_epoch.max())
        return epoch >= self.schedule.epochs or (epoch > 0 and waited > self.schedule.patience)

    def epoch(self, training: tuple[Tensor, ...], validation: tuple[Tensor, ...]) -> dict[str, Any]:
        """Go once through all training examples, then measure on the validation examples."""
        number = len(self.history)
        generator = torch.Generator().manual_seed(self.schedule.seed + number)
        order = torch.randperm(len(training[0]), generator=generator)
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate * self.schedule.decay**number
        train_cost = torch.zeros(self.schedule.models)
        for chosen in torch.split(order, self.schedule.batch):
            two_time, one_time = self._cost(training, chosen)
            self.optimiser.zero_grad(set_to_none=True)
            (two_time + one_time).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimiser.step()
            train_cost += (two_time + one_time).detach() * len(chosen)
        two_time, one_time = self._validate(validation)
        self._keep_best(two_time + one_time, one_time, number + 1)
        self.history.append(
            {
                "epoch": number + 1,
                "training_cost": (train_cost / len(order)).tolist(),
                "validation_cost": (two_time + one_time).tolist(),
                "validation_one_time": one_time.tolist(),
            }
        )
        return self.history[-1]

    def save(self, path: Path) -> None:
        """Write everything needed to go on; a kill in between leaves the previous file."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "schedule": json.dumps(asdict(self.schedule)),
                "stack": self.stack.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "best": self.best,
                "best_cost": self.best_cost,
                "best_one_time": self.best_one_time,
                "best_epoch": self.best_epoch,
                "history": json.dumps(self.history),
            },
            partial,
        )
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Take up a checkpoint of the same schedule; only the number of epochs and the patience may differ."""
        saved = torch.load(path, weights_only=True)
        theirs, ours = json.loads(saved["schedule"]), asdict(self.schedule)
        differing = [name for name in ours if theirs[name] != ours[name] and name not in ("epochs", "patience")]
        if differing:
            listed = ", ".join(f"{name} {theirs[name]} instead of {ours[name]}" for name in differing)
            raise ValueError(f"{path.name} was trained with {listed}; give another folder or the same schedule.")
        self.stack.load_state_dict(saved["stack"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.best = saved["best"]
        self.best_cost, self.best_one_time = saved["best_cost"], saved["best_one_time"]
        self.best_epoch = saved["best_epoch"]
        self.history = json.loads(saved["history"])

    def result(self) -> Trained:
        """The models at their lowest validation cost."""
        stack = EncoderDecoderStack(self.schedule.models, self.stack.architecture)
        stack.load_state_dict(self.best)
        return Trained(stack, self.best_cost.double().numpy(), self.best_one_time.double().numpy(), self.history)

    def _cost(self, examples: tuple[Tensor, ...], chosen: Tensor) -> tuple[Tensor, Tensor]:
        inputs, targets, index = examples
        return cost(self.stack(inputs[chosen]), targets[index[chosen]].T, self.averages)

    def _validate(self, examples: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        totals = torch.zeros(2, self.schedule.models)
        with torch.inference_mode():
            for chosen in torch.split(torch.arange(len(examples[0])), self.schedule.batch):
                totals += torch.stack(self._cost(examples, chosen)) * len(chosen)
        two_time, one_time = totals / len(examples[0])
        return two_time, one_time

    def _keep_best(self, validation_cost: Tensor, one_time: Tensor, epoch: int) -> None:
        better = validation_cost < self.best_cost
        for name, value in self.stack.named_parameters():
            self.best[name][better] = value.detach()[better]
        self.best_cost = torch.where(better, validation_cost, self.best_cost)
        self.best_one_time = torch.where(better, one_time, self.best_one_time)
        self.best_epoch[better] = epoch


def _targets(examples: Examples) -> tuple[Tensor, Tensor]:
    flat = full_windows(examples.targets, examples.window).flatten(1)  # (T, W W)
    return flat, torch.from_numpy(examples.target_index.astype(np.int64))
