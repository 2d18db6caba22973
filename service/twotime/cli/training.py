"""``twotime train`` and ``twotime evaluate``: models from measured windows, and how good they are."""

import json
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from cnn_ed.dataset import checksum, load_examples
from cnn_ed.evaluate import evaluate, systematic_errors
from cnn_ed.select import write_version
from cnn_ed.train import Schedule, train

TRAINING, VALIDATION = "cnn_ed_training.npz", "cnn_ed_validation.npz"


def train_version(data: Path, out: Path, schedule: Schedule, console: Console) -> None:
    """Train on the files in `data`, and write the ten best models with their card into `out`.

    Raises
    ------
    ValueError
        If a file is missing or `out` holds a checkpoint of another schedule.
    """
    for name in (TRAINING, VALIDATION):
        if not (data / name).is_file():
            raise ValueError(f"{data} holds no {name}; give the folder of the training data.")
    out.mkdir(parents=True, exist_ok=True)
    training, validation = load_examples(data / TRAINING), load_examples(data / VALIDATION)
    console.print(f"{len(training)} windows to train on, {len(validation)} to validate, {schedule.models} models")
    trained = train(training, validation, schedule, out / "checkpoint.pt", report=lambda row: _epoch(row, console))
    provenance = {
        "command": f"twotime train DATA {out.name} {_options(schedule)}",
        "torch": torch.__version__,
        "data": {name: checksum(data / name) for name in (TRAINING, VALIDATION)},
        "history": trained.history,
    }
    write_version(out, trained, training, validation, schedule, provenance)
    console.print(f"Wrote the ten best models into {out}; evaluate them with: twotime evaluate {data / VALIDATION}")


def evaluate_file(path: Path, version: Path | None, as_json: bool, console: Console) -> None:
    """Print the errors of raw and denoised windows against their honest truths."""
    ensemble = Ensemble.load() if version is None else Ensemble.load(path=version)
    examples = load_examples(path)
    found = evaluate(ensemble, examples) | {"systematic": systematic_errors(ensemble, examples)}
    if as_json:
        console.print_json(json.dumps(found))
        return
    table = Table(
        "", "raw", "denoised", title=f"{found['windows']} windows with a well-determined truth", show_edge=False
    )
    for name in found["raw"]:
        table.add_row(name.replace("_", " "), f"{found['raw'][name]:.4f}", f"{found['denoised'][name]:.4f}")
    console.print(table)
    listed = ", ".join(f"{name} {value:.3f}" for name, value in found["systematic"].items())
    console.print(f"What all models get wrong alike: {listed} (rate relative, root mean square).", highlight=False)


def _options(schedule: Schedule) -> str:
    """The schedule as options of ``twotime train``."""
    names = ("models", "epochs", "learning_rate", "decay", "batch", "seed")
    return " ".join(f"--{name.replace('_', '-')} {getattr(schedule, name)}" for name in names)


def _epoch(row: dict[str, object], console: Console) -> None:
    costs = {name: sorted(row[name]) for name in ("training_cost", "validation_cost", "validation_one_time")}  # type: ignore[call-overload]  # lists of numbers
    best = ", ".join(f"{name.replace('_', ' ')} {values[0]:.4f} to {values[-1]:.4f}" for name, values in costs.items())
    console.print(f"epoch {row['epoch']}: {best}", highlight=False)
