"""Training the estimate: simulated scans and measured windows, a handful of networks of each kind, a card."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.augment import _pairs_apart
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.ensemble import Ensemble
from cnn_ed.evaluate import honest_truths
from cnn_ed.posterior.curves import BinnedCurves, amplitude, features, fit_in_units, in_units
from cnn_ed.posterior.estimates import Estimator
from cnn_ed.posterior.measured import WindowCurves, parameters_in_units, window_features, window_fit_in_units
from cnn_ed.posterior.mixture import log_density
from cnn_ed.posterior.network import PosteriorNetwork, Shape
from cnn_ed.posterior.scans import examples

SHARD = 100
"""Simulated samples in a file."""
STATIC_SHARE = 0.2
"""How often networks of scans see a baseline above 1: half of the samples have one, most samples in beams do not."""
HELD_BACK = 10
"""One shard in so many is not trained on: it decides which deviations are usual."""
USUAL = 99.5
"""Percentile of the deviations of true decays that still passes: half a percent of false alarms at each scale."""

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Schedule:
    """How the networks of one kind are trained.

    Attributes
    ----------
    networks : how many, differing in their seed
    epochs, batch, learning_rate, weight_decay : AdamW, one cycle
    jitter : noise added to the features, in units of their spread
    """

    networks: int = 4
    epochs: int = 40
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.0


SCANS = Schedule()
WINDOWS = Schedule(networks=6, epochs=24, batch=256, weight_decay=1e-2, jitter=0.1)


@dataclass(frozen=True)
class Table:
    """Features (M, F), fits and truths (M, 4) in the networks' units, and how often each row is drawn (M,)."""

    features: torch.Tensor
    fit: torch.Tensor
    truth: torch.Tensor
    weight: torch.Tensor


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
    static = truth[:, 2] > 1
    weight = np.where(static, STATIC_SHARE / max(static.sum(), 1), (1 - STATIC_SHARE) / max((~static).sum(), 1))
    return _table(features(curves, scale), fit_in_units(curves, scale)[0], in_units(truth, scale), weight)


def table_of_windows(data: Examples, ensemble: Ensemble, seed: int, synthetic: int = 16_000) -> Table:
    """Measured windows with their honest truths (seven in ten draws), and decays of known shape in measured noise."""
    truths = honest_truths(data)
    fits = truths.fits
    own = curves_of_windows(full_windows(data.inputs[truths.example], data.window).numpy(), ensemble)
    known = np.stack([fits.relaxation_rate, fits.beta, fits.baseline, fits.alpha], axis=1)
    _, target, number = np.unique(data.target_index[truths.example], return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(number[target])  # Many windows of one measurement tell little more than a few.
    made, parameters = _synthetic(data, synthetic, seed)
    others = curves_of_windows(made, ensemble)
    return _table(
        np.concatenate([window_features(own), window_features(others)]),
        np.concatenate([window_fit_in_units(own), window_fit_in_units(others)]),
        parameters_in_units(np.concatenate([known, parameters])),
        np.concatenate([0.7 * weight / weight.sum(), np.full(synthetic, 0.3 / synthetic)]),
    )


def curves_of_windows(windows: NDArray[np.float32], ensemble: Ensemble) -> WindowCurves:
    """Curves of windows (M, 50, 50), before and after denoising."""
    return WindowCurves.of(windows, *ensemble.apply(windows))


def _synthetic(data: Examples, number: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Windows of known decays with noise from pairs of windows of one measurement, and their parameters (M, 4)."""
    rng = np.random.default_rng(seed)
    pairs = _pairs_apart(data).numpy()
    first, second = pairs[rng.integers(len(pairs), size=number)].T
    strength = np.exp(rng.normal(0, 0.3, (number, 1))) / np.sqrt(2)
    noise = full_windows((data.inputs[first] - data.inputs[second]) * strength.astype(np.float32), data.window).numpy()
    rate = np.exp(rng.uniform(np.log(0.004), np.log(0.4), number))
    alpha = np.clip(1.2 * np.exp(0.4 * rng.normal(size=number)), 0.3, 3)
    beta = np.exp(0.2 * rng.normal(size=number))
    baseline = 1 + 0.1 * rng.normal(size=number)
    lag = np.abs(np.arange(data.window)[:, None] - np.arange(data.window))
    for m in range(number):
        noise[m] += baseline[m] + beta[m] * np.exp(-2 * (rate[m] * lag) ** alpha[m])
    return noise, np.stack([rate, beta, baseline, alpha], axis=1)


def _table(
    seen: NDArray[np.float32], fit: NDArray[np.float64], truth: NDArray[np.float64], weight: NDArray[np.float64]
) -> Table:
    return Table(torch.from_numpy(seen), *(torch.from_numpy(part).float() for part in (fit, truth, weight)))


def train_networks(table: Table, schedule: Schedule, seed: int, progress: Progress) -> list[PosteriorNetwork]:
    """Networks of one kind: AdamW with one cycle of the learning rate, on the negative log likelihood of the truth."""
    networks = []
    for number in range(schedule.networks):
        torch.manual_seed(seed + number)
        network = PosteriorNetwork(Shape(table.features.shape[1]))
        network.centre[:] = table.features.mean(0)
        network.width[:] = table.features.std(0).clamp(min=0.05)
        _train(network, table, schedule, lambda done, number=number: progress((number + done) / schedule.networks))  # type: ignore[misc]
        networks.append(network.eval())
    return networks


def _train(network: PosteriorNetwork, table: Table, schedule: Schedule, progress: Progress) -> None:
    steps = max(1, schedule.epochs * len(table.truth) // schedule.batch)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=schedule.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.learning_rate, total_steps=steps, pct_start=0.1)
    even = bool((table.weight == table.weight[0]).all())
    for step in range(steps):
        if even:
            drawn = torch.randint(len(table.truth), (schedule.batch,))
        else:
            drawn = torch.multinomial(table.weight, schedule.batch, replacement=True)
        seen = table.features[drawn]
        if schedule.jitter:
            seen = seen + schedule.jitter * network.width * torch.randn_like(seen)
        logits, mean, factor = network(seen, table.fit[drawn])
        loss = -log_density(logits, mean, factor, table.truth[drawn]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        rates.step()
        if step % 200 == 0:
            progress(step / steps)


def write_estimator(
    out: Path, version: str, files: list[Path], data: Examples, ensemble: Ensemble, seed: int, progress: Progress
) -> Estimator:
    """Train all three kinds and write weights and card."""
    out.mkdir(parents=True, exist_ok=True)
    held, used = files[::HELD_BACK], [file for place, file in enumerate(files) if place % HELD_BACK]
    networks: dict[str, list[PosteriorNetwork]] = {}
    for place, kind in enumerate(("scan", "two_time", "window")):

        def told(done: float, place: int = place) -> None:
            progress((place + done) / 3)

        if kind == "window":
            table, schedule = table_of_windows(data, ensemble, seed), WINDOWS
        else:
            table, schedule = table_of_curves(*read_examples(used, kind)), SCANS
        networks[kind] = train_networks(table, schedule, seed, told)
    card: dict[str, Any] = {
        "version": version,
        "ensemble": ensemble.version,
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
    truths = honest_truths(data)
    own = curves_of_windows(full_windows(data.inputs[truths.example], data.window).numpy(), ensemble)
    card["misfit"]["window"] = _usual(estimator.of_windows(own).structure)
    for kind, members in networks.items():
        for number, network in enumerate(members):
            file = out / f"{kind}_{number}.pt"
            torch.save({name: value.clone() for name, value in network.state_dict().items()}, file)
            card["files"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return Estimator.load(path=out)


def _usual(structure: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in np.nanpercentile(structure, USUAL, axis=0)]
