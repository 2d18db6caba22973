"""How alike two images are: multi-scale structural similarity, and the published loss made of it."""

import torch
from torch import Tensor
from torch.nn import functional

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, from full resolution on (Wang 2003)."""
FILTER, SIGMA = 11, 1.5
"""Edge and standard deviation of the Gaussian window, pixels."""
K1, K2 = 0.01, 0.03
SIMILARITY_SHARE = 0.7


def ms_ssim(one: Tensor, other: Tensor, largest: float = 1.0) -> Tensor:
    """Mean multi-scale structural similarity of images.

    Parameters
    ----------
    one, other : (B, 1, H, W)
    largest : difference between the largest and the smallest possible value

    Raises
    ------
    ValueError
        If the images are smaller than the window.

    Notes
    -----
    Wang 2003: the product over scales of the contrast and structure terms, at the coarsest one of all terms, each to
    the power of its weight; negative terms count as 0. Where images are too small for five scales, as many as fit are
    used, and their weights scaled to the same sum.
    """
    side = min(one.shape[-2:])
    if side < FILTER:
        raise ValueError(f"images have sides of {side} pixels, expected at least {FILTER}.")
    scales = [number for number in range(len(WEIGHTS)) if side // 2**number >= FILTER]
    weights = torch.tensor([WEIGHTS[number] for number in scales], dtype=one.dtype)
    weights = weights * (sum(WEIGHTS) / weights.sum())
    terms = []
    for number in scales:
        if number:
            one, other = (functional.avg_pool2d(image, 2) for image in (one, other))
        similarity, structure = _terms(one, other, largest)
        terms.append((similarity if number == scales[-1] else structure).clamp(min=1e-6))
    return torch.stack([term**weight for term, weight in zip(terms, weights, strict=True)]).prod(dim=0).mean()


def published_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """0.3 MAE + 0.7 (1 - MS-SSIM), of images (B, 1, H, W) between 0 and 1 (Oppliger 2024)."""
    absolute = (predicted - target).abs().mean()
    return (1 - SIMILARITY_SHARE) * absolute + SIMILARITY_SHARE * (1 - ms_ssim(predicted, target))


def _terms(one: Tensor, other: Tensor, largest: float) -> tuple[Tensor, Tensor]:
    """Similarity, and its part of contrast and structure, (B,) each: means over all places of the window."""
    window = _window(one)

    def mean(image: Tensor) -> Tensor:
        return functional.conv2d(functional.conv2d(image, window), window.transpose(2, 3))

    first, second = mean(one), mean(other)
    variance = mean(one**2) - first**2 + mean(other**2) - second**2
    covariance = mean(one * other) - first * second
    c1, c2 = (K1 * largest) ** 2, (K2 * largest) ** 2
    structure = (2 * covariance + c2) / (variance + c2)
    luminance = (2 * first * second + c1) / (first**2 + second**2 + c1)
    return (luminance * structure).mean(dim=(1, 2, 3)), structure.mean(dim=(1, 2, 3))


def _window(image: Tensor) -> Tensor:
    """Gaussian weights (1, 1, FILTER, 1)."""
    place = torch.arange(FILTER, dtype=image.dtype) - (FILTER - 1) / 2
    weight = torch.exp(-0.5 * (place / SIGMA) ** 2)
    return (weight / weight.sum())[None, None, :, None]
