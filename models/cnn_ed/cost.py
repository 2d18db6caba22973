"""The cost of a denoised window: Konstantinova 2021, Eq. 8, with squared norms."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def decoded_lags(window: int, symmetric: bool) -> NDArray[np.int64]:
    """Lag (D,) of each pixel: of the upper triangle, or of the whole window."""
    rows, columns = np.triu_indices(window) if symmetric else np.indices((window, window)).reshape(2, -1)
    lag: NDArray[np.int64] = np.abs(rows - columns)
    return lag


def lag_averages(lag: NDArray[np.int64]) -> Tensor:
    """Matrix (W - 1, D) that turns pixels into the one-time correlation function at lags 1 ... W - 1."""
    matrix = np.stack([(lag == k) / np.count_nonzero(lag == k) for k in range(1, lag.max() + 1)])
    return torch.from_numpy(matrix.astype(np.float32))


def one_time_of(windows: NDArray[np.floating]) -> NDArray[np.float64]:
    """One-time correlation functions (M, W - 1) of windows (M, W, W)."""
    averages = lag_averages(decoded_lags(windows.shape[-1], symmetric=False)).numpy().astype(float)
    curves: NDArray[np.float64] = windows.reshape(len(windows), -1).astype(float) @ averages.T
    return curves


def pixel_shares(lag: NDArray[np.int64], symmetric: bool) -> Tensor:
    """Share (D, 1) of a window that each pixel stands for; in an upper triangle most stand for two."""
    weight = np.where(lag > 0, 2.0, 1.0) if symmetric else np.ones(len(lag))
    return torch.from_numpy((weight / weight.sum()).astype(np.float32))[:, None]


def cost(output: Tensor, target: Tensor, shares: Tensor, averages: Tensor) -> tuple[Tensor, Tensor]:
    """Both terms of Eq. 8 for each model.

    Parameters
    ----------
    output : (K, D, B) pixels of windows
    target : (D, B) the same
    shares : (D, 1) of `pixel_shares`
    averages : (W - 1, D) matrix of `lag_averages`

    Returns
    -------
    tuple of (K,) tensors
        Mean squared error of the two-time and of the one-time correlation functions.
    """
    difference = output - target
    one_time = torch.matmul(averages, difference)  # (K, W - 1, B)
    return (difference.square() * shares).sum(dim=1).mean(dim=1), one_time.square().mean(dim=(1, 2))
