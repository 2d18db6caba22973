"""Training examples: noisy windows and the means of all windows of the same measurement."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """Windows with their targets; symmetric, so only upper triangles are kept, in the order of `numpy.triu_indices`.

    Attributes
    ----------
    inputs : (M, U) float32, noisy windows at contrast 1
    targets : (T, U) float32
    target_index : (M,) row of `targets` that belongs to each input
    position : (M,) number of each window along its measurement; neighbours share half their frames
    experiment : (T,) name of the experiment of each target
    frame_stride : (T,) 2 where every second frame was taken, else 1
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    target_index: NDArray[np.int32]
    position: NDArray[np.int32]
    experiment: NDArray[np.str_]
    frame_stride: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.inputs)

    def of_targets(self, wanted: NDArray[np.bool_]) -> "Examples":
        """The examples of some of the targets: `wanted` is a mask (T,)."""
        number = np.cumsum(wanted) - 1
        own = wanted[self.target_index]
        return Examples(
            inputs=self.inputs[own],
            targets=self.targets[wanted],
            target_index=number[self.target_index[own]].astype(np.int32),
            position=self.position[own],
            experiment=self.experiment[wanted],
            frame_stride=self.frame_stride[wanted],
        )

    @property
    def window(self) -> int:
        """Edge of a window, frames."""
        return int((np.sqrt(8 * self.inputs.shape[1] + 1) - 1) / 2)


def load_examples(path: Path) -> Examples:
    """Read examples from an ``.npz`` file; nothing in it is executed.

    Raises
    ------
    ValueError
        If there is no such file, or an array is missing.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}; give one of measured windows (.npz).")
    with np.load(path, allow_pickle=False) as file:
        missing = {"inputs", "targets", "target_index", "window", "experiment", "frame_stride"} - set(file.files)
        if missing:
            raise ValueError(f"{path.name} lacks the arrays {', '.join(sorted(missing))}.")
        return Examples(
            inputs=file["inputs"],
            targets=file["targets"],
            target_index=file["target_index"],
            position=file["window"],
            experiment=file["experiment"],
            frame_stride=file["frame_stride"],
        )


def means_of_others(examples: Examples) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Mean (M, U) of the windows of the same target that share no frame with each input, and how many there are (M,).

    The published target of an input contains the input itself, so that a model is paid for copying its noise; these do
    not. Zeros where there are none.
    """
    means = np.zeros_like(examples.inputs)
    number = np.zeros(len(examples), np.int64)
    for target in np.unique(examples.target_index):
        own = np.flatnonzero(examples.target_index == target)
        apart = np.abs(examples.position[own][:, None] - examples.position[own]) >= 2
        number[own] = apart.sum(axis=1)
        means[own] = apart.astype(np.float32) @ examples.inputs[own] / np.maximum(number[own], 1)[:, None]
    return means, number


def checksum(path: Path) -> str:
    """Sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def full_windows(upper: NDArray[np.float32] | Tensor, window: int) -> Tensor:
    """Symmetric windows (M, W, W) from upper triangles (M, U)."""
    rows, columns = np.triu_indices(window)
    values = torch.as_tensor(upper)
    full = values.new_empty(len(values), window, window)
    full[:, rows, columns] = values
    full[:, columns, rows] = values
    return full
