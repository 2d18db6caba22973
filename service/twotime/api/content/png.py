"""Two-time correlation functions and mean frames as PNG, reduced to the size of the screen."""

import threading
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from twotime.results import shrink

COLOUR_MAPS = {
    **dict.fromkeys(("raw", "denoised", "rate"), "viridis"),
    **dict.fromkeys(("spread", "error"), "magma"),
    **dict.fromkeys(("difference", "residual"), "RdBu_r"),
}
LABELS = {
    "raw": "C2 measured",
    "denoised": "C2 denoised",
    "spread": "standard error of C2 denoised",
    "difference": "C2 measured − denoised",
}
MISSING = "#8a8a8a"
SAMPLED = 1000
"""Frames along each axis that are sampled for a colour scale."""

_drawing = threading.Lock()  # matplotlib's font cache is shared by all figures


def scale(values: NDArray[Any], kind: str) -> tuple[float, float]:
    """Colour scale of a two-time correlation function, without its lag-0 diagonal and outliers.

    Parameters
    ----------
    values : (N, N) array
    kind : ``raw`` or ``denoised``: 1st to 99.5th percentile; ``spread``: from 0; ``difference``: symmetric about 0
    """
    step = max(1, len(values) // SAMPLED)
    sample = values[::step, ::step]
    off_diagonal = sample[~np.eye(len(sample), dtype=bool)]
    finite = off_diagonal[np.isfinite(off_diagonal)]
    if finite.size == 0:
        return 0.0, 1.0
    if kind == "spread":
        return 0.0, float(np.percentile(finite, 99.5)) or 1.0
    if kind == "difference":
        largest = float(np.percentile(np.abs(finite), 99)) or 1.0
        return -largest, largest
    low, high = (float(value) for value in np.percentile(finite, [1, 99.5]))
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def two_time_png(values: NDArray[Any], kind: str, vmin: float, vmax: float, size: int) -> bytes:
    """A picture without axes, first frame at the lower left, missing points grey.

    Parameters
    ----------
    values : (N, N) array
    vmin, vmax : values of the ends of the colour map
    size : edge of the picture, pixels
    """
    small, _ = shrink(values, size)
    picture = coloured(small, kind, Normalize(vmin, vmax))[::-1]
    if len(picture) < size:
        nearest = np.arange(size) * len(picture) // size
        picture = picture[np.ix_(nearest, nearest)]
    return encoded(picture)


def two_time_figure(
    values: NDArray[Any], kind: str, vmin: float, vmax: float, size: int, frame_time_s: float, title: str
) -> bytes:
    """A picture with axes in s and a colour bar.

    Parameters
    ----------
    values : (N, N) array
    size : edge of the figure, pixels
    frame_time_s : between two frames, s
    """
    small, _ = shrink(values, size)
    end = len(values) * frame_time_s
    with _drawing:
        figure = Figure(figsize=(size / 100, size / 100 * 0.86), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_facecolor(MISSING)
        image = axes.imshow(
            np.ma.masked_invalid(small),
            cmap=COLOUR_MAPS[kind],
            vmin=vmin,
            vmax=vmax,
            origin="lower",
            extent=(0.0, end, 0.0, end),
            interpolation="nearest",
        )
        axes.set_xlabel("t₁ (s)")
        axes.set_ylabel("t₂ (s)")
        axes.set_title(title, fontsize=10, parse_math=False)  # Dollars of a sample's name are no mathematics.
        figure.colorbar(image, ax=axes, label=LABELS[kind])
        content = BytesIO()
        figure.savefig(content, format="png")
    return content.getvalue()


def frame_png(
    frame: NDArray[Any],
    labels: NDArray[Any] | None,
    size: int,
    *,
    logarithmic: bool = True,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """A mean frame, row 0 on top, gaps and masked pixels grey, outlines of the ROIs in white where labels are given.

    Parameters
    ----------
    frame : (H, W) array, counts
    labels : (H, W) integer array, 0 outside all ROIs
    size : longest edge of the picture, pixels
    mask : (H, W), True where a pixel counts; gaps hold the largest number of the type and would rule the colours
    """
    small, _ = shrink(frame if mask is None else np.where(mask, frame, np.nan), size)
    finite = small[np.isfinite(small) & (small > 0)]
    low, high = np.percentile(finite, [1, 99.8]) if finite.size else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 1.001), clip=False) if logarithmic else Normalize(0, high)
    dark = np.isfinite(small) & (small <= 0)
    picture = coloured(np.where(dark, low, small) if logarithmic else small, "raw", norm)
    if labels is not None:
        picture[shrink(_outline(labels), size)[0] > 0] = (255, 255, 255, 255)
    return encoded(picture)


def outlines_png(labels: NDArray[Any], size: int) -> bytes:
    """White outlines of ROIs on a transparent ground, an overlay for `frame_png` of the same size.

    Parameters
    ----------
    labels : (H, W) integer array, 0 outside all ROIs
    size : longest edge of the picture, pixels
    """
    drawn = shrink(_outline(labels), size)[0] > 0
    picture = np.zeros((*drawn.shape, 4), np.uint8)
    picture[drawn] = (255, 255, 255, 255)
    return encoded(picture)


def coloured(values: NDArray[Any], kind: str, norm: Normalize) -> NDArray[np.uint8]:
    """RGBA in the colours of a kind of picture; NaN grey."""
    colours = matplotlib.colormaps[COLOUR_MAPS[kind]].with_extremes(bad=MISSING)
    picture: NDArray[np.uint8] = colours(norm(np.ma.masked_invalid(values)), bytes=True)
    return picture


def _outline(labels: NDArray[Any]) -> NDArray[np.bool_]:
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return edge


def encoded(picture: NDArray[np.uint8]) -> bytes:
    """RGBA as PNG."""
    content = BytesIO()
    imsave(content, np.ascontiguousarray(picture), format="png")
    return content.getvalue()
