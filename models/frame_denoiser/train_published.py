"""Training of the published networks as published: pairs of short and long exposures, MAE and MS-SSIM, Adam."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from frame_denoiser.checkpoint import load_checkpoint, save_checkpoint
from frame_denoiser.published import NETWORKS, NetworkName, scaled
from frame_denoiser.similarity import published_loss
from frame_denoiser.simulation import simulate_frame

RATIO = 20.0
"""Exposure of the long frames in units of the short ones."""


@dataclass(frozen=True)
class PublishedSchedule:
    """How long and how fast to train.

    Attributes
    ----------
    steps : batches; the published 100 epochs of some 3000 pairs in batches of 8 are 37,500
    batch : pairs in each
    shape : rows and columns of the crops
    learning_rate : of Adam with amsgrad
    lowest, highest : photons per pixel of the background of short frames
    seed : of weights and frames
    """

    steps: int = 37_500
    batch: int = 8
    shape: tuple[int, int] = (192, 240)
    learning_rate: float = 5e-4
    lowest: float = 0.01
    highest: float = 10.0
    seed: int = 20240180


def pair(rng: np.random.Generator, schedule: PublishedSchedule) -> tuple[Tensor, Tensor]:
    """A short and a long exposure of the same simulated scattering, (1, H, W), each scaled by itself, some flipped."""
    level = math.exp(rng.uniform(math.log(schedule.lowest), math.log(schedule.highest)))
    frame = simulate_frame(rng, schedule.shape, level)
    long = rng.poisson(RATIO * np.where(frame.mask, frame.rate, 0)).astype(float)
    images = [scaled(image, frame.mask) for image in (frame.counts, long)]
    axes = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
    short, target = (torch.from_numpy(np.flip(image, axes).copy())[None] for image in images)
    return short, target


def train_published(
    name: NetworkName,
    schedule: PublishedSchedule,
    checkpoint: Path,
    report: Callable[[int, float], None] | None = None,
    every: int = 200,
) -> nn.Module:
    """Train a published network on simulated pairs; goes on from the checkpoint where there is one.

    Parameters
    ----------
    name : of the network
    schedule : how long and how fast
    checkpoint : file that is written now and then
    report : told the step and the mean loss since the last call, every 100 steps
    every : steps between checkpoints

    Raises
    ------
    ValueError
        If the checkpoint belongs to another schedule or network.
    """
    torch.manual_seed(schedule.seed)
    network = NETWORKS[name]()
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, amsgrad=True)
    identity = {"schedule": asdict(schedule), "network": name}
    done = 0
    saved = load_checkpoint(checkpoint, identity)
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        done = int(saved["step"])
    losses: list[float] = []
    for step in range(done, schedule.steps):
        rng = np.random.default_rng([schedule.seed, step])
        pairs = [pair(rng, schedule) for _ in range(schedule.batch)]
        short, target = (torch.stack(images) for images in zip(*pairs, strict=True))
        loss = published_loss(network(short), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        losses.append(loss.item())
        if report is not None and (step + 1) % 100 == 0:
            report(step + 1, float(np.mean(losses)))
            losses.clear()
        if (step + 1) % every == 0 or step + 1 == schedule.steps:
            states = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            save_checkpoint(checkpoint, identity, step + 1, **states)
    return network.eval()
