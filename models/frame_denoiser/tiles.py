"""A network over frames of any size: in tiles that overlap, so that memory is bounded and no seam is left.

Every pixel is computed with all the pixels that it depends on, so tiles and the whole frame agree.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frame_denoiser.network import FrameNetwork, Posterior, posterior_of
from frame_denoiser.scales import BINS, Scales, features_of, mean_rate, scales_of

TILE = 512
"""Edge of the pixels that a tile answers for; 512 need some 0.8 GB, and larger ones are hardly faster."""

NETWORK_MARGIN = 64
"""Pixels around a tile that the network needs: more than the radius of its field of view."""

SCALES_MARGIN = 128
"""Pixels around those that the widest scale needs."""


@dataclass(frozen=True)
class _Span:
    """Rows or columns of a tile: those it answers for, those the network sees, those the scales see."""

    core: tuple[int, int]
    network: tuple[int, int]
    scales: tuple[int, int]


def posterior_of_frame(
    network: FrameNetwork,
    frame: NDArray[np.float32],
    mask: NDArray[np.bool_],
    tile: int = TILE,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logarithms of mean and shape of the posterior of each pixel, (H, W) each.

    Parameters
    ----------
    network : in evaluation
    frame : (H, W), counts
    mask : (H, W), True where usable
    tile : edge of the tiles, pixels; divisible by `BINS`
    progress : told the fraction done
    """
    if tile % BINS:
        raise ValueError(f"tile is {tile}, expected a multiple of {BINS} pixels.")
    height, width = frame.shape
    padding = ((0, -height % BINS), (0, -width % BINS))
    counts = torch.from_numpy(np.pad(np.where(mask, frame, np.float32(0)), padding))[None, None]
    known = torch.from_numpy(np.pad(mask, padding).astype(np.float32))[None, None]
    overall = mean_rate(counts, known)
    mean, shape = np.empty(counts.shape[2:], np.float32), np.empty(counts.shape[2:], np.float32)
    tiles = [(r, c) for r in _spans(mean.shape[0], tile) for c in _spans(mean.shape[1], tile)]
    with torch.inference_mode():
        for number, (rows, columns) in enumerate(tiles):
            posterior = _of_tile(network, counts, known, overall, rows, columns)
            core = (slice(*rows.core), slice(*columns.core))
            mean[core], shape[core] = posterior.log_mean[0].numpy(), posterior.log_shape[0].numpy()
            if progress is not None:
                progress((number + 1) / len(tiles))
    return mean[:height, :width], shape[:height, :width]


def _of_tile(
    network: FrameNetwork, counts: Tensor, known: Tensor, overall: Tensor, rows: _Span, columns: _Span
) -> Posterior:
    cut = (..., slice(*rows.scales), slice(*columns.scales))
    scales = scales_of(counts[cut], known[cut], overall)
    features = features_of(counts[cut], known[cut], scales)
    inner = (..., _within(rows.network, rows.scales), _within(columns.network, columns.scales))
    seen = features[inner].contiguous(memory_format=torch.channels_last)
    posterior = posterior_of(
        network(seen), Scales(*(part[inner] for part in (scales.rates, scales.counts, scales.pixels)))
    )
    core = (..., _within(rows.core, rows.network), _within(columns.core, columns.network))
    return Posterior(posterior.log_mean[core], posterior.log_shape[core])


def _spans(length: int, tile: int) -> Iterator[_Span]:
    for start in range(0, length, tile):
        core = (start, min(start + tile, length))
        network = (max(0, core[0] - NETWORK_MARGIN), min(length, core[1] + NETWORK_MARGIN))
        yield _Span(core, network, (max(0, network[0] - SCALES_MARGIN), min(length, network[1] + SCALES_MARGIN)))


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> slice:
    return slice(inner[0] - outer[0], inner[1] - outer[0])
