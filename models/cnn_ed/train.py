"""Training many initialisations at once: resumable after a kill, the same under the same seed.

Models are trained in small groups, one group per thread at a time: a group's activations stay in the cache of its core,
and what comes out does not depend on the number of cores. On a GPU all models are one group.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnn_ed.dataset import Examples
from cnn_ed.group import Group, Shown, pairs_of
from cnn_ed.network import Architecture, EncoderDecoderStack
from cnn_ed.schedule import Schedule

GROUP = 4


@dataclass(frozen=True)
class Trained:
    """Models as they were at their lowest validation cost.

    Attributes
    ----------
    stack : the models
    number : (K,) of each initialisation
    validation_cost : (K,) lowest cost of each, Eq. 8
    validation_one_time : (K,) mean squared error of the one-time correlation function at that epoch
    best_epoch : (K,) that epoch
    history : one row per epoch, with the numbers and costs of all models
    """

    stack: EncoderDecoderStack
    number: NDArray[np.int64]
    validation_cost: NDArray[np.float64]
    validation_one_time: NDArray[np.float64]
    best_epoch: NDArray[np.int64]
    history: list[dict[str, Any]]


def train(
    training: Examples,
    validation: Examples,
    schedule: Schedule,
    checkpoint: Path,
    architecture: Architecture = Architecture(),
    report: Callable[[dict[str, Any]], None] = lambda _: None,
    progress: Callable[[str, float], None] = lambda _, __: None,
    threads: int | None = None,
) -> Trained:
    """Train models side by side, going on from `checkpoint` where one stands.

    Parameters
    ----------
    training, validation : examples; the validation decides when to stop. It is always measured against the windows that
        share no frame with the input, whatever the training's own targets
    checkpoint : file written after every epoch
    report : called after every epoch with the row of the history
    progress : told the epoch in words and the fraction of it that is done
    threads : groups of models trained at a time; None: one per core

    Raises
    ------
    ValueError
        If the examples do not fit the architecture, no input has enough other windows for a target, or the checkpoint
        belongs to another schedule or architecture.
    """
    for examples in (training, validation):
        if examples.window != architecture.window:
            raise ValueError(f"examples have windows of {examples.window}, expected {architecture.window} frames.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = _Run(schedule, architecture, device)
    if checkpoint.exists():
        run.restore(checkpoint)
    shown = Shown(training, schedule, architecture, device)
    inputs, targets, _ = pairs_of(validation, "others", architecture)
    measured = (inputs.to(device), targets.to(device))
    with _single_threaded_torch(), ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        while not run.finished:
            row = run.epoch(shown, measured, pool, progress)
            run.save(checkpoint)
            report(row)
    return run.result()


class _Run:
    """A training in progress: the models that are still in it, the best weights so far and the history."""

    def __init__(self, schedule: Schedule, architecture: Architecture, device: torch.device) -> None:
        self.schedule, self.architecture, self.device = schedule, architecture, device
        self.number = torch.arange(schedule.models)
        self.groups: list[Group] = []
        for numbers in self._grouped():
            stack = EncoderDecoderStack(len(numbers), architecture, schedule.dropout)
            stack.initialise([schedule.seed + int(k) for k in numbers])
            self.groups.append(Group(schedule, stack, device))
        self.best = self._gathered([group.averaged for group in self.groups])
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

    def epoch(
        self,
        shown: Shown,
        measured: tuple[Tensor, Tensor],
        pool: ThreadPoolExecutor,
        progress: Callable[[str, float], None],
    ) -> dict[str, Any]:
        """Go once through all training examples, then measure on the validation examples."""
        number = len(self.history)
        done = dict.fromkeys(range(len(self.groups)), 0.0)

        def of_group(place: int) -> tuple[Tensor, Tensor, Tensor]:
            def tell(fraction: float) -> None:
                done[place] = fraction
                progress(f"epoch {number + 1} of {self.schedule.epochs}", sum(done.values()) / len(done))

            first = int(self._grouped()[place][0])
            seed = (self.schedule.seed * 1_000 + number) * 1_000 + first
            training = self.groups[place].train(shown, number, seed, tell)
            return training, *self.groups[place].validate(measured)

        parts = list(pool.map(of_group, done))
        training, two_time, one_time = (torch.cat(part) for part in zip(*parts, strict=True))
        self._keep_best(two_time + one_time, one_time, number + 1)
        self.history.append(
            {
                "epoch": number + 1,
                "model": self.number.tolist(),
                "training_cost": training.tolist(),
                "validation_cost": (two_time + one_time).tolist(),
                "validation_one_time": one_time.tolist(),
            }
        )
        if number + 1 == self.schedule.trial and len(self.number) > self.schedule.finalists:
            self._go_on_with(torch.argsort(self.best_cost)[: self.schedule.finalists].sort().values)
        return self.history[-1]

    def save(self, path: Path) -> None:
        """Write everything needed to go on; a kill in between leaves the previous file."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "schedule": json.dumps(asdict(self.schedule)),
                "architecture": json.dumps(asdict(self.architecture)),
                "number": self.number,
                "stack": self._gathered([dict(group.stack.named_parameters()) for group in self.groups]),
                "averaged": self._gathered([group.averaged for group in self.groups]),
                "moments": self._moments(),
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
        theirs = json.loads(saved["schedule"]) | json.loads(saved["architecture"])
        ours = asdict(self.schedule) | asdict(self.architecture)
        differing = [name for name in ours if theirs[name] != ours[name] and name not in ("epochs", "patience")]
        if differing:
            listed = ", ".join(f"{name} {theirs[name]} instead of {ours[name]}" for name in differing)
            raise ValueError(f"{path.name} was trained with {listed}; give another folder or the same schedule.")
        self.number = saved["number"]
        self.best, self.best_cost, self.best_one_time = saved["best"], saved["best_cost"], saved["best_one_time"]
        self.best_epoch, self.history = saved["best_epoch"], json.loads(saved["history"])
        self._regroup(saved["stack"], saved["averaged"], saved["moments"])

    def result(self) -> Trained:
        """The models at their lowest validation cost."""
        stack = EncoderDecoderStack(len(self.number), self.architecture)
        stack.load_state_dict(self.best)
        return Trained(
            stack,
            self.number.numpy(),
            self.best_cost.double().numpy(),
            self.best_one_time.double().numpy(),
            self.best_epoch.numpy(),
            self.history,
        )

    def _grouped(self) -> tuple[Tensor, ...]:
        return torch.split(self.number, GROUP if self.device.type == "cpu" else len(self.number))

    def _go_on_with(self, places: Tensor) -> None:
        """Leave out all models but those at `places`."""
        parts = [self._gathered([dict(group.stack.named_parameters()) for group in self.groups])]
        parts += [self._gathered([group.averaged for group in self.groups]), *[self.best]]
        stack, averaged, self.best = ({name: value[places] for name, value in part.items()} for part in parts)
        moments = {name: value if value.ndim == 0 else value[places] for name, value in self._moments().items()}
        self.number, self.best_cost = self.number[places], self.best_cost[places]
        self.best_one_time, self.best_epoch = self.best_one_time[places], self.best_epoch[places]
        self._regroup(stack, averaged, moments)

    def _regroup(self, stack: dict[str, Tensor], averaged: dict[str, Tensor], moments: dict[str, Tensor]) -> None:
        self.groups, start = [], 0
        for numbers in self._grouped():
            own = slice(start, start := start + len(numbers))
            part = EncoderDecoderStack(len(numbers), self.architecture, self.schedule.dropout)
            part.load_state_dict({name: value[own] for name, value in stack.items()})
            group = Group(self.schedule, part, self.device)
            group.averaged = {name: value[own].clone().to(self.device) for name, value in averaged.items()}
            for name, parameter in part.named_parameters():
                group.optimiser.state[parameter] = {
                    "step": moments[f"{name}.step"].clone(),
                    "exp_avg": moments[f"{name}.exp_avg"][own].clone(),
                    "exp_avg_sq": moments[f"{name}.exp_avg_sq"][own].clone(),
                }
            self.groups.append(group)

    def _moments(self) -> dict[str, Tensor]:
        """State of the optimisers, by parameter and kind."""
        moments = {}
        for name, _ in self.groups[0].stack.named_parameters():
            states = [group.optimiser.state[group.stack.get_parameter(name)] for group in self.groups]
            moments[f"{name}.step"] = states[0]["step"].clone()
            for kind in ("exp_avg", "exp_avg_sq"):
                moments[f"{name}.{kind}"] = torch.cat([state[kind] for state in states])
        return moments

    def _gathered(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.cat([part[name].detach().cpu() for part in parts]) for name in parts[0]}

    def _keep_best(self, validation_cost: Tensor, one_time: Tensor, epoch: int) -> None:
        better = validation_cost < self.best_cost
        for name, value in self._gathered([group.averaged for group in self.groups]).items():
            self.best[name][better] = value[better]
        self.best_cost = torch.where(better, validation_cost, self.best_cost)
        self.best_one_time = torch.where(better, one_time, self.best_one_time)
        self.best_epoch[better] = epoch


@contextmanager
def _single_threaded_torch() -> Iterator[None]:
    """One thread per group of models is faster than many threads per matrix product."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
