"""``twotime frames train`` and ``evaluate``: networks that denoise frames, and how good they are."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from frame_denoiser import FrameDenoiser
from frame_denoiser.assess import assess
from frame_denoiser.detection import evaluate_detection
from frame_denoiser.evaluate import document, evaluate_rates
from frame_denoiser.measured import evaluate_measured
from frame_denoiser.network import FrameNetwork
from frame_denoiser.peak_counts import evaluate_peaks, false_peaks
from frame_denoiser.region_quality import evaluate_regions
from frame_denoiser.stored import read_version, write_version
from frame_denoiser.thinning import MeasuredExamples, usable_pixels
from frame_denoiser.train import Examples, Schedule, SimulatedExamples, train
from twotime.cli.progress import ProgressBar
from twotime.export.frame_denoising import coverage_picture, detection_picture, example_picture, report_markdown
from twotime.files import open_frames

MOST_FRAMES_BYTES = 2**30
"""Frames that training or evaluation keep in memory."""


def train_version(out: Path, version: Path | None, steps: int, seed: int, console: Console) -> None:
    """Train a network on simulated frames and write it with its card into `out`.

    A network to go on from is trained more slowly than a new one.

    Raises
    ------
    ValueError
        If `out` holds a checkpoint of another schedule, or there is no such version.
    """
    start, schedule = None, Schedule(steps=steps, seed=seed)
    command = f"twotime frames train {out.name} --steps {steps} --seed {seed}"
    provenance = {"command": command, "data": "simulated frames"}
    if version is not None:
        start, card = read_version(version)
        schedule = replace(schedule, learning_rate=1e-3, warm_up=100)
        provenance |= {"command": f"{command} --version {version.name}", "from": card["version"]}
    _train(out, SimulatedExamples(), schedule, start, provenance, console)


def adapt_version(
    out: Path,
    measured: Path,
    version: Path | None,
    steps: int,
    seed: int,
    console: Console,
    *,
    assessed: int = 300,
) -> None:
    """Go on training a network on thinned measured frames: it predicts the photons that it does not see.

    `assessed` simulated frames tell how far off its errors are.

    Raises
    ------
    TwotimeError
        If the file cannot be used.
    ValueError
        If its frames hold no counts.
    """
    network, card = read_version(version)
    # Slow and short: the network knows scattering already, and a few frames must not make it forget.
    schedule = Schedule(steps=steps, batch=4, learning_rate=1e-4, warm_up=20, averaging=0.98, seed=seed)
    command = f"twotime frames train {out.name} --frames {measured.name} --steps {steps} --seed {seed}"
    provenance = {"command": command, "data": measured.name, "from": card["version"]}
    _train(out, MeasuredExamples(_frames(measured)), schedule, network, provenance, console, assessed)


def evaluate_version(
    version: Path | None,
    measured: Path | None,
    count: int,
    seed: int,
    as_json: bool,
    report: Path | None,
    console: Console,
) -> None:
    """Measure a network: print tables or JSON; write the report with figures into a folder.

    Raises
    ------
    TwotimeError
        If the file of measured frames cannot be used.
    ValueError
        If there is no such version.
    """
    denoiser = FrameDenoiser.load(version)
    frames = None if measured is None else _frames(measured)
    with ProgressBar(Console(stderr=True)) as bar:
        rates = evaluate_rates(denoiser, seed, count, lambda done: bar("rates and errors", done))
        detections = evaluate_detection(denoiser, seed, 2 * count, progress=lambda done: bar("satellites", done))
        peaks = evaluate_peaks(denoiser, seed, 2 * count, progress=lambda done: bar("peaks", done))
        regions = evaluate_regions(denoiser, seed, count, progress=lambda done: bar("regions", done))
        found: dict[str, Any] = {
            "version": denoiser.version,
            "seed": seed,
            "count": count,
            "rates": document(rates),
            "detection": [asdict(one) for one in detections],
            "peaks": [asdict(one) for one in peaks],
            "regions": [asdict(one) for one in regions],
            "false_peaks_per_megapixel": false_peaks(denoiser, seed, count),
            "measured": [] if frames is None else [asdict(one) for one in evaluate_measured(denoiser, frames, seed)],
            "measured_file": None if measured is None else measured.name,
        }
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / "example.png").write_bytes(example_picture(denoiser, seed))
        (report / "coverage.png").write_bytes(coverage_picture(found["rates"]))
        (report / "detection.png").write_bytes(detection_picture(found["detection"]))
        (report / "report.json").write_text(json.dumps(found, indent=1) + "\n")
        (report / "report.md").write_text(report_markdown(found))
        console.print(f"Wrote report.md, report.json and three figures into {report}")
    if as_json:
        console.print_json(json.dumps(found))
    elif report is None:
        console.print(report_markdown(found, figures=False), markup=False, highlight=False)


def _train(
    out: Path,
    examples: Examples,
    schedule: Schedule,
    start: FrameNetwork | None,
    provenance: dict[str, str],
    console: Console,
    assessed: int = 600,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with ProgressBar(console) as bar:

        def told(step: int, loss: float) -> None:
            bar("training", step / schedule.steps)
            console.print(f"step {step}: loss {loss:.4f}")

        network = train(examples, schedule, out / "checkpoint.pt", start=start, report=told)
        known = assess(network, schedule.seed, assessed, lambda done: bar("errors on unseen frames", done))
    write_version(out, network, {**provenance, "torch": torch.__version__, "schedule": asdict(schedule), **known})
    console.print(f"Wrote the network and its card into {out}. Next: twotime frames evaluate --version {out}")


def _frames(path: Path) -> NDArray[Any]:
    """All frames of a file, with masked pixels as zeros; a limited number where they are large."""
    source = open_frames(path)
    length, height, width = source.facts.shape
    fitting = max(1, MOST_FRAMES_BYTES // max(1, height * width * source.dtype.itemsize))
    frames = np.maximum(source.read(range(min(length, fitting))), 0)
    usable = usable_pixels(frames.sum(axis=0), len(frames))
    known = source.pixel_mask()
    return np.where(usable if known is None else usable & known, frames, 0)
