"""The ten shipped models as one denoiser."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.applicability import (
    SCALES,
    Applicability,
    Denoised,
    Limits,
    input_noise,
    judge,
    latent_distance,
    residual_structure,
)
from cnn_ed.inference import AppliedStack
from cnn_ed.latent_map import DIMENSIONS, LatentMap
from cnn_ed.network import Architecture, EncoderDecoderStack
from cnn_ed.posterior import Estimates, Estimator
from cnn_ed.posterior.measured import WindowCurves
from cnn_ed.pyramid import Band, whole_triangle
from cnn_ed.scaling import Scaling, SmoothScaling, scaling_by_window, scaling_of_all, smooth_scaling
from cnn_ed.strides import choose_stride, fill_between_lags
from cnn_ed.uncertainty import Calibration
from cnn_ed.windows import (
    band_of,
    extract,
    put_band,
    stitch,
    window_starts,
    with_lag_zero_redrawn,
    without_gaps,
)
from twotime.xpcs import one_time

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = "v2"
KnownWindows = dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By the first frame of a window: the outputs (K, U) of all models and their latent vectors (K, latent)."""


@dataclass(frozen=True)
class DenoisedTwoTime:
    """A two-time correlation function without its noise.

    Attributes
    ----------
    values : (N, N) float32, the models' mean where `mask` is set, the measured values elsewhere; far lags of a decay
        that is over hold the mean over age
    spread : (N, N) float32, standard deviation over the models; NaN where `mask` is not set
    mask : (N, N) bool
    stride : every how many frames were denoised
    lag : (L,) frames, multiples of the stride
    g2 : (L,) mean of `values` along the diagonals of these lags
    g2_members : (K, L) the same for each model
    windows : how many without common frames went into it
    noise : of the input at contrast 1, median over the windows; NaN where bad frames leave none
    latent_distance : from the training inputs, median over the windows; NaN where bad frames leave none
    applicability : whether to trust it, and why not
    scale : (N,) frames per block at which each lag was denoised; 0 where it was not
    place, place_error : (2,) on the map of dynamics (see `cnn_ed.latent_map`) with the standard error from up to three
        parts of the scan; NaN where bad frames leave no window, or the weights have no map, the error also where a
        scan is a single part
    """

    values: NDArray[np.float32]
    spread: NDArray[np.float32]
    mask: NDArray[np.bool_]
    stride: int
    lag: NDArray[np.int64]
    g2: NDArray[np.float64]
    g2_members: NDArray[np.float64]
    windows: float
    noise: float
    latent_distance: float
    applicability: Applicability
    scale: NDArray[np.float32]
    place: NDArray[np.float64]
    place_error: NDArray[np.float64]


class Ensemble:
    """Trained models that denoise together; their spread is the uncertainty of what they say.

    Parameters
    ----------
    stack : the models
    card : their description, as ``card.json`` holds it

    Attributes
    ----------
    version : name of the weights
    architecture : sizes of the models
    window : frames of a window
    limits : what the models were trained on
    calibration : of the errors of denoised fits; None for models that were never calibrated
    latent_map : the map of dynamics; None for models that were trained before there was one

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
        self.architecture = stack.architecture
        self.window = stack.architecture.window
        self.calibration = Calibration(**card["calibration"]) if card["calibration"] else None
        self.latent_map = LatentMap.of_plain(card["latent_map"]) if card.get("latent_map") else None
        self._models = AppliedStack(stack)
        limits = card["limits"]
        self.limits = Limits(
            rate=(limits["rate"][0], limits["rate"][1]),
            noise=limits["noise"],
            latent_mean=np.array(limits["latent_mean"]),
            latent_precision=np.array(limits["latent_precision"]),
            latent_distance=limits["latent_distance"],
            residual_floor=limits["residual_floor"],
            residual=np.array(limits["residual"]),
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

        Notes
        -----
        The version of weights from another folder ends with the beginning of a hash over them.
        """
        folder = path or WEIGHTS / version
        if not (folder / "card.json").is_file() and path is not None:
            raise ValueError(f"{folder} holds no card.json; give a folder that `twotime train` has written to its end.")
        if not (folder / "card.json").is_file():
            known = sorted(card.parent.name for card in WEIGHTS.glob("*/card.json"))
            raise ValueError(f"There is no ensemble {folder.name}; the versions here are {', '.join(known) or 'none'}.")
        card = json.loads((folder / "card.json").read_text())
        if path is not None and path.parent != WEIGHTS:
            # Names given elsewhere may repeat; what is computed must name the very weights.
            content = hashlib.sha256(json.dumps(card["files"], sort_keys=True).encode()).hexdigest()
            card["version"] = f"{card['version']}+{content[:8]}"
        stack = EncoderDecoderStack(len(card["files"]), Architecture(**card["architecture"]))
        stack.load_states([_read_weights(folder / name, sha256) for name, sha256 in card["files"].items()])
        return cls(stack, card)

    @classmethod
    def of_stack(cls, stack: EncoderDecoderStack) -> "Ensemble":
        """Models that are not a published version: without limits and calibration, for measuring them."""
        size = stack.architecture.latent
        limits = {"rate": [0.0, np.inf], "noise": np.inf, "latent_distance": np.inf}
        limits |= {"residual_floor": 0.0, "residual": np.full(len(SCALES), np.inf)}
        limits |= {
            "latent_mean": np.zeros((stack.models, size)),
            "latent_precision": np.zeros((stack.models, size, size)),
        }
        return cls(stack, {"version": "unpublished", "limits": limits, "calibration": None})

    def stride(self, n_frames: int, rate_per_frame: float | None) -> int:
        """Every how many frames to denoise so that a rate, 1/frame, comes into the trained range; None: all frames."""
        return int(choose_stride(n_frames, self.window, rate_per_frame, self.limits.rate))

    def members(self, windows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Outputs (K, M, 50, 50) of each model for windows (M, 50, 50) at contrast 1."""
        return self._models.full(self._models.apply(windows.astype(np.float32))[0])

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
        self._check(windows)
        outputs, _ = self._models.apply(windows.astype(np.float32))
        mean, std = outputs.mean(axis=0), outputs.std(axis=0, ddof=1)
        return self._models.full(mean), self._models.full(std)

    def _check(self, windows: NDArray[np.floating]) -> None:
        if windows.ndim != 3 or windows.shape[1:] != (self.window, self.window):
            raise ValueError(f"windows have shape {windows.shape}, expected (M, {self.window}, {self.window}).")

    @cached_property
    def estimator(self) -> Estimator:
        """The networks that estimate decays; the shipped ones, with every version of the models."""
        return Estimator.load()

    def estimate(self, windows: NDArray[np.floating]) -> Estimates:
        """Estimate the decay in each window at contrast 1.

        Parameters
        ----------
        windows : (M, 50, 50) array, symmetric

        Returns
        -------
        Estimates
            Rows as of `twotime.xpcs.fit_decay`: posterior medians, errors, intervals; rates per frame.

        Raises
        ------
        ValueError
            If the windows have another shape.
        """
        self._check(windows)
        return self.estimator.of_windows(WindowCurves.of(windows))

    def latent(self, windows: NDArray[np.floating]) -> NDArray[np.float32]:
        """Latent vectors (K, M, 8) of windows (M, 50, 50) at contrast 1."""
        return self._models.apply(windows.astype(np.float32))[1]

    def denoise(
        self,
        c2: NDArray[np.floating],
        *,
        contrast: str = "smooth",
        whole: bool = True,
        stride: int | str = "auto",
        rate_per_frame: float | None = None,
        progress: Callable[[float], None] | None = None,
        known: KnownWindows | None = None,
    ) -> DenoisedTwoTime:
        """Slide the models along the diagonal of a two-time correlation function.

        Parameters
        ----------
        c2 : (N, N) array with baseline 1; NaN in the rows and columns of bad frames
        contrast : "window" scales each window by its own lag 1 (Eq. 5), "global" all by one contrast and baseline
            (Eq. 7), "smooth" by the baseline of the whole scan and a contrast that follows age as far as the data show
            it; its `g2`, which is fitted, is that of "window", for which the errors of fits were calibrated
        whole : denoise the whole triangle, far lags on blocks of frames; else only the band that windows of single
            frames, or of every n-th, reach
        stride : denoise every n-th frame; "auto" chooses it from `rate_per_frame`
        rate_per_frame : a first guess of the rate, 1/frame; None: stride 1
        progress : told the fraction done
        known : what earlier calls computed of the same, shorter 2TCF; only new windows are computed, and added to it.
            Needs `contrast` "window"; 51 kB for each window, one of every five frames

        Returns
        -------
        DenoisedTwoTime

        Raises
        ------
        ValueError
            If `c2` is not square, holds fewer frames than a window needs at this stride, or `known` is given where
            windows change as the scan goes on.

        Notes
        -----
        Konstantinova 2021, Eq. 5 to 7 and Methods: step 5, forward and backward passes averaged. Bad frames are
        bridged by the mean of their lag and are NaN again in the result.
        """
        c2 = np.asarray(c2, np.float32)
        if c2.ndim != 2 or c2.shape[0] != c2.shape[1]:
            raise ValueError(f"c2 has shape {c2.shape}, expected (N, N).")
        if contrast not in ("smooth", "window", "global"):
            raise ValueError(f"contrast is {contrast!r}, expected 'smooth', 'window' or 'global'.")
        every = self.stride(len(c2), rate_per_frame) if stride == "auto" else int(stride)
        if known is not None and (contrast == "global" or every > 1):
            raise ValueError(f"known is given with contrast {contrast!r} and stride {every}, expected 'window' and 1.")
        # Errors of denoised fits and the checks of the input were calibrated on windows scaled one by one (Eq. 5).
        of_curve = "window" if contrast == "smooth" else contrast
        parts = []
        for offset in range(every):
            parts.append(self._denoise_every(c2[offset::every, offset::every], of_curve, known))
            if progress is not None:
                progress((offset + 1) / every)
        result = self._assembled(c2, parts, every)
        if not whole:
            return result
        reusable = parts[0] if every == 1 and contrast == of_curve else None
        return self._whole(c2, result, reusable, contrast, rate_per_frame)

    def _whole(
        self,
        c2: NDArray[np.float32],
        result: DenoisedTwoTime,
        finest: "_Part | None",
        contrast: str,
        rate_per_frame: float | None,
    ) -> DenoisedTwoTime:
        """The same with values, spread and mask over the whole triangle; the curve stays that of the band."""
        if finest is None:
            finest = self._denoise_every(c2, contrast, None)
        scaling = smooth_scaling(c2, window_starts(len(c2), self.window), self.window)

        def coarser(blocks: NDArray[np.float32], size: float) -> Band:
            # Contrast and baseline are those of the frames: blocks of a fast decay have less of it, and shall not be
            # blown up to contrast 1 with their noise.
            part = self._denoise_every(blocks, "smooth", None, (scaling, size))
            return part.mean, part.spread

        guess = rate_per_frame if rate_per_frame is not None and np.isfinite(rate_per_frame) else None
        values, spread, scale = whole_triangle(c2, (finest.mean, finest.spread), coarser, guess)
        return replace(result, values=values, spread=spread, mask=np.isfinite(values), scale=scale)

    def _denoise_every(
        self,
        c2: NDArray[np.float32],
        contrast: str,
        known: KnownWindows | None,
        given: tuple[SmoothScaling, float] | None = None,
    ) -> "_Part":
        starts = window_starts(len(c2), self.window)
        windows, usable = without_gaps(extract(c2, starts, self.window))
        scaling = self._scaling(c2, windows, starts, contrast, given)
        inputs = with_lag_zero_redrawn(scaling.to_network(windows))
        outputs, latent = self._models.apply(inputs) if known is None else self._apply_new(inputs, starts, known)
        upper = scaling.from_network(outputs)[:, :, usable]
        band = stitch(upper, starts[usable], len(c2), self.window)
        band[:, np.isnan(band_of(c2, self.window))] = np.nan
        return _Part.of_members(band, inputs[usable], latent[:, usable])

    def _scaling(
        self,
        c2: NDArray[np.float32],
        windows: NDArray[np.float32],
        starts: NDArray[np.intp],
        contrast: str,
        given: tuple[SmoothScaling, float] | None,
    ) -> Scaling:
        if contrast == "window":
            return scaling_by_window(windows)
        if contrast == "global":
            return scaling_of_all(c2, len(starts))
        smooth, size = (smooth_scaling(c2, starts, self.window), 1.0) if given is None else given
        return smooth.at(np.asarray((starts + self.window / 2) * size - 0.5, np.float64))

    def _apply_new(
        self, inputs: NDArray[np.float32], starts: NDArray[np.intp], known: KnownWindows
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `AppliedStack.apply`, for windows that may be known from before."""
        new = [number for number, start in enumerate(starts) if int(start) not in known]
        outputs, latent = self._models.apply(inputs[new])
        for place, number in enumerate(new):
            known[int(starts[number])] = (outputs[:, :, place].copy(), latent[:, place].copy())
        all_known = [known[int(start)] for start in starts]
        return np.stack([one for one, _ in all_known], axis=-1), np.stack([one for _, one in all_known], axis=1)

    def _assembled(self, c2: NDArray[np.float32], parts: "list[_Part]", every: int) -> DenoisedTwoTime:
        values, spread = c2.copy(), np.full_like(c2, np.nan)
        for offset, part in enumerate(parts):
            put_band(part.mean, values[offset::every, offset::every])
            put_band(part.spread, spread[offset::every, offset::every])
        mask = np.isfinite(spread)
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
        place, place_error = self._place(parts)
        raw = one_time(c2, max_lag=int(lag[-1]))
        own = lag[lag <= len(raw.g2)] - 1
        denoised = Denoised(
            lag=lag,
            stride=every,
            windows=np.isfinite(values).any(axis=1).sum() / (every * self.window),
            g2=g2,
            g2_members=g2_members,
            g2_ages=_g2_by_age(parts),
            noise=float(np.median(input_noise(inputs))) if len(inputs) else np.nan,
            distance=float(np.median(latent_distance(latent, self.limits))) if len(inputs) else np.nan,
            structure=residual_structure(raw.g2[own], g2[: len(own)], raw.error[own], self.limits.residual_floor),
        )
        return DenoisedTwoTime(
            values=values,
            spread=spread,
            mask=mask,
            stride=every,
            lag=lag,
            g2=g2,
            g2_members=g2_members,
            windows=denoised.windows,
            noise=denoised.noise,
            latent_distance=denoised.distance,
            applicability=judge(self.limits, denoised, self.calibration),
            scale=np.where(np.arange(len(c2)) < every * self.window, np.float32(every), np.float32(0)),
            place=place,
            place_error=place_error,
        )

    def _place(self, parts: "list[_Part]") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Place on the map of dynamics and its standard error, from the scatter over parts of the scan."""
        unknown = np.full(DIMENSIONS, np.nan)
        if self.latent_map is None:
            return unknown, unknown
        latent = _latent_by_age(parts)
        places = self.latent_map.places(latent[np.isfinite(latent).all(axis=(1, 2))])
        if not len(places):
            return unknown, unknown
        error = places.std(axis=0, ddof=1) / np.sqrt(len(places)) if len(places) > 1 else unknown
        return places.mean(axis=0), error


@dataclass(frozen=True)
class _Part:
    """One of the interleaved two-time correlation functions, denoised; of n frames only the band that windows touch.

    Attributes
    ----------
    mean, spread : (n, W), over the models; NaN outside all windows and at bad frames
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
    def of_members(cls, band: NDArray[np.float32], inputs: NDArray[np.float32], latent: NDArray[np.float32]) -> "_Part":
        """From the bands (K, n, W) of all models."""
        known = np.isfinite(band[0])
        return cls(
            band.mean(axis=0),
            band.std(axis=0, ddof=1),
            np.where(known, band, 0).sum(axis=1, dtype=float)[:, 1:],
            np.count_nonzero(known, axis=0)[1:],
            inputs,
            latent,
        )


def _g2_by_age(parts: list[_Part]) -> NDArray[np.float64]:
    """One-time correlation functions (A, W - 1) of up to three parts of the scan, none shorter than a window."""
    n_frames, window = parts[0].mean.shape
    edges = np.linspace(0, n_frames, min(3, n_frames // window) + 1).astype(int)
    curves = []
    for first, last in pairwise(edges):
        bands = np.concatenate([part.mean[first:last, 1:] for part in parts]).astype(float)
        known = np.isfinite(bands)
        count = np.maximum(known.sum(axis=0), 1)
        curves.append(np.where(known.any(axis=0), np.where(known, bands, 0).sum(axis=0) / count, np.nan))
    return np.array(curves)


def _latent_by_age(parts: list[_Part]) -> NDArray[np.float64]:
    """Mean latent vectors (A, K, latent) of the windows of all parts in order of age; A as in `_g2_by_age`."""
    n_frames, window = parts[0].mean.shape
    ages = [np.array_split(part.latent, min(3, n_frames // window), axis=1) for part in parts]
    together = [np.concatenate(own, axis=1) for own in zip(*ages, strict=True)]
    missing = np.full(parts[0].latent[:, 0:0].shape[::2], np.nan)
    return np.array([one.mean(axis=1, dtype=float) if one.shape[1] else missing for one in together])


def _weighted_g2(parts: list[_Part]) -> NDArray[np.float64]:
    total = np.sum([part.g2_sum for part in parts], axis=0)
    count = np.sum([part.count for part in parts], axis=0)
    with np.errstate(invalid="ignore"):
        g2: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return g2


def _read_weights(path: Path, sha256: str) -> dict[str, torch.Tensor]:
    """A state dict, after its checksum; nothing but tensors is unpickled."""
    if not path.is_file():
        raise ValueError(f"The weights {path} are missing; train or install them again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"The weights {path} are not the ones of the card (sha256 differs); train or install them again."
        )
    state: dict[str, torch.Tensor] = torch.load(BytesIO(content), weights_only=True)
    return state
