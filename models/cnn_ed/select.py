"""Choosing the models to keep, and writing them as one version of the ensemble."""

import hashlib
import json
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.applicability import SCALES, Limits, input_noise, latent_distance, residual_structure
from cnn_ed.cost import one_time_of
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.evaluate import FEWEST_WINDOWS
from cnn_ed.inference import AppliedStack
from cnn_ed.latent_map import LatentMap
from cnn_ed.network import EncoderDecoderStack
from cnn_ed.schedule import Schedule
from cnn_ed.train import Trained
from twotime.xpcs import one_time

TRAINED_RATE = (0.01, 0.15)
"""Rates per frame for which the paper found that the models improve on the raw fit (Konstantinova 2021, Results)."""


def choose(trained: Trained, number: int = 10) -> tuple[EncoderDecoderStack, list[int]]:
    """The models with the smallest validation error of the one-time correlation function, and their places."""
    best = sorted(np.argsort(trained.validation_one_time)[:number].tolist())
    return trained.stack.chosen(best), best


def write_version(
    folder: Path,
    trained: Trained,
    training: Examples,
    schedule: Schedule,
    provenance: dict[str, Any],
    number: int = 10,
) -> None:
    """Write the chosen models with a card that describes them; the card comes last and is not calibrated yet.

    Parameters
    ----------
    folder : its name is the version
    trained : all models
    training : the examples, from which the limits of applicability are taken
    schedule : of the training
    provenance : command, data and their checksums, as plain data
    """
    folder.mkdir(parents=True, exist_ok=True)
    stack, chosen = choose(trained, number)
    files = {}
    for model in range(stack.models):
        content = BytesIO()
        torch.save(stack.state(model), content)
        name = f"model_{model:02d}.pt"
        (folder / name).write_bytes(content.getvalue())
        files[name] = hashlib.sha256(content.getvalue()).hexdigest()
    card: dict[str, Any] = {
        "version": folder.name,
        "architecture": asdict(stack.architecture),
        "files": files,
        "schedule": asdict(schedule),
        "chosen": trained.number[chosen].tolist(),
        "seeds": (schedule.seed + trained.number[chosen]).tolist(),
        "best_epochs": trained.best_epoch[chosen].tolist(),
        "epochs_run": len(trained.history),
        "validation_cost": trained.validation_cost[chosen].tolist(),
        "validation_one_time": trained.validation_one_time[chosen].tolist(),
        "limits": _plain(limits_of(stack, training)),
        "latent_map": latent_map_of(stack, training).plain(),
        "calibration": None,
        **provenance,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def limits_of(stack: EncoderDecoderStack, training: Examples) -> Limits:
    """What the models were trained on, in the measures that applicability looks at."""
    windows = full_windows(training.inputs, training.window).numpy()
    applied = AppliedStack(stack)
    outputs, latent = applied.apply(windows)
    denoised = one_time_of(applied.full(outputs.mean(axis=0)))
    draft = Limits(
        TRAINED_RATE,
        float(np.percentile(input_noise(windows), 99)),
        latent.mean(axis=1, dtype=float),
        np.linalg.pinv(np.stack([np.cov(own, rowvar=False) for own in latent])),
        np.inf,
        0.0,
        np.full(len(SCALES), np.inf),
    )
    floor, residual = _usual_residuals(training, windows, denoised)
    return replace(
        draft,
        latent_distance=float(np.percentile(latent_distance(latent, draft), 99.5)),
        residual_floor=floor,
        residual=residual,
    )


def latent_map_of(stack: EncoderDecoderStack, training: Examples) -> LatentMap:
    """The map of dynamics that the training windows span."""
    windows = full_windows(training.inputs, training.window).numpy()
    return LatentMap.of_training(AppliedStack(stack).apply(windows)[1])


def _usual_residuals(
    training: Examples, windows: NDArray[np.float32], denoised: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """`Limits.residual_floor` and `Limits.residual`, from every tenth window and all measurements of some length."""
    raw = one_time_of(windows)
    count = np.bincount(training.target_index)
    targets = np.flatnonzero(count >= min(FEWEST_WINDOWS, count.max()))
    members = [np.flatnonzero(training.target_index == target) for target in targets]
    change = np.array([(raw[own] - denoised[own]).mean(axis=0) for own in members])
    floor = float(np.median(np.sqrt(np.mean(change**2, axis=1))))
    of_measurements = [
        residual_structure(
            raw[own].mean(axis=0), denoised[own].mean(axis=0), raw[own].std(axis=0) / np.sqrt(len(own)), floor
        )
        for own in members
    ]
    some = np.arange(0, len(windows), 10)
    errors = one_time(windows[some]).error
    of_windows = [
        residual_structure(raw[example], denoised[example], error, floor)
        for example, error in zip(some, errors, strict=True)
    ]
    usual = [np.percentile(found, 99.5, axis=0) for found in (of_windows, of_measurements)]
    return floor, np.maximum(*usual)


def _plain(limits: Limits) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(limits).items()}
