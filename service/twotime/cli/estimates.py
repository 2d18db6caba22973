"""``twotime train-estimate`` and ``twotime evaluate --simulated``: the estimate, from simulated scans to its errors."""

import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cnn_ed import Ensemble
from cnn_ed.dataset import load_examples
from cnn_ed.posterior.train import simulate_examples, write_estimator
from twotime.cli.progress import ProgressBar
from twotime.cli.training import TRAINING
from twotime.pipeline.judging import judge_estimates


def train_estimator(data: Path, out: Path, samples: int, seed: int, console: Console) -> None:
    """Simulate samples, goes on where it was stopped, and train on them and the measured windows in `data`."""
    examples = load_examples(data / TRAINING)
    with ProgressBar(console) as progress:
        files = simulate_examples(
            out / "samples", samples, seed, os.cpu_count() or 1, lambda done: progress("simulating", done)
        )
        write_estimator(out, out.name, files, examples, seed, lambda done: progress("training", done))
    console.print(f"{out / 'card.json'} describes the networks.")


def evaluate_simulated(scans: int, seed: int, as_json: bool, report: Path | None, console: Console) -> None:
    """Print, and write into `report`, how estimate and fits compare with the truth of simulated scans."""
    with ProgressBar(console) as progress:
        found = judge_estimates(Ensemble.load(), scans, seed, lambda done: progress("simulating and analysing", done))
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / "simulated.json").write_text(json.dumps(found, indent=1) + "\n")
        (report / "simulated.md").write_text("\n\n".join(_markdown(name, rows) for name, rows in found.items()) + "\n")
    if as_json:
        console.print_json(data=found)
        return
    for name, rows in found.items():
        table = Table(title=name, title_justify="left", show_edge=False)
        for column in rows[0]:
            table.add_column(column)
        for row in rows:
            table.add_row(*(_shown(value) for value in row.values()))
        console.print(table)


def _markdown(name: str, rows: list[dict[str, Any]]) -> str:
    header = list(rows[0])
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_shown(value) for value in row.values()) + " |" for row in rows]
    return f"{name}:\n\n" + "\n".join(lines)


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
