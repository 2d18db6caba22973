"""Applying a stack of models fast: everything that is linear in between is multiplied out once."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnn_ed.network import EncoderDecoderStack

BATCH = 16


class FoldedStack:
    """A stack of trained models, ready to apply.

    No activation stands between the linear decoder layer and the first transposed convolution, so both are one matrix;
    the encoder reads mirrored pixels once. Equal to the stack itself up to rounding.
    """

    def __init__(self, stack: EncoderDecoderStack) -> None:
        self.architecture = stack.architecture
        self.models = stack.models
        architecture = stack.architecture
        with torch.inference_mode():
            own = {name: value.detach() for name, value in stack.named_parameters()}
            self._own = own
            self._to_latent = stack.folded_encoder()
            shape = (self.models, architecture.channels, architecture.pixels * architecture.latent)
            mixing = own["deconvolution_1_weight"]  # (K, C, C)
            self._from_latent = torch.bmm(mixing, own["from_latent_weight"].view(shape)).view(
                self.models, -1, architecture.latent
            )
            bias = torch.bmm(mixing, own["from_latent_bias"].view(self.models, architecture.channels, -1))
            self._from_latent_bias = (bias + own["deconvolution_1_bias"]).view(self.models, -1, 1)
        self._rows, self._columns = np.triu_indices(architecture.window)

    def latent(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latent vectors (K, M, latent) of windows (M, W, W)."""
        upper = self._upper(windows)
        with torch.inference_mode():
            parts = [self._encode(batch) for batch in torch.split(upper, BATCH)]
            result: NDArray[np.float32] = torch.cat(parts, dim=2).transpose(1, 2).numpy()
            return result

    def apply(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Symmetric outputs (K, M, W, W) of each model for windows (M, W, W)."""
        size = self.architecture.window
        with torch.inference_mode():
            parts = [self._decode(self._encode(batch)) for batch in torch.split(self._upper(windows), BATCH)]
            outputs = torch.cat(parts, dim=2).transpose(1, 2).reshape(self.models, -1, size, size)
            result: NDArray[np.float32] = ((outputs + outputs.transpose(2, 3)) / 2).numpy()
            return result

    def _upper(self, windows: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(windows[:, self._rows, self._columns], np.float32))

    def _encode(self, upper: Tensor) -> Tensor:
        own = self._own
        pixels = upper.T.reshape(1, 1, -1).expand(self.models, 1, -1)  # (K, 1, U B)
        hidden = torch.baddbmm(own["convolution_1_bias"], own["convolution_1_weight"], pixels).relu_()
        hidden = torch.baddbmm(own["convolution_2_bias"], own["convolution_2_weight"], hidden).relu_()
        hidden = hidden.view(self.models, -1, len(upper))  # (K, C U, B)
        return torch.baddbmm(own["to_latent_bias"], self._to_latent, hidden)  # (K, latent, B)

    def _decode(self, latent: Tensor) -> Tensor:
        own = self._own
        hidden = torch.baddbmm(self._from_latent_bias, self._from_latent, latent).relu_()  # (K, C W W, B)
        hidden = hidden.view(self.models, self.architecture.channels, -1)
        output = torch.baddbmm(own["deconvolution_2_bias"], own["deconvolution_2_weight"], hidden)
        return output.view(self.models, self.architecture.pixels, -1)  # (K, W W, B)
