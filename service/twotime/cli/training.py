"""``twotime train``, ``calibrate`` and ``evaluate``: models from measured windows, and how good they are."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from cnn_ed.applicability import input_noise
from cnn_ed.calibrate import calibrate, coverage, cross_validate, held_out
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, checksum, full_windows, load_examples
from cnn_ed.evaluate import Truths, comparisons, flagged, honest_truths, systematic_errors, table_of
from cnn_ed.gain import frames_saved
from cnn_ed.network import Architecture
from cnn_ed.rivals import compare, example_of_each
from cnn_ed.schedule import Schedule
from cnn_ed.select import write_version
from cnn_ed.train import train
from twotime.cli.progress import ProgressBar
from twotime.export.evaluation import (
    LABELS,
    coverage_picture,
    error_picture,
    example_picture,
    gain_picture,
    gain_sentence,
    parameters_picture,
    report_markdown,
)
from twotime.export.training import losses_picture, losses_table

TRAINING, VALIDATION = "cnn_ed_training.npz", "cnn_ed_validation.npz"


def train_version(
    data: Path, out: Path, schedule: Schedule, architecture: Architecture, threads: int | None, console: Console
) -> None:
    """Train on the files in `data`; write the ten best models with their card, and the losses of all, into `out`.

    Raises
    ------
    ValueError
        If a file is missing or `out` holds a checkpoint of another schedule.
    """
    training, validation = _examples(data)
    out.mkdir(parents=True, exist_ok=True)
    console.print(f"{len(training)} windows to train on, {len(validation)} to validate, {schedule.models} models")
    with ProgressBar(console) as progress:
        trained = train(
            training,
            validation,
            schedule,
            out / "checkpoint.pt",
            architecture,
            report=lambda row: _epoch(row, console),
            progress=progress,
            threads=threads,
        )
    losses_table(trained.history).to_csv(out / "losses.csv", index=False, float_format="%.5g")
    (out / "losses.png").write_bytes(losses_picture(trained.history))
    provenance = {
        "command": f"twotime train DATA {out.name}{_options(schedule, architecture)}",
        "torch": torch.__version__,
        "data": {name: checksum(data / name) for name in (TRAINING, VALIDATION)},
    }
    write_version(out, trained, training, schedule, provenance)
    console.print(f"Wrote the ten best models into {out}. Next: twotime calibrate {data} {out}")


def calibrate_version(data: Path, folder: Path, schedule: Schedule, threads: int | None, console: Console) -> None:
    """Train on four fifths of the experiments, five times; write what the others teach about errors into the card.

    The experiments of the validation file, which no model was trained on, count as well.

    Raises
    ------
    ValueError
        If a file or the version is missing.
    """
    training, validation = _examples(data)
    finished = Ensemble.load(path=folder)
    with ProgressBar(console) as progress:
        folds = cross_validate(
            training, validation, schedule, folder / "folds", finished.architecture, progress, threads
        )
        parts = []
        for number, (ensemble, unseen) in enumerate(folds):
            parts.append(held_out(ensemble, unseen))
            progress("denoising and fitting unseen windows", (number + 1) / (len(folds) + 1))
        parts.append(held_out(finished, validation))
        progress("denoising and fitting unseen windows", 1.0)
    calibration = calibrate(parts)
    card = json.loads((folder / "card.json").read_text())
    card["calibration"] = asdict(calibration)
    card["coverage"] = coverage(parts, calibration)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    console.print(_coverage_table(card["coverage"]))


def evaluate_file(path: Path, version: Path | None, as_json: bool, report: Path | None, console: Console) -> None:
    """Measure the models on a file of windows: print a table or JSON; write the full report into a folder.

    Raises
    ------
    ValueError
        If a file is missing, or no window of it has a well-determined truth.
    """
    ensemble = Ensemble.load() if version is None else Ensemble.load(path=version)
    examples = load_examples(path)
    with ProgressBar(Console(stderr=True)) as progress:
        found, pictures = _measured(ensemble, examples, path.name, progress, draw=report is not None)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        for name, png in pictures.items():
            (report / f"{name}.png").write_bytes(png)
        (report / "report.json").write_text(json.dumps(found, indent=1) + "\n")
        (report / "report.md").write_text(report_markdown(found) + "\n")
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table(
        "", "raw", *found["rivals"], "denoised", title=f"{found['windows']} windows with a well-determined truth"
    )
    for name, label in LABELS.items():
        columns = [found["raw"], *found["rivals"].values(), found["denoised"]]
        table.add_row(label, *(f"{column[name]:.4f}" for column in columns))
    console.print(table)
    console.print(gain_sentence(found["gain"]), highlight=False)
    if found["coverage"] is not None:
        console.print(_coverage_table(found["coverage"]))
    if report is not None:
        console.print(f"Wrote the report: {report / 'report.md'}", highlight=False)


def _measured(
    ensemble: Ensemble, examples: Examples, data: str, progress: ProgressBar, draw: bool
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """All figures of an evaluation, and its pictures if wanted."""
    progress("finding honest truths", 0.0)
    truths = honest_truths(examples)
    progress("denoising", 0.0)
    windows = full_windows(examples.inputs, examples.window).numpy()
    denoised = ensemble.apply(windows)[0]
    raw_g2, denoised_g2 = one_time_of(windows), one_time_of(denoised)
    compared = comparisons(examples, raw_g2, denoised_g2, truths, lambda part: progress("fitting", part))
    tables = [row for comparison in compared for row in table_of(comparison)]
    progress("comparing with rivals", 0.0)
    rivals = compare(examples, truths)
    progress("averaging raw windows", 0.0)
    gain = frames_saved(examples, raw_g2, denoised_g2)
    honest = next(row for row in tables if row["against"] == "honest truth" and row["alpha"] == "free")
    held = held_out(ensemble, examples, truths) if ensemble.calibration else None
    found = {
        "version": ensemble.version,
        "data": data,
        "windows": honest["windows"],
        "raw": honest["raw"],
        "denoised": honest["denoised"],
        "tables": tables,
        "rivals": rivals,
        "gain": gain,
        "systematic": systematic_errors(ensemble, examples),
        "flagged": flagged(ensemble, windows[truths.example]),
        "coverage": coverage([held], ensemble.calibration) if held and ensemble.calibration else None,
    }
    if not draw:
        return found, {}
    progress("drawing", 0.0)
    noise = input_noise(windows[truths.example])
    against_target, honest_free, against_target_1, _ = compared
    pictures = {
        "example": _example(examples, truths, windows, denoised, rivals),
        "parameters": parameters_picture(against_target),
        "parameters_alpha_1": parameters_picture(against_target_1),
        "error": error_picture(honest_free, noise),
        "gain": gain_picture(gain),
    }
    if found["coverage"] is not None:
        pictures["coverage"] = coverage_picture(found["coverage"])
    return found, pictures


def _example(
    examples: Examples,
    truths: Truths,
    windows: NDArray[np.float32],
    denoised: NDArray[np.float32],
    rivals: dict[str, dict[str, float]],
) -> bytes:
    """The window of median noise among those with a truth, after each filter."""
    noise = input_noise(windows[truths.example])
    number = int(truths.example[np.argsort(noise)[len(noise) // 2]])
    target = int(examples.target_index[number])
    others = windows[examples.experiment[examples.target_index] != examples.experiment[target]]
    strengths = {name: own["strength"] for name, own in rivals.items() if "strength" in own}
    filtered = example_of_each(windows[number : number + 1], others[::4], strengths)
    panels = {"input": windows[number], "target": full_windows(examples.targets[target : target + 1], 50).numpy()[0]}
    panels |= {name: window[0] for name, window in filtered.items()} | {"this ensemble": denoised[number]}
    return example_picture(panels)


def _examples(data: Path) -> tuple[Examples, Examples]:
    for name in (TRAINING, VALIDATION):
        if not (data / name).is_file():
            raise ValueError(f"{data} holds no {name}; give the folder of the training data.")
    return load_examples(data / TRAINING), load_examples(data / VALIDATION)


def _options(schedule: Schedule, architecture: Architecture) -> str:
    """What differs from the defaults, as options of ``twotime train``."""
    given = [(f.name, getattr(schedule, f.name), f.default) for f in fields(schedule) if f.name != "augmentation"]
    given += [(f.name, getattr(architecture, f.name), f.default) for f in fields(architecture)]
    return "".join(f" --{name.replace('_', '-')} {value}" for name, value, default in given if value != default)


def _coverage_table(found: dict[str, Any]) -> Table:
    table = Table("windows of unseen experiments", "number", "within 1 error", "within 1.96", show_edge=False)
    rows = [("all", found["all"])]
    for name in ("noise", "rate"):
        rows += [
            (f"{part} third of {name}", row) for part, row in zip(("low", "middle", "high"), found[name], strict=True)
        ]
    for label, row in rows:
        table.add_row(label, str(row["windows"]), f"{100 * row['68']:.0f} %", f"{100 * row['95']:.0f} %")
    return table


def _epoch(row: dict[str, Any], console: Console) -> None:
    best = ", ".join(
        f"{name.replace('_', ' ')} {min(row[name]):.4f} to {max(row[name]):.4f}"
        for name in ("training_cost", "validation_cost", "validation_one_time")
    )
    console.print(f"epoch {row['epoch']}, {len(row['model'])} models: {best}", highlight=False)
