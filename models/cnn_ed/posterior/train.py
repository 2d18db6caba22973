"""Training the estimate: simulated scans and measured windows, a handful of networks of each kind, a card."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.dataset import Examples
from cnn_ed.posterior.curves import BinnedCurves, amplitude, features, fit_in_units, in_units
from cnn_ed.posterior.estimates import Estimator
from cnn_ed.posterior.mixture import log_density
from cnn_ed.posterior.network import PosteriorNetwork, Shape
from cnn_ed.posterior.scans import examples
from cnn_ed.posterior.window_examples import WindowExamples

SHARD = 100
"""Simulated samples in a file."""
STATIC_SHARE = 0.2
"""How often networks of scans see a baseline above 1: half of the samples have one, most samples in beams do not."""
UNPLANNED = 0.3
"""How often, where others count 1, they see a decay that nobody plans a scan for: α below `STRETCHED_ALPHA`, fewer than
`SLOW` decays within the scan, or a rate above `FAST` per frame. The prior reaches there, so that such scans are known
for what they are; drawn like all others they widen everybody's intervals."""
STRETCHED_ALPHA, SLOW, FAST = 0.5, 0.6, 0.4
HELD_BACK = 10
"""One shard in so many is not trained on: it decides which deviations are usual."""
SEEN_FIRST = 10_000
"""Examples that tell the mean and spread of the features, by which networks scale them."""
USUAL = 99.5
"""Percentile of the deviations of true decays that still passes: half a percent of false alarms at each scale."""

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Schedule:
    """How the networks of one kind are trained.

    Attributes
    ----------
    networks : how many, differing in their seed
    hidden : neurons of each of their layers
    steps, batch, learning_rate, weight_decay : AdamW, one cycle
    jitter : noise added to the features, in units of their spread
    """

    networks: int = 4
    hidden: int = 192
    steps: int = 8000
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.0


SCANS = Schedule()
WINDOWS = Schedule(networks=6, hidden=96, steps=2500, weight_decay=1e-2, jitter=0.1)


@dataclass(frozen=True)
class Table:
    """Features (M, F), fits and truths (M, 4) in the networks' units, and how often each row is drawn (M,)."""

    features: torch.Tensor
    fit: torch.Tensor
    truth: torch.Tensor
    weight: torch.Tensor

    def draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, fits and truths of so many rows."""
        drawn = torch.multinomial(self.weight, number, replacement=True)
        return self.features[drawn], self.fit[drawn], self.truth[drawn]


class Source(Protocol):
    """Where the examples of a training come from."""

    def draw(self, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features (number, F), fits and truths (number, 4) in the networks' units, by the generator of torch."""


def simulate_examples(folder: Path, samples: int, seed: int, processes: int, progress: Progress) -> list[Path]:
    """Files with the curves of simulated samples; those that stand in `folder` already are not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(seed, seed + samples, SHARD)
    files = [folder / f"{first}.npz" for first in firsts]
    missing = [(file, first) for file, first in zip(files, firsts, strict=True) if not file.exists()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for number, _ in enumerate(pool.map(_write_shard, *zip(*missing, strict=True)) if missing else ()):
            progress((number + 1) / len(missing))
    return files


def _write_shard(file: Path, first: int) -> None:
    torch.set_num_threads(1)
    made = [examples(seed) for seed in range(first, first + SHARD)]
    arrays: dict[str, Any] = {}
    for kind, pairs in (("scan", [one[:2] for one in made]), ("two_time", [one[2:] for one in made])):
        curves = BinnedCurves.joined([own for own, _ in pairs])
        arrays |= {f"{kind}_{name}": values for name, values in vars(curves).items()}
        arrays[f"{kind}_truth"] = np.concatenate([truth for _, truth in pairs])
    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        np.savez(out, **arrays)
    partial.rename(file)


def read_examples(files: list[Path], kind: str) -> tuple[BinnedCurves, NDArray[np.float64]]:
    """Curves of a kind ("scan" or "two_time") with their truths (M, 4)."""
    parts, truths = [], []
    for file in files:
        with np.load(file) as arrays:
            own = {name.removeprefix(f"{kind}_"): arrays[name] for name in arrays.files if name.startswith(f"{kind}_")}
        truths.append(own.pop("truth"))
        parts.append(BinnedCurves(**own))
    return BinnedCurves.joined(parts), np.concatenate(truths)


def table_of_curves(curves: BinnedCurves, truth: NDArray[np.float64]) -> Table:
    """What networks of scans are trained on."""
    scale = amplitude(curves)
    parts = (features(curves, scale), fit_in_units(curves, scale)[0], in_units(truth, scale), _prior(curves, truth))
    return Table(*(torch.from_numpy(part).float() for part in parts))


def _prior(curves: BinnedCurves, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often (M,) each curve is drawn: static parts and decays that nobody plans less often than they were made."""
    rate, baseline, alpha = truth[:, 0], truth[:, 2], truth[:, 3]
    static = baseline > 1
    weight = np.where(static, STATIC_SHARE / max(static.sum(), 1), (1 - STATIC_SHARE) / max((~static).sum(), 1))
    weight *= np.where(alpha < STRETCHED_ALPHA, UNPLANNED, 1.0)
    weight *= np.where((rate * curves.frames < SLOW) | (rate > FAST), UNPLANNED, 1.0)
    return np.asarray(weight, np.float64)


def train_networks(source: Source, schedule: Schedule, seed: int, progress: Progress) -> list[PosteriorNetwork]:
    """Networks of one kind: AdamW with one cycle of the learning rate, on the negative log likelihood of the truth."""
    networks = []
    for number in range(schedule.networks):
        torch.manual_seed(seed + number)
        features = source.draw(SEEN_FIRST)[0]
        network = PosteriorNetwork(Shape(features.shape[1], schedule.hidden))
        network.centre[:] = features.mean(0)
        network.width[:] = features.std(0).clamp(min=0.05)
        _train(network, source, schedule, lambda done, number=number: progress((number + done) / schedule.networks))  # type: ignore[misc]
        networks.append(network.eval())
    return networks


def _train(network: PosteriorNetwork, source: Source, schedule: Schedule, progress: Progress) -> None:
    steps = schedule.steps
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=schedule.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        seen, fit, truth = source.draw(schedule.batch)
        if schedule.jitter:
            seen = seen + schedule.jitter * network.width * torch.randn_like(seen)
        logits, mean, factor = network(seen, fit)
        loss = -log_density(logits, mean, factor, truth).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        rates.step()
        if step % 200 == 0:
            progress(step / steps)


def write_estimator(
    out: Path, version: str, files: list[Path], data: Examples, seed: int, progress: Progress
) -> Estimator:
    """Train all three kinds and write weights and card."""
    out.mkdir(parents=True, exist_ok=True)
    held, used = files[::HELD_BACK], [file for place, file in enumerate(files) if place % HELD_BACK]
    windows = WindowExamples(data)
    networks: dict[str, list[PosteriorNetwork]] = {}
    for place, kind in enumerate(("scan", "two_time", "window")):

        def told(done: float, place: int = place) -> None:
            progress((place + done) / 3)

        source: Source = windows
        if kind != "window":
            source = table_of_curves(*read_examples(used, kind))
        schedule = WINDOWS if kind == "window" else SCANS
        networks[kind] = train_networks(source, schedule, seed, told)
    card: dict[str, Any] = {
        "version": version,
        "seed": seed,
        "samples": len(files) * SHARD,
        "schedules": {"scan": asdict(SCANS), "two_time": asdict(SCANS), "window": asdict(WINDOWS)},
        "shapes": {kind: asdict(own[0].shape) for kind, own in networks.items()},
        "misfit": dict.fromkeys(networks, 1.0),
        "files": {},
    }
    estimator = Estimator(networks, card)
    for kind in ("scan", "two_time"):
        curves, _ = read_examples(held, kind)
        card["misfit"][kind] = _usual(estimator.of_binned(curves, kind).structure)
    card["misfit"]["window"] = _usual(estimator.of_windows(windows.curves).structure)
    for kind, members in networks.items():
        for number, network in enumerate(members):
            file = out / f"{kind}_{number}.pt"
            torch.save({name: value.clone() for name, value in network.state_dict().items()}, file)
            card["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return Estimator.load(path=out)


def _usual(structure: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.nanpercentile(structure, USUAL, axis=0)]
