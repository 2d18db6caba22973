"""Versions of the network on disk: a folder with `network.pt` and the `card.json` that describes and vouches for it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from frame_denoiser.network import Architecture, FrameNetwork

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = "v1"
NETWORK, CARD = "network.pt", "card.json"
PUBLISHED = "published_network"
"""Field of the card of a network that is there for comparison alone."""


def read_version(version_or_folder: str | Path | None = None) -> tuple[FrameNetwork, dict[str, Any]]:
    """Network and card of a version.

    Parameters
    ----------
    version_or_folder : name of a shipped version, or a folder that training wrote; None: the shipped one

    Raises
    ------
    ValueError
        If there is no such version, or its weights are not those of its card.

    Notes
    -----
    The name of a version outside the package ends with the beginning of the checksum of its weights, since names given
    elsewhere may repeat. Nothing but tensors is unpickled.
    """
    name = SHIPPED if version_or_folder is None else version_or_folder
    shipped = sorted(folder.name for folder in WEIGHTS.iterdir() if (folder / CARD).is_file())
    folder = WEIGHTS / name if str(name) in shipped else Path(name)
    if not (folder / CARD).is_file():
        raise ValueError(
            f"version_or_folder is {str(name)!r}, expected one of {', '.join(shipped)} or a folder that "
            "twotime frames train wrote."
        )
    card: dict[str, Any] = json.loads((folder / CARD).read_text())
    if PUBLISHED in card:
        raise ValueError(
            f"{folder} holds the published network {card[PUBLISHED]}, which gives no errors and keeps no counts; it is "
            "there for comparison: twotime frames evaluate --rival."
        )
    content = (folder / NETWORK).read_bytes() if (folder / NETWORK).is_file() else b""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != card["sha256"]:
        raise ValueError(f"{folder / NETWORK} is not the file of its card (sha256 differs); train or install it again.")
    if folder.parent != WEIGHTS:
        card["version"] = f"{card['version']}+{sha256[:8]}"
    network = FrameNetwork(Architecture(tuple(card["architecture"]["channels"])))
    network.load_state_dict(torch.load(BytesIO(content), weights_only=True))
    return network.eval(), card


def write_version(folder: Path, network: FrameNetwork, card: Mapping[str, Any]) -> None:
    """Write a network and its card into a folder; architecture and checksum are added to the card."""
    folder.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    # Contiguous, so that the file does not depend on how training laid out its memory.
    torch.save({name: value.contiguous() for name, value in network.state_dict().items()}, content)
    (folder / NETWORK).write_bytes(content.getvalue())
    described = {
        "version": folder.name,
        "architecture": asdict(network.architecture),
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        **card,
    }
    write_card(folder, described)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write the card of a version."""
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n")
