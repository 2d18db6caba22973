"""The CNN encoder-decoder, one model and a stack of them.

Architecture after Konstantinova 2021, Fig. 2: two 1 x 1 convolutions with ReLU, a linear layer to the latent space, a
linear layer back, two 1 x 1 transposed convolutions with ReLU after the first. Convolutions of size 1 x 1 act on every
pixel alone, so a stack of K models is a handful of batched matrix products.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """

    window: int = 50
    channels: int = 10
    latent: int = 8

    @property
    def pixels(self) -> int:
        """Pixels of a window."""
        return self.window**2


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

    Inputs must be symmetric: the encoder reads each pair of mirrored pixels once, with the sum of both weights, which
    is exact and halves its work.
    """

    def __init__(self, models: int, architecture: Architecture = Architecture()) -> None:
        super().__init__()
        self.architecture = architecture
        channels, features = architecture.channels, architecture.channels * architecture.pixels
        shapes = {
            "convolution_1": (channels, 1),
            "convolution_2": (channels, channels),
            "to_latent": (architecture.latent, features),
            "from_latent": (features, architecture.latent),
            "deconvolution_1": (channels, channels),
            "deconvolution_2": (1, channels),
        }
        for name, shape in shapes.items():
            self.register_parameter(f"{name}_weight", nn.Parameter(torch.zeros(models, *shape)))
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(models, shape[0], 1)))
        rows, columns = torch.triu_indices(architecture.window, architecture.window)
        self.register_buffer("upper", rows * architecture.window + columns, persistent=False)
        self.register_buffer("lower", columns * architecture.window + rows, persistent=False)
        self.register_buffer("off_diagonal", (rows != columns).float(), persistent=False)
        self.upper: Tensor
        self.lower: Tensor
        self.off_diagonal: Tensor

    @property
    def models(self) -> int:
        """Number of models in the stack."""
        return int(self.get_parameter("convolution_1_weight").shape[0])

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw Xavier-uniform weights and uniform biases, one seed per model."""
        with torch.no_grad():
            for model, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(seed)
                for name, parameter in self.named_parameters():
                    own = parameter[model]
                    weight = self.get_parameter(name.replace("_bias", "_weight"))[model]
                    fan_out, fan_in = weight.shape
                    edge = math.sqrt(6 / (fan_in + fan_out)) if name.endswith("weight") else 1 / math.sqrt(fan_in)
                    own.copy_((2 * torch.rand(own.shape, generator=generator) - 1) * edge)

    def encode(self, upper: Tensor) -> Tensor:
        """Latent vectors (K, latent, B) of the upper triangles (B, U) of symmetric windows."""
        parameter = self.get_parameter
        batch, triangle = upper.shape
        channels = self.architecture.channels
        pixels = upper.T.reshape(1, 1, -1).expand(self.models, 1, -1)  # (K, 1, U B)
        hidden = torch.relu(torch.baddbmm(parameter("convolution_1_bias"), parameter("convolution_1_weight"), pixels))
        hidden = torch.relu(torch.baddbmm(parameter("convolution_2_bias"), parameter("convolution_2_weight"), hidden))
        hidden = hidden.view(self.models, channels * triangle, batch)  # (K, C U, B)
        return torch.baddbmm(parameter("to_latent_bias"), self.folded_encoder(), hidden)

    def folded_encoder(self) -> Tensor:
        """Weights (K, latent, C U) of the linear encoder layer on the upper triangle alone."""
        weight = self.get_parameter("to_latent_weight")
        full = weight.view(self.models, self.architecture.latent, self.architecture.channels, -1)
        folded = full[..., self.upper] + full[..., self.lower] * self.off_diagonal
        return folded.flatten(2)

    def forward(self, upper: Tensor) -> Tensor:
        """Denoised windows (K, W W, B), pixels before examples, of the upper triangles (B, U)."""
        parameter = self.get_parameter
        channels = self.architecture.channels
        hidden = torch.baddbmm(parameter("from_latent_bias"), parameter("from_latent_weight"), self.encode(upper))
        hidden = hidden.view(self.models, channels, -1)  # (K, C, W W B)
        hidden = torch.relu(
            torch.baddbmm(parameter("deconvolution_1_bias"), parameter("deconvolution_1_weight"), hidden)
        )
        output = torch.baddbmm(parameter("deconvolution_2_bias"), parameter("deconvolution_2_weight"), hidden)
        return output.view(self.models, self.architecture.pixels, -1)

    def member(self, model: int) -> dict[str, Tensor]:
        """State dict of one model, as `EncoderDecoder` loads it."""
        state = {}
        for name, module in EncoderDecoder(self.architecture).named_modules():
            if not name:
                continue
            weight = self.get_parameter(f"{name}_weight")[model].detach()
            # A transposed convolution stores its weights as (from, to).
            weight = weight.T if isinstance(module, nn.ConvTranspose2d) else weight
            state[f"{name}.weight"] = weight.reshape(module.get_parameter("weight").shape).clone()
            state[f"{name}.bias"] = self.get_parameter(f"{name}_bias")[model, :, 0].detach().clone()
        return state

    def load_members(self, members: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over the state dicts of single models, one per place in the stack."""
        with torch.no_grad():
            for model, state in enumerate(members):
                for key, value in state.items():
                    name, kind = key.rsplit(".", 1)
                    own = self.get_parameter(f"{name}_{kind}")[model]
                    transposed = kind == "weight" and name.startswith("deconvolution")
                    own.copy_((value.flatten(1).T if transposed else value).reshape(own.shape))
