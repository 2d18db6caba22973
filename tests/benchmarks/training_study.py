"""What training choices are worth: the table and figure of models/cnn_ed/MODEL_CARD.md.

    python tests/benchmarks/training_study.py DATA OUT [--models 3] [--epochs 8]

DATA holds cnn_ed_training.npz and cnn_ed_validation.npz. Each row changes one thing of the shipped schedule; results
stand in OUT/study.json after each row, so that the study goes on where it was stopped.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnn_ed.augment import Augmentation
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import full_windows, load_examples
from cnn_ed.ensemble import Ensemble
from cnn_ed.evaluate import LAG, Truths, errors_of, honest_truths
from cnn_ed.network import Architecture
from cnn_ed.schedule import IMPROVED, Schedule
from cnn_ed.train import train
from twotime.xpcs import fit_decay

NOTHING = Augmentation()


def choices(base: Schedule) -> Iterator[tuple[str, Schedule, Architecture]]:
    """Name, schedule and architecture of each row."""
    plain = replace(base, augmentation=NOTHING)
    paper = replace(plain, targets="all", learning_rate=1e-4, batch=32, decay=0.95)
    yield "paper: full decoder, published targets, rate 1e-4, batch 32", paper, Architecture(symmetric=False)
    yield "symmetric decoder", paper, Architecture()
    yield "and rate 1.5e-3, batch 16", replace(plain, targets="all"), Architecture()
    yield "and targets without own frames", plain, Architecture()
    for name, part in (
        ("time reversal", Augmentation(reversal=0.5)),
        ("shuffled diagonals", Augmentation(shuffle=0.5)),
        ("noise at half the measured level", Augmentation(noise=0.5)),
        ("nearby decays", Augmentation(nearby=0.3)),
        ("synthetic decays", Augmentation(synthetic=0.3)),
    ):
        yield f"and {name}", replace(plain, augmentation=part), Architecture()
    yield "shipped: all but the noise", base, Architecture()
    yield "plain autoencoder", replace(plain, targets="input"), Architecture()
    for latent in (1, 2, 4, 16, 50, 200):
        yield f"latent {latent}", base, Architecture(latent=latent)
    for rate in (3e-4, 5e-3):
        yield f"learning rate {rate:g}", replace(base, learning_rate=rate), Architecture()
    for batch in (8, 64):
        yield f"batch {batch}", replace(base, batch=batch), Architecture()
    for decay in (1e-5, 1e-4):
        yield f"weight decay {decay:g}", replace(base, weight_decay=decay), Architecture()
    yield "dropout 0.1", replace(base, dropout=0.1), Architecture()
    yield "averaged weights (0.998)", replace(base, averaging=0.998), Architecture()
    yield "one-time term five times", replace(base, one_time_weight=5.0), Architecture()


def main() -> None:
    """Run what is missing, then print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--part", default="0/1", help="rows k, k + n, ... as k/n, to share the work between processes")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    part, parts = (int(number) for number in given.part.split("/"))
    training = load_examples(given.data / "cnn_ed_training.npz")
    validation = load_examples(given.data / "cnn_ed_validation.npz")
    truths = honest_truths(validation)
    windows = full_windows(validation.inputs[truths.example], 50).numpy()
    base = Schedule(models=given.models, finalists=given.models, epochs=given.epochs, augmentation=IMPROVED)
    for number, (name, schedule, architecture) in enumerate(choices(base)):
        file = given.out / f"row_{number:02d}.json"
        if number % parts != part or file.exists():
            continue
        checkpoint = given.out / f"row_{number:02d}.pt"
        trained = train(training, validation, schedule, checkpoint, architecture)
        row = {
            "name": name,
            "latent": architecture.latent,
            "validation_cost": float(trained.validation_cost.mean()),
            "validation_one_time": float(trained.validation_one_time.mean()),
            "best_epoch": float(trained.best_epoch.mean()),
            **_errors(one_time_of(Ensemble.of_stack(trained.stack).members(windows).mean(axis=0)), truths),
        }
        file.write_text(json.dumps(row))
        checkpoint.unlink()
        print(row, flush=True)
    rows = [json.loads(file.read_text()) for file in sorted(given.out.glob("row_*.json"))]
    (given.out / "study.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(_table(rows))
    _draw(rows, given.out / "study.png")


def _errors(g2: np.ndarray, truths: Truths) -> dict[str, float]:
    found = errors_of(g2, fit_decay(LAG, g2), truths.g2, truths.fits)
    return {name: found[name] for name in ("one_time_mse", "rate_mean_relative_error", "rate_median_relative_error")}


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| | cost | MSE(1TCF), all | MSE(1TCF) | mean error of Γ | median | best epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = ("validation_cost", "validation_one_time", "one_time_mse")
        shown = [f"{row[name]:.4f}" for name in numbers]
        shown += [f"{row[f'rate_{name}_relative_error']:.3f}" for name in ("mean", "median")]
        lines.append(f"| {row['name']} | {' | '.join(shown)} | {row['best_epoch']:.0f} |")
    return "\n".join(lines)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    latent = sorted((r["latent"], r) for r in rows if r["name"].startswith(("latent", "shipped")))
    figure = Figure(figsize=(10, 3.9), layout="constrained")
    by_latent, by_choice = figure.subplots(1, 2, width_ratios=(1, 1.6))
    number = [own[0] for own in latent]
    for name, label, style in (
        ("rate_mean_relative_error", "mean", "o-"),
        ("rate_median_relative_error", "median", "s--"),
    ):
        by_latent.plot(number, [own[1][name] for own in latent], style, color="#c2410c", label=f"{label} error of Γ")
    by_latent.set(xscale="log", xlabel="latent dimension", ylabel="relative error of Γ", ylim=(0, None))
    by_latent.set_xticks(number, [str(n) for n in number])
    by_latent.minorticks_off()
    by_latent.legend(frameon=False)
    others = [row for row in rows if not row["name"].startswith("latent")]
    place = np.arange(len(others))[::-1]
    by_choice.plot([row["rate_median_relative_error"] for row in others], place, "s", color="#c2410c", label="median")
    by_choice.plot([row["rate_mean_relative_error"] for row in others], place, "o", color="#7a7a7a", label="mean")
    by_choice.set_yticks(place, [row["name"] for row in others], fontsize=8)
    by_choice.set(xlabel="relative error of Γ", xscale="log")
    by_choice.set_xticks([0.1, 0.2, 0.5], ["0.1", "0.2", "0.5"])
    by_choice.minorticks_off()
    by_choice.grid(axis="y", linewidth=0.3)
    by_choice.legend(frameon=False)
    for panel in (by_latent, by_choice):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
