"""A two-time correlation function before and after denoising, as a picture."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from numpy.typing import NDArray

from twotime.results import colour_range

COLOUR_MAP = "viridis"
RAW_COLOUR, DENOISED_COLOUR, ESTIMATE_COLOUR = "#7a7a7a", "#c2410c", "#7a1fa2"


def draw_before_and_after(
    figure: FigureBase,
    raw: NDArray[np.float32],
    denoised: NDArray[np.float32] | None,
    mask: NDArray[np.bool_] | None,
    g2: pd.DataFrame,
    frame_time_s: float,
    title: str,
) -> None:
    """Draw raw and denoised two-time correlation functions and their one-time curves side by side.

    Parameters
    ----------
    raw, denoised : (N, N) arrays of one ROI; None: it was not denoised
    mask : (N, N) array, True where `denoised` holds the output of the models; its values set the colour scale
    g2 : rows of that ROI in the published table ``g2``
    frame_time_s : time between two frames, s
    title : one line above the panels
    """
    shown = {"measured": raw} if denoised is None else {"measured": raw, "denoised": denoised}
    axes = figure.subplots(1, len(shown) + 1, width_ratios=(*(1 for _ in shown), 1.15))
    low, high = colour_range(raw if denoised is None or mask is None else np.where(mask, denoised, np.nan))
    duration = len(raw) * frame_time_s
    for panel, (name, values) in zip(axes, shown.items(), strict=False):
        image = panel.imshow(
            values, origin="lower", extent=(0, duration, 0, duration), vmin=low, vmax=high, cmap=COLOUR_MAP
        )
        panel.set(title=name, xlabel="$t_1$ (s)", ylabel="$t_2$ (s)")
    figure.colorbar(image, ax=axes[:-1], label="$C_2(t_1, t_2)$", shrink=0.85)
    _draw_g2(axes[-1], g2)
    figure.suptitle(title, fontsize=11, parse_math=False)


def _draw_g2(panel: Axes, g2: pd.DataFrame) -> None:
    lag = g2["lag_s"].to_numpy()
    style: dict[str, Any] = {"fmt": "o", "markersize": 3, "elinewidth": 0.8}
    panel.errorbar(lag, g2["g2_raw"], g2["g2_raw_error"], color=RAW_COLOUR, alpha=0.6, label="measured", **style)
    panel.plot(lag, g2["g2_raw_fit"], color=RAW_COLOUR, linewidth=1)
    own = g2["g2_denoised"].notna().to_numpy()
    if own.any():
        panel.errorbar(
            lag[own],
            g2["g2_denoised"][own],
            g2["g2_denoised_error"][own],
            color=DENOISED_COLOUR,
            label="denoised",
            **style,
        )
        panel.plot(lag, g2["g2_denoised_fit"], color=DENOISED_COLOUR, linewidth=1.3)
    if "g2_estimate" in g2 and g2["g2_estimate"].notna().any():
        panel.plot(lag, g2["g2_estimate"], color=ESTIMATE_COLOUR, linewidth=2, label="estimate")
    panel.set(xscale="log", xlabel="lag (s)", ylabel="$g_2$", title="one-time correlation, fits, estimate")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
