"""Training examples from two-time correlation functions of one's own, made as Konstantinova 2021, Methods, say."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cnn_ed.windows import with_lag_zero_redrawn

FEWEST_WINDOWS = 4
"""Of a target: each input needs three others that share no frame with it, or nearly."""
MOST_CONTRAST_ERROR = 0.2
"""Relative: a worse known contrast would scale the whole window wrongly."""
RATES = (0.006, 0.3)
"""Per frame: slower decays are incomplete within 50 frames, faster ones over after two."""
STRIDES = (1, 2)
"""Every frame, and every second one as augmentation."""


@dataclass(frozen=True)
class Measured:
    """One ROI of one experiment.

    Attributes
    ----------
    experiment : name; examples are divided by it
    roi : number
    c2 : (N, N) two-time correlation function, baseline 1; NaN in the rows and columns of bad frames
    contrast, contrast_error : β* of single frames from their photon counts (Konstantinova 2021, Eq. 4)
    rate_per_frame : fitted to the raw curve; NaN where there is no fit
    stationary : whether the rate stays the same over the scan; None where that is not known
    """

    experiment: str
    roi: int
    c2: NDArray[np.floating]
    contrast: float
    contrast_error: float
    rate_per_frame: float
    stationary: bool | None


@dataclass
class Collection:
    """Windows and targets gathered one ROI after the other.

    Attributes
    ----------
    window : W, frames
    left_out : how many ROIs, at each stride, were left out for each reason
    """

    window: int = 50
    left_out: Counter[str] = field(default_factory=Counter)
    _inputs: list[NDArray[np.float32]] = field(default_factory=list)
    _positions: list[NDArray[np.int32]] = field(default_factory=list)
    _targets: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, measured: Measured) -> int:
        """Take the windows of one ROI; returns how many there were."""
        taken = 0
        for stride in STRIDES:
            positions, windows = windows_of(measured.c2[::stride, ::stride], measured.contrast, self.window)
            reason = self._refusal(measured, stride, len(windows))
            if reason:
                self.left_out[reason] += 1
                continue
            self._inputs.append(windows)
            self._positions.append(positions)
            self._targets.append((measured.experiment, measured.roi, stride))
            taken += len(windows)
        return taken

    def divided(self, validation: float) -> dict[str, dict[str, NDArray[np.generic]]]:
        """Arrays of the training and of the validation file, as `cnn_ed.dataset.load_examples` reads them.

        Parameters
        ----------
        validation : share of the experiments, chosen by a hash of their names: an experiment keeps its place as the
            collection grows

        Raises
        ------
        ValueError
            If one of both would be empty.
        """
        chosen = np.array([place_of(experiment) < validation for experiment, _, _ in self._targets], bool)
        for name, own in (("training", ~chosen), ("validation", chosen)):
            if not own.any():
                reasons = "; ".join(f"{number} x {reason}" for reason, number in self.left_out.most_common())
                raise ValueError(
                    f"No experiment is left for the {name} file; collect more runs"
                    f"{f', or change --validation {validation:g}' if self._targets else ''}."
                    f"{f' Left out: {reasons}.' if reasons else ''}"
                )
        return {"training": self._arrays(np.flatnonzero(~chosen)), "validation": self._arrays(np.flatnonzero(chosen))}

    def _refusal(self, measured: Measured, stride: int, windows: int) -> str:
        rate = measured.rate_per_frame * stride
        if not measured.contrast > 0 or measured.contrast_error > MOST_CONTRAST_ERROR * measured.contrast:
            return "the contrast is not known well enough"
        if measured.stationary is False:
            return "the rate changes with age"
        if not RATES[0] <= rate <= RATES[1]:
            return f"the rate is not within {RATES[0]:g} to {RATES[1]:g} per frame"
        if windows < FEWEST_WINDOWS:
            return f"fewer than {FEWEST_WINDOWS} windows without bad frames"
        return ""

    def _arrays(self, targets: NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
        rows, columns = np.triu_indices(self.window)
        inputs = [self._inputs[target][:, rows, columns] for target in targets]
        return {
            "inputs": np.concatenate(inputs),
            "targets": np.stack([own.mean(axis=0) for own in inputs]),
            "target_index": np.repeat(np.arange(len(inputs), dtype=np.int32), [len(own) for own in inputs]),
            "window": np.concatenate([self._positions[target] for target in targets]),
            "experiment": np.array([self._targets[target][0] for target in targets]),
            "roi": np.array([self._targets[target][1] for target in targets], np.int32),
            "frame_stride": np.array([self._targets[target][2] for target in targets], np.int32),
        }


def windows_of(c2: NDArray[np.floating], contrast: float, window: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Windows along the diagonal of (N, N), shifted by half their length, without those that hold a bad frame.

    Returns
    -------
    tuple
        Numbers k (M,) of the windows, which begin at frame k W / 2, and the windows (M, W, W) at contrast 1 with their
        lag-0 diagonal drawn from their lag-1 values.
    """
    shift = window // 2
    number = np.arange(max(0, (len(c2) - window) // shift + 1), dtype=np.int32)
    crops = [c2[shift * k : shift * k + window, shift * k : shift * k + window] for k in number]
    off_diagonal = ~np.eye(window, dtype=bool)
    sound = np.array([bool(np.isfinite(crop[off_diagonal]).all()) for crop in crops], bool)
    if not sound.any():
        return number[:0], np.empty((0, window, window), np.float32)
    scale = contrast if contrast > 0 else 1.0
    scaled = (np.stack([crop for crop, own in zip(crops, sound, strict=True) if own]) - 1) / scale + 1
    return number[sound], with_lag_zero_redrawn(scaled.astype(np.float32))


def place_of(experiment: str) -> float:
    """A number between 0 and 1 that belongs to the name: below the share of validation, it goes there."""
    return int.from_bytes(hashlib.sha256(experiment.encode()).digest()[:8], "big") / 2**64
