"""Applying a stack of models fast: linear steps multiplied out, the rest compiled."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from cnn_ed.network import EncoderDecoderStack
from cnn_ed.unrolled import kernels

BLOCK = 128
"""Windows per call of a kernel: enough to fill the vector units, few enough for the cache."""


class AppliedStack:
    """A stack of trained models, ready to apply; equal to the stack itself up to rounding."""

    def __init__(self, stack: EncoderDecoderStack) -> None:
        self.architecture = stack.architecture
        self.models = stack.models
        sizes, models = stack.architecture, stack.models
        self._encode, self._decode = kernels(sizes.channels, sizes.latent)
        with torch.inference_mode():
            own = {name: value.detach().numpy() for name, value in stack.named_parameters()}
            weight, bias = (part.numpy() for part in stack.decoder())
        to_latent = own["to_latent_weight"].reshape(models, sizes.latent, sizes.channels, -1)
        from_latent = weight.reshape(models, sizes.channels, -1, sizes.latent)
        self._latent_bias = own["to_latent_bias"]  # (K, latent, 1)
        convolutions = [own[f"convolution_{layer}_{kind}"] for layer in (1, 2) for kind in ("weight", "bias")]
        w1, b1, w2, b2 = convolutions
        self._encoder = [
            (w1[k, :, 0], b1[k, :, 0], w2[k], b2[k, :, 0], np.ascontiguousarray(to_latent[k].transpose(2, 1, 0)))
            for k in range(models)
        ]
        self._decoder = [
            (
                np.ascontiguousarray(from_latent[k].transpose(1, 0, 2)),
                np.ascontiguousarray(bias[k].reshape(sizes.channels, -1).T),
                own["deconvolution_2_weight"][k, 0],
                own["deconvolution_2_bias"][k, 0, 0],
            )
            for k in range(models)
        ]
        self._rows, self._columns = np.triu_indices(sizes.window)

    def apply(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Denoise windows.

        Parameters
        ----------
        windows : (M, W, W) array, symmetric

        Returns
        -------
        tuple of float32 arrays
            Upper triangles (K, U, M) of each model's outputs, pixels first, in the order of `numpy.triu_indices`, and
            latent vectors (K, M, latent). Where a model's output is not symmetric, the mean of both halves.
        """
        sizes = self.architecture
        outputs = np.empty((self.models, sizes.triangle, len(windows)), np.float32)
        latent = np.empty((self.models, len(windows), sizes.latent), np.float32)

        def block(first: int) -> None:
            own = slice(first, first + BLOCK)
            upper = np.ascontiguousarray(windows[own, self._rows, self._columns].T)  # (U, B)
            decoded = np.empty((sizes.decoded, upper.shape[1]), np.float32)
            for model in range(self.models):
                z = np.repeat(self._latent_bias[model], upper.shape[1], axis=1)  # (latent, B)
                self._encode(upper, *self._encoder[model], z)
                self._decode(z, *self._decoder[model], decoded)
                latent[model, own] = z.T
                outputs[model, :, own] = self._upper(decoded)

        # As many blocks at a time as torch may use threads: whoever limits one limits both.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(block, range(0, len(windows), BLOCK)))
        return outputs, latent

    def full(self, upper: NDArray[np.float32]) -> NDArray[np.float32]:
        """Symmetric windows (..., M, W, W) from upper triangles (..., U, M)."""
        size = self.architecture.window
        windows = np.empty((*upper.shape[:-2], upper.shape[-1], size, size), np.float32)
        windows[..., self._rows, self._columns] = upper.swapaxes(-1, -2)
        windows[..., self._columns, self._rows] = upper.swapaxes(-1, -2)
        return windows

    def _upper(self, decoded: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.architecture.symmetric:
            return decoded
        size = self.architecture.window
        both: NDArray[np.float32] = (
            decoded[self._rows * size + self._columns] + decoded[self._columns * size + self._rows]
        ) / np.float32(2)
        return both
