"""Checkpoints of trainings: states and the step they were taken at, bound to what is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def load_checkpoint(file: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """States by name and ``step``, the steps done; None where there is no checkpoint yet.

    Parameters
    ----------
    file : of the checkpoint
    identity : what is trained, and how

    Raises
    ------
    ValueError
        If the checkpoint belongs to another training.
    """
    if not file.is_file():
        return None
    saved: dict[str, Any] = torch.load(file, weights_only=True)
    if saved["identity"] != identity:
        raise ValueError(f"{file} was written with {saved['identity']}, expected {identity}; remove it.")
    return saved


def save_checkpoint(file: Path, identity: Mapping[str, Any], step: int, **states: Mapping[str, Any]) -> None:
    """Write the states of networks and optimisers, whole or not at all."""
    partial = file.with_suffix(".partial")
    torch.save({"identity": identity, "step": step, **states}, partial)
    partial.replace(file)
