"""Training of the network: on simulated frames whose truth is known, or on thinned measured ones."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from frame_denoiser.checkpoint import load_checkpoint, save_checkpoint
from frame_denoiser.likelihood import truth_loss
from frame_denoiser.network import Architecture, FrameNetwork, apply
from frame_denoiser.simulation import simulate_frame


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes
    ----------
    steps : batches
    batch : frames in each
    size : edge of the frames, pixels
    learning_rate : highest, of Adam; it rises over `warm_up` steps, then falls along a cosine to a hundredth
    warm_up : steps
    weak : fraction of the frames whose peaks are all weak
    averaging : of the weights over steps, as the decay of each step
    seed : of weights and frames
    """

    steps: int = 10000
    batch: int = 4
    size: int = 128
    learning_rate: float = 2e-3
    warm_up: int = 200
    weak: float = 0.3
    averaging: float = 0.999
    seed: int = 20240180


class Examples(Protocol):
    """Where batches come from."""

    def loss(self, network: FrameNetwork, rng: np.random.Generator, schedule: Schedule) -> Tensor:
        """Loss of the network on a batch that `rng` draws."""
        ...


class SimulatedExamples:
    """Frames simulated anew in each step."""

    def loss(self, network: FrameNetwork, rng: np.random.Generator, schedule: Schedule) -> Tensor:
        """Improbability of the true rates of a batch."""
        shape = (schedule.size, schedule.size)
        frames = [simulate_frame(rng, shape, weak=rng.random() < schedule.weak) for _ in range(schedule.batch)]
        counts = _stacked([frame.counts for frame in frames])
        mask = _stacked([frame.mask for frame in frames])
        rate = _stacked([frame.rate for frame in frames])
        return truth_loss(predict(network, counts, mask), rate, mask)


def predict(network: FrameNetwork, counts: Tensor, mask: Tensor) -> Any:
    """Posterior of frames (B, H, W), in the short number format that training is fast with."""
    with torch.autocast("cpu", torch.bfloat16):
        return apply(network, counts[:, None], mask[:, None])


def train(
    examples: Examples,
    schedule: Schedule,
    checkpoint: Path,
    architecture: Architecture = Architecture(),
    start: FrameNetwork | None = None,
    report: Callable[[int, float], None] | None = None,
    every: int = 500,
) -> FrameNetwork:
    """Train a network; goes on from the checkpoint where there is one.

    Parameters
    ----------
    examples : source of batches
    schedule : how long and how fast
    checkpoint : file that is written now and then
    architecture : sizes of a new network
    start : network to go on from instead of a new one
    report : told the step and the mean loss since the last call, every 100 steps
    every : steps between checkpoints

    Returns
    -------
    FrameNetwork
        With weights averaged over the last steps.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another schedule or architecture.

    Notes
    -----
    Step s draws its batch from the seed (schedule.seed, s): an interrupted training goes on as if it had not been.
    """
    torch.manual_seed(schedule.seed)
    network = FrameNetwork(architecture) if start is None else start
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    averaged = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    identity = {"schedule": asdict(schedule), "architecture": asdict(network.architecture)}
    done = 0
    saved = load_checkpoint(checkpoint, identity)
    if saved is not None:
        network.load_state_dict(saved["network"])
        averaged.update(saved["averaged"])
        optimiser.load_state_dict(saved["optimiser"])
        done = int(saved["step"])
    losses: list[float] = []
    for step in range(done, schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(schedule, step)
        loss = examples.loss(network, np.random.default_rng([schedule.seed, step]), schedule)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        _average(averaged, network, min(schedule.averaging, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if report is not None and (step + 1) % 100 == 0:
            report(step + 1, float(np.mean(losses)))
            losses.clear()
        if (step + 1) % every == 0 or step + 1 == schedule.steps:
            states = {"network": network.state_dict(), "averaged": averaged, "optimiser": optimiser.state_dict()}
            save_checkpoint(checkpoint, identity, step + 1, **states)
    network.load_state_dict(averaged)
    network.eval()
    return network


def learning_rate(schedule: Schedule, step: int) -> float:
    """Learning rate of a step."""
    rising = min(1.0, (step + 1) / schedule.warm_up)
    falling = 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    return schedule.learning_rate * rising * (0.01 + 0.99 * falling)


def _average(averaged: dict[str, Tensor], network: FrameNetwork, decay: float) -> None:
    for name, value in network.state_dict().items():
        averaged[name].lerp_(value, 1 - decay)


def _stacked(images: list[Any]) -> Tensor:
    return torch.from_numpy(np.stack(images).astype(np.float32))
