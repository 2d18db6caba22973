"""The CNN encoder-decoder, one model and a stack of them.

Architecture after Konstantinova 2021, Fig. 2: two 1 x 1 convolutions with ReLU, a linear layer to the latent space, a
linear layer back, two 1 x 1 transposed convolutions with ReLU after the first. Convolutions of size 1 x 1 act on every
pixel alone, so a stack of K models is a handful of batched matrix products.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """Sizes of the network.

    Attributes
    ----------
    window : edge of the two-time correlation functions, frames
    channels : of each convolution; the paper saw no gain above ten
    latent : numbers that a window is reduced to; the paper's choice is eight
    symmetric : whether mirrored pixels share their decoder weights, which is exact for what is measured and halves the
        work; the paper's models learn both halves apart
    """

    window: int = 50
    channels: int = 10
    latent: int = 8
    symmetric: bool = True

    @property
    def pixels(self) -> int:
        """Pixels of a window."""
        return self.window**2

    @property
    def triangle(self) -> int:
        """Pixels of an upper triangle with its diagonal."""
        return self.window * (self.window + 1) // 2

    @property
    def decoded(self) -> int:
        """Pixels that the decoder yields."""
        return self.triangle if self.symmetric else self.pixels


class EncoderDecoder(nn.Module):
    """One model, written as the paper draws it; the reference for `EncoderDecoderStack`."""

    def __init__(self, architecture: Architecture = Architecture()) -> None:
        super().__init__()
        self.architecture = architecture
        channels, features = architecture.channels, architecture.channels * architecture.pixels
        self.convolution_1 = nn.Conv2d(1, channels, 1)
        self.convolution_2 = nn.Conv2d(channels, channels, 1)
        self.to_latent = nn.Linear(features, architecture.latent)
        self.from_latent = nn.Linear(architecture.latent, features)
        self.deconvolution_1 = nn.ConvTranspose2d(channels, channels, 1)
        self.deconvolution_2 = nn.ConvTranspose2d(channels, 1, 1)

    def encode(self, windows: Tensor) -> Tensor:
        """Latent vectors (B, latent) of windows (B, W, W)."""
        hidden = torch.relu(self.convolution_1(windows.unsqueeze(1)))  # (B, C, W, W)
        hidden = torch.relu(self.convolution_2(hidden))  # (B, C, W, W)
        latent: Tensor = self.to_latent(hidden.flatten(1))  # (B, latent)
        return latent

    def forward(self, windows: Tensor) -> Tensor:
        """Denoised windows (B, W, W)."""
        size, channels = self.architecture.window, self.architecture.channels
        hidden = self.from_latent(self.encode(windows)).view(-1, channels, size, size)
        hidden = torch.relu(self.deconvolution_1(hidden))  # (B, C, W, W)
        output: Tensor = self.deconvolution_2(hidden)  # (B, 1, W, W)
        return output.squeeze(1)


class EncoderDecoderStack(nn.Module):
    """K models trained or applied at once; each parameter carries the model as its first axis.

    Inputs must be symmetric: the encoder holds one weight for each pair of mirrored pixels, the sum of the two that the
    paper's network has, which is exact and halves its work.

    Parameters
    ----------
    models : K
    architecture : sizes
    dropout : probability of leaving out a channel of an example after each convolution, while training
    """

    def __init__(self, models: int, architecture: Architecture = Architecture(), dropout: float = 0.0) -> None:
        super().__init__()
        self.architecture = architecture
        self.dropout = dropout
        for name, (rows, columns) in self._shapes().items():
            self.register_parameter(f"{name}_weight", nn.Parameter(torch.zeros(models, rows, columns)))
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(models, rows, 1)))

    @property
    def models(self) -> int:
        """Number of models in the stack."""
        return int(self.get_parameter("convolution_1_weight").shape[0])

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw Xavier-uniform weights and uniform biases, as for the paper's network, one seed per model."""
        pixels = self.architecture.pixels
        with torch.no_grad():
            for model, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(seed)
                for name, parameter in self.named_parameters():
                    own = parameter[model]
                    fan_out, fan_in = self.get_parameter(name.replace("_bias", "_weight"))[model].shape
                    if name.startswith("to_latent"):
                        fan_in = self.architecture.channels * pixels
                    if name.startswith("from_latent"):
                        fan_out = self.architecture.channels * pixels
                    edge = math.sqrt(6 / (fan_in + fan_out)) if name.endswith("weight") else 1 / math.sqrt(fan_in)
                    drawn = (2 * torch.rand(own.shape, generator=generator) - 1) * edge
                    if name == "to_latent_weight":
                        # The sum of two independent weights off the diagonal.
                        twin = (2 * torch.rand(own.shape, generator=generator) - 1) * edge
                        drawn += twin * self._off_diagonal().repeat(self.architecture.channels)
                    own.copy_(drawn)

    def encode(self, upper: Tensor) -> Tensor:
        """Latent vectors (K, latent, B) of the upper triangles (U, B) of symmetric windows, pixels first."""
        own = self.get_parameter
        batch = upper.shape[1]
        pixels = upper.reshape(1, 1, -1).expand(self.models, 1, -1)  # (K, 1, U B)
        hidden = torch.relu(torch.baddbmm(own("convolution_1_bias"), own("convolution_1_weight"), pixels))
        hidden = self._thinned(hidden, batch)
        hidden = torch.relu(torch.baddbmm(own("convolution_2_bias"), own("convolution_2_weight"), hidden))
        hidden = self._thinned(hidden, batch).view(self.models, -1, batch)  # (K, C U, B)
        return torch.baddbmm(own("to_latent_bias"), own("to_latent_weight"), hidden)

    def decoder(self) -> tuple[Tensor, Tensor]:
        """Weights (K, C D, latent) and biases (K, C D, 1) of the linear decoder layer and the convolution after it.

        No activation stands between them, so both are one matrix.
        """
        own = self.get_parameter
        mixing, size = own("deconvolution_1_weight"), self.architecture.decoded * self.architecture.latent
        weight = torch.bmm(mixing, own("from_latent_weight").view(self.models, -1, size))
        bias = torch.bmm(mixing, own("from_latent_bias").view(self.models, -1, self.architecture.decoded))
        bias = bias + own("deconvolution_1_bias")
        return weight.view(self.models, -1, self.architecture.latent), bias.view(self.models, -1, 1)

    def forward(self, upper: Tensor) -> Tensor:
        """Denoised windows (K, D, B) of the upper triangles (U, B); D as in `Architecture.decoded`."""
        own = self.get_parameter
        weight, bias = self.decoder()
        hidden = torch.relu(torch.baddbmm(bias, weight, self.encode(upper)))  # (K, C D, B)
        hidden = hidden.view(self.models, self.architecture.channels, -1)
        output = torch.baddbmm(own("deconvolution_2_bias"), own("deconvolution_2_weight"), hidden)
        return output.view(self.models, self.architecture.decoded, -1)

    def state(self, model: int) -> dict[str, Tensor]:
        """Parameters of one model, as `load_states` takes them and the files of a version hold them."""
        return {name: value[model].detach().clone() for name, value in self.named_parameters()}

    def load_states(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over the parameters of single models, one per place in the stack.

        Raises
        ------
        ValueError
            If a parameter is missing, unknown or of another shape.
        """
        own = dict(self.named_parameters())
        with torch.no_grad():
            for model, state in enumerate(states):
                if {name: tuple(v.shape) for name, v in state.items()} != {
                    n: tuple(v.shape[1:]) for n, v in own.items()
                }:
                    raise ValueError(f"Model {model} is not one of {self.architecture}.")
                for name, value in state.items():
                    own[name][model] = value

    def chosen(self, models: Sequence[int]) -> "EncoderDecoderStack":
        """A stack of some of the models."""
        stack = EncoderDecoderStack(len(models), self.architecture, self.dropout)
        stack.load_states([self.state(model) for model in models])
        return stack

    def plain(self, model: int) -> EncoderDecoder:
        """One model as the paper draws it, with a weight for every pixel."""
        architecture = self.architecture
        network = EncoderDecoder(architecture)
        state = {name: value.squeeze(-1) if "bias" in name else value for name, value in self.state(model).items()}
        halves = (1 - 0.5 * self._off_diagonal()).repeat(architecture.channels)
        state["to_latent_weight"] = self._mirrored(state["to_latent_weight"] * halves)
        if architecture.symmetric:
            state["from_latent_weight"] = self._mirrored(state["from_latent_weight"].T).T
            state["from_latent_bias"] = self._mirrored(state["from_latent_bias"][None])[0]
        for name, parameter in network.named_parameters():
            value = state[name.replace(".", "_")]
            # A transposed convolution stores its weights as (from, to).
            value = value.T if name.startswith("deconvolution") and name.endswith("weight") else value
            parameter.data = value.reshape(parameter.shape).clone()
        return network

    def _shapes(self) -> dict[str, tuple[int, int]]:
        sizes = self.architecture
        return {
            "convolution_1": (sizes.channels, 1),
            "convolution_2": (sizes.channels, sizes.channels),
            "to_latent": (sizes.latent, sizes.channels * sizes.triangle),
            "from_latent": (sizes.channels * sizes.decoded, sizes.latent),
            "deconvolution_1": (sizes.channels, sizes.channels),
            "deconvolution_2": (1, sizes.channels),
        }

    def _thinned(self, hidden: Tensor, batch: int) -> Tensor:
        if not (self.training and self.dropout):
            return hidden
        kept = torch.rand(self.models, self.architecture.channels, 1, batch, device=hidden.device) >= self.dropout
        split = hidden.view(self.models, self.architecture.channels, -1, batch)
        return (split * kept / (1 - self.dropout)).view_as(hidden)

    def _off_diagonal(self) -> Tensor:
        rows, columns = np.triu_indices(self.architecture.window)
        return torch.from_numpy((rows != columns).astype(np.float32))

    def _mirrored(self, upper: Tensor) -> Tensor:
        """Weights (R, C W W) from those of upper triangles (R, C U)."""
        size = self.architecture.window
        rows, columns = np.triu_indices(size)
        number = np.empty((size, size), np.int64)
        number[rows, columns] = number[columns, rows] = np.arange(len(rows))
        split = upper.reshape(len(upper), self.architecture.channels, -1)
        return split[:, :, number.ravel()].reshape(len(upper), -1)
