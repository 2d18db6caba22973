"""Published networks on disk, as rivals: a folder with `network.pt` and the `card.json` that vouches for it."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from frame_denoiser.published import NETWORKS, NetworkName, denoised_rate
from frame_denoiser.rivals import Rival
from frame_denoiser.stored import CARD, NETWORK, PUBLISHED, write_card


def write_published(folder: Path, name: NetworkName, network: nn.Module, card: Mapping[str, Any]) -> None:
    """Write a trained network and its card into a folder; name and checksum are added to the card."""
    folder.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    torch.save(network.state_dict(), content)
    (folder / NETWORK).write_bytes(content.getvalue())
    sha256 = hashlib.sha256(content.getvalue()).hexdigest()
    write_card(folder, {"version": folder.name, PUBLISHED: name, "sha256": sha256, **card})


def read_rival(folder: Path) -> Rival:
    """The network of a folder as a filter without a setting.

    Raises
    ------
    ValueError
        If the folder holds none, or its weights are not those of its card. Nothing but tensors is unpickled.
    """
    card = json.loads((folder / CARD).read_text()) if (folder / CARD).is_file() else {}
    name = next((one for one in NETWORKS if one == card.get(PUBLISHED)), None)
    if name is None:
        raise ValueError(f"{folder} holds no published network ({', '.join(NETWORKS)}); train one with --network.")
    content = (folder / NETWORK).read_bytes() if (folder / NETWORK).is_file() else b""
    if hashlib.sha256(content).hexdigest() != card["sha256"]:
        raise ValueError(f"{folder / NETWORK} is not the file of its card (sha256 differs); train it again.")
    network = NETWORKS[name]()
    network.load_state_dict(torch.load(BytesIO(content), weights_only=True))
    return Rival(f"{name} {folder.name}", (1.0,), partial(_apply, network.eval()))


def _apply(
    network: nn.Module,
    counts: NDArray[np.float64],
    mask: NDArray[np.bool_],
    strength: float,  # noqa: ARG001
) -> NDArray[np.float64]:
    return denoised_rate(network, counts, mask)
