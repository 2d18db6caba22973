"""Choosing the models to keep, and writing them as one version of the ensemble."""

import hashlib
import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnn_ed.applicability import Limits, input_noise, latent_distance
from cnn_ed.dataset import Examples, full_windows
from cnn_ed.ensemble import Ensemble
from cnn_ed.evaluate import systematic_errors
from cnn_ed.inference import FoldedStack
from cnn_ed.network import EncoderDecoderStack
from cnn_ed.train import Schedule, Trained

TRAINED_RATE = (0.01, 0.15)
"""Rates per frame for which the paper found that the models improve on the raw fit (Konstantinova 2021, Results)."""


def choose(trained: Trained, number: int = 10) -> tuple[EncoderDecoderStack, list[int]]:
    """The models with the smallest validation error of the one-time correlation function, and their numbers."""
    best = sorted(np.argsort(trained.validation_one_time)[:number].tolist())
    stack = EncoderDecoderStack(len(best), trained.stack.architecture)
    stack.load_members([trained.stack.member(model) for model in best])
    return stack, best


def write_version(
    folder: Path,
    trained: Trained,
    training: Examples,
    validation: Examples,
    schedule: Schedule,
    provenance: dict[str, Any],
    number: int = 10,
) -> None:
    """Write the chosen models with a card that describes them; the card comes last.

    Parameters
    ----------
    folder : its name is the version
    trained : all models
    training, validation : the examples, from which the limits of applicability and the systematic errors are taken
    schedule : of the training
    provenance : command, data and their checksums, as plain data
    """
    folder.mkdir(parents=True, exist_ok=True)
    stack, chosen = choose(trained, number)
    files = {}
    for model in range(stack.models):
        content = BytesIO()
        torch.save(stack.member(model), content)
        name = f"model_{model:02d}.pt"
        (folder / name).write_bytes(content.getvalue())
        files[name] = hashlib.sha256(content.getvalue()).hexdigest()
    card: dict[str, Any] = {
        "version": folder.name,
        "architecture": asdict(stack.architecture),
        "files": files,
        "schedule": asdict(schedule),
        "chosen": chosen,
        "seeds": [schedule.seed + model for model in chosen],
        "epochs_run": len(trained.history),
        "validation_cost": trained.validation_cost[chosen].tolist(),
        "validation_one_time": trained.validation_one_time[chosen].tolist(),
        "limits": _plain(limits_of(stack, training)),
        "systematic": {},
        **provenance,
    }
    card["systematic"] = systematic_errors(Ensemble(stack, card), validation)
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def limits_of(stack: EncoderDecoderStack, training: Examples) -> Limits:
    """What the models were trained on, in the measures that applicability looks at."""
    windows = full_windows(training.inputs, training.window).numpy()
    latent = FoldedStack(stack).latent(windows).astype(float)  # (K, M, latent)
    mean = latent.mean(axis=1)
    covariance = np.stack([np.cov(own, rowvar=False) for own in latent])
    draft = Limits(TRAINED_RATE, float(np.percentile(input_noise(windows), 99)), mean, np.linalg.pinv(covariance), 0.0)
    usual = float(np.percentile(latent_distance(latent, draft), 99.5))
    return Limits(draft.rate, draft.noise, draft.latent_mean, draft.latent_precision, usual)


def _plain(limits: Limits) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(limits).items()}
