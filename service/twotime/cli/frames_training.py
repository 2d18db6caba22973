"""``twotime frames train`` and ``evaluate``: networks that denoise frames, and how good they are."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from frame_denoiser import FrameDenoiser
from frame_denoiser.assess import assess
from frame_denoiser.collected import CollectedExamples
from frame_denoiser.collection import read_collection
from frame_denoiser.detection import evaluate_detection
from frame_denoiser.evaluate import document, evaluate_rates
from frame_denoiser.measured import evaluate_runs
from frame_denoiser.network import FrameNetwork
from frame_denoiser.peak_counts import evaluate_peaks, false_peaks
from frame_denoiser.published import NetworkName
from frame_denoiser.published_versions import read_rival, write_published
from frame_denoiser.region_quality import evaluate_regions
from frame_denoiser.rivals import RIVALS
from frame_denoiser.stored import read_version, write_version
from frame_denoiser.thinning import MeasuredExamples, usable_pixels
from frame_denoiser.train import Examples, Schedule, SimulatedExamples, train
from frame_denoiser.train_published import PublishedSchedule, train_published
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


def train_rival(out: Path, name: NetworkName, steps: int | None, seed: int, console: Console) -> None:
    """Train a published network on simulated pairs of short and long exposures, for comparison.

    Raises
    ------
    ValueError
        If `out` holds a checkpoint of another schedule or network.
    """
    schedule = PublishedSchedule(seed=seed) if steps is None else PublishedSchedule(seed=seed, steps=steps)
    out.mkdir(parents=True, exist_ok=True)
    with ProgressBar(console) as bar:

        def told(step: int, loss: float) -> None:
            bar("training", step / schedule.steps)
            console.print(f"step {step}: loss {loss:.4f}")

        network = train_published(name, schedule, out / "checkpoint.pt", told)
    command = f"twotime frames train {out.name} --network {name} --steps {schedule.steps} --seed {seed}"
    card = {"command": command, "data": "simulated pairs", "torch": torch.__version__, "schedule": asdict(schedule)}
    write_published(out, name, network, card)
    console.print(f"Wrote the network and its card into {out}. Next: twotime frames evaluate --rival {out}")


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
    examples = MeasuredExamples(_frames(measured))
    _adapt(out, examples, ("--frames", measured.name), version, steps, seed, console, assessed)


def adapt_to_collection(
    out: Path,
    data: Path,
    validation: float,
    version: Path | None,
    steps: int,
    seed: int,
    console: Console,
    *,
    assessed: int = 300,
) -> None:
    """The same on the runs that ``twotime frames collect`` stored, but for the share kept for validation.

    Raises
    ------
    ValueError
        If the folder holds no collection, a file of it is not the one that was written, or no run is left.
    """
    examples = CollectedExamples(read_collection(data, validation=validation, told=console.print))
    ways = ", ".join(f"{way} {number}" for way, number in examples.ways.items())
    console.print(f"Training examples: {ways}", highlight=False)
    _adapt(out, examples, ("--data", data.name), version, steps, seed, console, assessed)


def _adapt(
    out: Path,
    examples: Examples,
    source: tuple[str, str],
    version: Path | None,
    steps: int,
    seed: int,
    console: Console,
    assessed: int,
) -> None:
    network, card = read_version(version)
    # Slow and short: the network knows scattering already, and a few frames must not make it forget.
    schedule = Schedule(steps=steps, batch=4, learning_rate=1e-4, warm_up=20, averaging=0.98, seed=seed)
    command = f"twotime frames train {out.name} {' '.join(source)} --steps {steps} --seed {seed}"
    provenance = {"command": command, "data": source[1], "from": card["version"]}
    _train(out, examples, schedule, network, provenance, console, assessed)


def evaluate_version(
    version: Path | None,
    measured: Path | None,
    data: Path | None,
    validation: float,
    compared: Sequence[Path],
    count: int,
    seed: int,
    as_json: bool,
    report: Path | None,
    console: Console,
) -> None:
    """Measure a network: print tables or JSON; write the report with figures into a folder.

    `validation` is the share of the collection `data` that training left out, whose runs are thinned as a test.
    `compared` are folders of published networks, which stand in the tables beside the filters.

    Raises
    ------
    TwotimeError
        If the file of measured frames cannot be used.
    ValueError
        If there is no such version.
    """
    denoiser = FrameDenoiser.load(version)
    rivals = [*RIVALS, *map(read_rival, compared)]
    runs = [] if measured is None else [_frames(measured)]
    if data is not None:
        own = read_collection(data, validation=validation, held_out=True, told=console.print)
        runs += [np.where(run.mask, run.counts, 0) for run in own]
    with ProgressBar(Console(stderr=True)) as bar:
        rates = evaluate_rates(denoiser, seed, count, lambda done: bar("rates and errors", done), rivals)
        detections = evaluate_detection(
            denoiser, seed, 2 * count, progress=lambda done: bar("satellites", done), rivals=rivals
        )
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
            "measured": [asdict(one) for one in evaluate_runs(denoiser, runs, seed, rivals)],
            "measured_file": ", ".join(path.name for path in (measured, data) if path is not None) or None,
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
