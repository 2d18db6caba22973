"""The cost of a denoised window: Konstantinova 2021, Eq. 8, with squared norms."""

import numpy as np
import torch
from torch import Tensor


def lag_averages(window: int) -> Tensor:
    """Matrix (W - 1, W W) that turns a window into its one-time correlation function at lags 1 ... W - 1.

    Both mirrored halves count, so that an output need not be symmetric to have one.
    """
    i, j = np.indices((window, window))
    lag = np.abs(i - j).ravel()
    matrix = np.stack([(lag == k) / np.count_nonzero(lag == k) for k in range(1, window)])
    return torch.from_numpy(matrix.astype(np.float32))


def cost(output: Tensor, target: Tensor, averages: Tensor) -> tuple[Tensor, Tensor]:
    """Both terms of Eq. 8 for each model.

    Parameters
    ----------
    output : (K, W W, B) windows
    target : (W W, B) windows
    averages : (W - 1, W W) matrix of `lag_averages`

    Returns
    -------
    tuple of (K,) tensors
        Mean squared error of the two-time and of the one-time correlation functions.
    """
    difference = output - target
    one_time = torch.matmul(averages, difference)  # (K, W - 1, B)
    return difference.square().mean(dim=(1, 2)), one_time.square().mean(dim=(1, 2))
