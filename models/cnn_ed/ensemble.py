"""The ten shipped models as one denoiser."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.applicability import Applicability, Limits, input_noise, judge, latent_distance, residual_structure
from cnn_ed.inference import FoldedStack
from cnn_ed.network import Architecture, EncoderDecoderStack
from cnn_ed.scaling import Scaling, scaling_by_window, scaling_of_all
from cnn_ed.strides import choose_stride, fill_between_lags, interleave
from cnn_ed.windows import extract, stitch, window_starts, with_lag_zero_redrawn, without_gaps
from twotime.xpcs import one_time

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = "v1"


@dataclass(frozen=True)
class DenoisedTwoTime:
    """A two-time correlation function without its noise.

    Attributes
    ----------
    values : (N, N) float32, the models' mean where `mask` is set, the measured values elsewhere
    spread : (N, N) float32, standard deviation over the models; NaN where `mask` is not set
    mask : (N, N) bool
    stride : every how many frames were denoised
    lag : (L,) frames, multiples of the stride
    g2 : (L,) mean of `values` along the diagonals of these lags
    g2_members : (K, L) the same for each model
    noise : of the input at contrast 1, median over the windows; NaN where bad frames leave none
    latent_distance : from the training inputs, median over the windows; NaN where bad frames leave none
    applicability : whether to trust it, and why not
    """

    values: NDArray[np.float32]
    spread: NDArray[np.float32]
    mask: NDArray[np.bool_]
    stride: int
    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    g2_members: NDArray[np.float64]
    noise: float
    latent_distance: float
    applicability: Applicability


class Ensemble:
    """Trained models that denoise together; their spread is the uncertainty of what they say.

    Parameters
    ----------
    stack : the models
    card : their description, as ``card.json`` holds it

    Attributes
    ----------
    version : name of the weights
    window : frames of a window
    limits : what the models were trained on
    systematic : what all models get wrong alike, see `cnn_ed.evaluate.systematic_errors`

    Examples
    --------
    >>> ensemble = Ensemble.load()
    >>> mean, std = ensemble.apply(np.ones((1, 50, 50), np.float32))
    >>> mean.shape, std.shape
    ((1, 50, 50), (1, 50, 50))
    """

    def __init__(self, stack: EncoderDecoderStack, card: dict[str, Any]) -> None:
        self.card = card
        self.version: str = card["version"]
        self.window = stack.architecture.window
        self.systematic: dict[str, float] = card["systematic"]
        self._models = FoldedStack(stack)
        limits = card["limits"]
        self.limits = Limits(
            rate=(limits["rate"][0], limits["rate"][1]),
            noise=limits["noise"],
            latent_mean=np.array(limits["latent_mean"]),
            latent_precision=np.array(limits["latent_precision"]),
            latent_distance=limits["latent_distance"],
        )

    @classmethod
    def load(cls, version: str = SHIPPED, path: Path | None = None) -> "Ensemble":
        """Load a version of the weights; without arguments the shipped one.

        Parameters
        ----------
        version : folder below ``weights``
        path : another folder that holds ``card.json`` and the weights it names

        Raises
        ------
        ValueError
            If there is no such version, or a file is missing or not the one that the card describes.
        """
        folder = path or WEIGHTS / version
        if not (folder / "card.json").is_file():
            known = sorted(card.parent.name for card in WEIGHTS.glob("*/card.json"))
            raise ValueError(f"There is no ensemble {folder.name}; the versions here are {', '.join(known) or 'none'}.")
        card = json.loads((folder / "card.json").read_text())
        stack = EncoderDecoderStack(len(card["files"]), Architecture(**card["architecture"]))
        stack.load_members([_read_weights(folder / name, sha256) for name, sha256 in card["files"].items()])
        return cls(stack, card)

    def apply(self, windows: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Denoise windows that are at contrast 1 already.

        Parameters
        ----------
        windows : (M, 50, 50) array, symmetric

        Returns
        -------
        tuple of (M, 50, 50) float32
            Mean and standard deviation over the models.

        Raises
        ------
        ValueError
            If the windows have another shape.
        """
        if windows.ndim != 3 or windows.shape[1:] != (self.window, self.window):
            raise ValueError(f"windows have shape {windows.shape}, expected (M, {self.window}, {self.window}).")
        outputs = self._models.apply(windows.astype(np.float32))
        return outputs.mean(axis=0), outputs.std(axis=0, ddof=1)

    def latent(self, windows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Latent vectors (K, M, 8) of windows (M, 50, 50) at contrast 1."""
        return self._models.latent(windows.astype(np.float32))

    def denoise(
        self,
        c2: NDArray[np.floating],
        *,
        contrast: str = "window",
        stride: int | str = "auto",
        rate_per_frame: float | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> DenoisedTwoTime:
        """Slide the models along the diagonal of a two-time correlation function.

        Parameters
        ----------
        c2 : (N, N) array with baseline 1; NaN in the rows and columns of bad frames
        contrast : "window" scales each window by its own lag 1 (Eq. 5), "global" all by one contrast and baseline
            (Eq. 7)
        stride : denoise every n-th frame; "auto" chooses it from `rate_per_frame`
        rate_per_frame : a first guess of the rate, 1/frame; None: stride 1
        progress : told the fraction done

        Returns
        -------
        DenoisedTwoTime

        Raises
        ------
        ValueError
            If `c2` is not square, or holds fewer frames than a window needs at this stride.

        Notes
        -----
        Konstantinova 2021, Eq. 5 to 7 and Methods: step 5, forward and backward passes averaged. Bad frames are
        bridged by the mean of their lag and are NaN again in the result.
        """
        c2 = np.asarray(c2, np.float32)
        if c2.ndim != 2 or c2.shape[0] != c2.shape[1]:
            raise ValueError(f"c2 has shape {c2.shape}, expected (N, N).")
        if contrast not in ("window", "global"):
            raise ValueError(f"contrast is {contrast!r}, expected 'window' or 'global'.")
        chosen = choose_stride(len(c2), self.window, rate_per_frame, self.limits.rate) if stride == "auto" else stride
        every = int(chosen)
        parts = []
        for offset in range(every):
            parts.append(self._denoise_every(c2[offset::every, offset::every], contrast))
            if progress is not None:
                progress((offset + 1) / every)
        return self._assembled(c2, parts, every)

    def _denoise_every(self, c2: NDArray[np.float32], contrast: str) -> "_Part":
        starts = window_starts(len(c2), self.window)
        windows, usable = without_gaps(extract(c2, starts, self.window))
        scaling = scaling_by_window(windows) if contrast == "window" else scaling_of_all(c2, len(starts))
        inputs = with_lag_zero_redrawn(scaling.to_network(windows))
        outputs = self._models.apply(inputs)
        return _Part.stitched(c2, outputs, starts, usable, scaling, inputs, self._models.latent(inputs))

    def _assembled(self, c2: NDArray[np.float32], parts: "list[_Part]", every: int) -> DenoisedTwoTime:
        values, spread, mask = interleave(c2, [(part.mean, part.spread) for part in parts])
        g2_members = _weighted_g2(parts)
        lag = every * np.arange(1, self.window)
        if every > 1:
            fill_between_lags(values, spread, mask, every, self.window)
            gaps = np.isnan(c2)
            values[gaps] = spread[gaps] = np.nan
            mask[gaps] = False
        g2 = g2_members.mean(axis=0)
        inputs = np.concatenate([part.inputs for part in parts])
        latent = np.concatenate([part.latent for part in parts], axis=1)
        raw = one_time(np.where(mask, c2, np.nan))
        structure = residual_structure(np.asarray(raw.g2, float)[lag - 1], g2, np.asarray(raw.error, float)[lag - 1])
        noise = float(np.median(input_noise(inputs))) if len(inputs) else np.nan
        distance = float(np.median(latent_distance(latent, self.limits))) if len(inputs) else np.nan
        return DenoisedTwoTime(
            values=values,
            spread=spread,
            mask=mask,
            stride=every,
            lag=lag,
            g2=g2,
            g2_members=g2_members,
            noise=noise,
            latent_distance=distance,
            applicability=judge(self.limits, lag, every, g2, noise, distance, structure),
        )


@dataclass(frozen=True)
class _Part:
    """One of the interleaved two-time correlation functions, denoised.

    Attributes
    ----------
    mean, spread : (n, n), NaN outside the band and at bad frames
    g2_sum : (K, W - 1), sum of each model's values along the diagonals
    count : (W - 1,), number of values in each sum
    inputs : (M, W, W), what the models saw
    latent : (K, M, latent)
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    g2_sum: NDArray[np.float64]
    count: NDArray[np.int64]
    inputs: NDArray[np.float32]
    latent: NDArray[np.float32]

    @classmethod
    def stitched(
        cls,
        c2: NDArray[np.float32],
        outputs: NDArray[np.float32],
        starts: NDArray[np.intp],
        usable: NDArray[np.bool_],
        scaling: Scaling,
        inputs: NDArray[np.float32],
        latent: NDArray[np.float32],
    ) -> "_Part":
        size = outputs.shape[-1]
        gaps = np.isnan(c2)
        total = np.zeros(c2.shape, np.float64)
        squares = np.zeros(c2.shape, np.float64)
        g2_sum = np.zeros((len(outputs), size - 1))
        count = np.zeros(size - 1, np.int64)
        for model, output in enumerate(outputs):
            whole = stitch(scaling.from_network(output)[usable], starts[usable], len(c2))
            whole[gaps] = np.nan
            total += whole
            squares += whole.astype(float) ** 2
            for lag in range(1, size):
                diagonal = np.diagonal(whole, lag)
                finite = np.isfinite(diagonal)
                g2_sum[model, lag - 1] = diagonal[finite].sum(dtype=float)
                count[lag - 1] = np.count_nonzero(finite)
        mean = total / len(outputs)
        variance = np.maximum(squares - len(outputs) * mean**2, 0) / (len(outputs) - 1)
        return cls(
            mean.astype(np.float32),
            np.sqrt(variance).astype(np.float32),
            g2_sum,
            count,
            inputs[usable],
            latent[:, usable],
        )


def _weighted_g2(parts: list[_Part]) -> NDArray[np.float64]:
    total = np.sum([part.g2_sum for part in parts], axis=0)
    count = np.sum([part.count for part in parts], axis=0)
    with np.errstate(invalid="ignore"):
        g2: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return g2


def _read_weights(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """A state dict, after its checksum; nothing but tensors is unpickled."""
    if not path.is_file():
        raise ValueError(f"The weights {path} are missing; install twotime again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"The weights {path} are not the published ones (sha256 differs); install twotime again.")
    state: dict[str, torch.Tensor] = torch.load(BytesIO(content), weights_only=True)
    return state
