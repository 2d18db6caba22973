"""What an analysis yields, and the one table that describes every published array and table.

Publishing, schemas and the README take names, axes, units, equations and descriptions from `NODES`.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.xpcs.compact import rounded, step_within


@dataclass(frozen=True)
class Node:
    """One published array or table.

    Attributes
    ----------
    name : key below ``final/``
    axes : names of the array's axes; empty for a table
    unit : of the values; "1" where they have none, "" for a table
    equation : what the values are, in symbols; empty where there is nothing to say
    description : one sentence for a reader who knows only Tiled
    kinds : of the analyses that publish it
    """

    name: str
    axes: tuple[str, ...]
    unit: str
    equation: str
    description: str
    kinds: tuple[str, ...] = ("xpcs",)

    @property
    def is_table(self) -> bool:
        """Whether the node is a table rather than an array."""
        return not self.axes


DENOISED_FRAMES = "twotime_denoised_frames"
"""Marks denoised frames, as a spec in Tiled, as a field of a start document and as an attribute or header in files."""
FrameImage = Literal["raw", "rate", "error", "residual"]
FRAME_IMAGES: dict[FrameImage, str] = {
    "raw": "frames_raw",
    "rate": "rate",
    "error": "rate_error",
    "residual": "residual",
}
"""What there is of each denoised frame, and the published arrays that hold it."""
_FRAMES = ("frames",)
_BOTH = ("xpcs", "frames")
_IMAGES = ("frame", "row", "column")
NODES: tuple[Node, ...] = (
    Node(
        "two_time",
        ("roi", "frame_1", "frame_2"),
        "1",
        "C2[i,j] = <I_i I_j>_P / (<I_i>_P <I_j>_P)   (Konstantinova 2021, Eq. 1)",
        "Two-time correlation function of each ROI as measured; NaN where a frame is bad or empty.",
    ),
    Node(
        "two_time_denoised",
        ("roi", "frame_1", "frame_2"),
        "1",
        "mean over ten CNN encoder-decoders of forward and backward passes   (Konstantinova 2021, Eq. 5 to 7)",
        "Denoised two-time correlation function, far lags on blocks of frames, moved to the measured curve where "
        "that is certain; see `denoised_mask`, `denoised_scale`.",
    ),
    Node(
        "two_time_spread",
        ("roi", "frame_1", "frame_2"),
        "1",
        "standard deviation over the ten models, and standard error of the move to the measured curve",
        "Standard error of `two_time_denoised` at each point; NaN outside `denoised_mask`.",
    ),
    Node(
        "denoised_mask",
        ("roi", "frame_1", "frame_2"),
        "1",
        "",
        "True where `two_time_denoised` holds denoised values, False where it holds measured ones or NaN.",
    ),
    Node(
        "denoised_scale",
        ("roi", "lag"),
        "frames",
        "",
        "Frames per block at which each lag of `two_time_denoised` was denoised; a mean where two scales have a share; "
        "0 where it was not.",
    ),
    Node(
        "preview",
        ("roi", "frame_1", "frame_2"),
        "1",
        "",
        "The measured two-time correlation function of each ROI as a grey picture without NaN, 0 to 255.",
    ),
    Node(
        "preview_denoised",
        ("roi", "frame_1", "frame_2"),
        "1",
        "",
        "The denoised two-time correlation function on the same grey scale as `preview`.",
    ),
    Node(
        "g2",
        (),
        "",
        "g2(lag) = <C2[i, i + lag]>_i",
        "One-time correlation functions, measured and denoised, with standard errors and fitted curves.",
    ),
    Node(
        "g2_multitau",
        (),
        "",
        "g2(lag) = <I(t) I(t + lag)> / (<I(t)> <I(t + lag)>)   (Schätzel 1990)",
        "One-time correlation functions straight from the counts at quasi-logarithmic lags, with standard errors.",
    ),
    Node(
        "fits",
        (),
        "",
        "g2(t) = baseline + beta exp(-2 (relaxation_rate t)^alpha)   (Konstantinova 2021, Eq. 3)",
        "Fitted dynamics, one row per ROI: values, standard errors, covariance and flags, raw and denoised.",
    ),
    Node(
        "fits_age",
        (),
        "",
        "as `fits`, at constant age (t1 + t2) / 2",
        "Fitted dynamics, one row per ROI and age.",
    ),
    Node(
        "fits_variant",
        (),
        "",
        "(1 + amplitude cos(2π frequency t)) and π² / (16 v t) |erf((4 i v t / π)^½)|² beside the decay",
        "Fits of the measured curves with vibration or flow, one row per ROI and parameter; only where asked for.",
    ),
    Node(
        "q_fit",
        (),
        "",
        "relaxation_rate = D q^2   and   relaxation_rate = A q^p",
        "Dependence of the relaxation rate on q over the trusted ROIs, weighted by the errors.",
    ),
    Node("mean_frame", ("row", "column"), "counts", "", "Mean of the analysed frames.", _BOTH),
    Node("roi_labels", ("row", "column"), "1", "", "0 outside all ROIs, 1 ... R inside; masked pixels are 0.", _BOTH),
    Node("mask", ("row", "column"), "1", "", "True where a pixel was used, False where it was masked.", _BOTH),
    Node("intensity", ("frame", "roi"), "counts", "<I>_P", "Mean count per pixel of each frame and ROI."),
    Node("frame_number", ("frame",), "1", "", "Number in the run of each analysed frame.", _BOTH),
    Node("bad_frames", ("frame",), "1", "", "True where a frame was left out of every average."),
    Node(
        "frames_raw",
        _IMAGES,
        "counts",
        "sum of consecutive frames",
        "Frames as measured, added up as the recipe says; 0 where masked.",
        _FRAMES,
    ),
    Node(
        "rate",
        _IMAGES,
        "counts",
        "posterior mean of the expected counts, given the counts of the frame",
        "Denoised frames: expected counts of each pixel in the exposure of `frames_raw`, also in gaps; not speckle, "
        "never to be correlated.",
        _FRAMES,
    ),
    Node("rate_error", _IMAGES, "counts", "", "Standard error of `rate`.", _FRAMES),
    Node(
        "residual",
        _IMAGES,
        "1",
        "(frames_raw - rate) / sqrt(rate + rate_error^2)",
        "What denoising took away, in standard deviations; NaN where masked.",
        _FRAMES,
    ),
    Node("frames", (), "", "", "One row for each denoised frame: where it stands in the scan, and doubts.", _FRAMES),
    Node(
        "peaks",
        (),
        "",
        "counts = raw counts in the aperture of the peak - local background",
        "Peaks of each denoised frame, counted on the raw frame: position, width, counts, significance.",
        _FRAMES,
    ),
    Node("regions", (), "", "counts = sum over the region", "Counts of each region in each frame.", _FRAMES),
)


def nodes_of(kind: str) -> tuple[Node, ...]:
    """The nodes that analyses of a kind publish."""
    return tuple(node for node in NODES if kind in node.kinds)


@dataclass(frozen=True)
class Analysis:
    """Everything that one analysis yields.

    Attributes
    ----------
    arrays : by name, as listed in `NODES`
    tables : by name, as listed in `NODES`
    resolved : the recipe with all values and their sources, as plain data
    warnings : sentences for the reader
    timings_s : seconds spent in each stage
    versions : of the software, and of what decides the numbers
    """

    arrays: dict[str, NDArray[Any]]
    tables: dict[str, pd.DataFrame]
    resolved: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Of analysis: "xpcs" or "frames"."""
        return str(self.resolved.get("recipe", {}).get("kind", "xpcs"))

    def __post_init__(self) -> None:
        known = {node.name: node for node in NODES}
        for name in (*self.arrays, *self.tables):
            if name not in known:
                raise ValueError(f"{name} is not a node of an analysis; the nodes are {', '.join(known)}.")
        for name, array in self.arrays.items():
            if array.ndim != len(known[name].axes):
                raise ValueError(f"{name} has {array.ndim} axes, expected {known[name].axes}.")


ENOUGH_VALUES = 4_000_000
"""Values of a two-time correlation function from which its colour range is taken, at least, where it has so many."""

GREY_ERROR = 0.4
"""Standard deviation of what the greys of a picture are rounded by, in units of the noise."""


def grey(two_time: NDArray[np.float32], low: float, high: float, noise: float = 0.0) -> NDArray[np.uint8]:
    """A picture of a two-time correlation function, 0 at `low` and below (and at NaN), 255 at `high` and above.

    With the standard deviation of its noise given, there are no more greys than can be told apart, which compress.
    """
    span = max(high - low, float(np.finfo(np.float32).tiny))
    scaled = np.nan_to_num((two_time - low) / span, nan=0.0, posinf=1.0, neginf=0.0)
    levels = np.clip(scaled, 0, 1) * 255
    step = step_within(noise / span * 255, GREY_ERROR)
    picture: NDArray[np.uint8] = np.minimum(rounded(levels, step), 255).astype(np.uint8)
    return picture


def colour_range(two_time: NDArray[np.float32]) -> tuple[float, float]:
    """Ends of a colour scale for a two-time correlation function: the bulk of its finite values off the diagonal.

    The lag-0 diagonal holds shot noise and would spoil the scale, as would single outliers.
    """
    n_frames = len(two_time)
    step = max(1, n_frames**2 // (2 * ENOUGH_VALUES))  # Of long scans some rows tell as much as all.
    off_diagonal = np.concatenate([two_time[row, row + 1 :] for row in range(0, n_frames, step)])
    finite = off_diagonal[np.isfinite(off_diagonal)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(end) for end in np.percentile(finite, [1, 99.8]))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def shrink(values: NDArray[Any], size: int) -> tuple[NDArray[np.float32], int]:
    """Average square blocks of a picture until no edge is longer than `size`.

    Parameters
    ----------
    values : (H, W) array; NaN are left out of the averages
    size : longest edge wanted

    Returns
    -------
    (h, w) float32 array, and the edge of the blocks in points of `values`; the last blocks may be partial.

    Examples
    --------
    >>> small, step = shrink(np.array([[1.0, 3.0], [np.nan, 5.0]]), 1)
    >>> small.tolist(), step
    ([[3.0]], 2)
    """
    step = max(1, -(-max(values.shape) // size))
    if step == 1:
        return np.asarray(values, np.float32), 1
    finite = np.isfinite(values)
    starts = [np.arange(0, edge, step) for edge in values.shape]
    total, count = (
        np.add.reduceat(np.add.reduceat(one, starts[0], axis=0), starts[1], axis=1)
        for one in (np.where(finite, values, 0.0).astype(np.float64), finite.astype(np.int64))
    )
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32), step
