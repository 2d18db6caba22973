"""Where files lie, seen from here: those behind an array in Tiled, and the pixels kept of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiled.utils import path_from_uri

from twotime.catalog.client import tiled_errors
from twotime.files import master_of
from twotime.files.pixel_cache import PixelCache
from twotime.settings import Settings


@dataclass(frozen=True)
class DataFile:
    """One HDF5 file and the dataset in it that holds frames (..., H, W)."""

    path: Path
    dataset: str


def reachable_files(node: Any, path_map: Mapping[str, str]) -> list[DataFile]:
    """The HDF5 files behind an array, in order; empty where they are of another kind or out of reach.

    Parameters
    ----------
    node : client of an array in Tiled
    path_map : prefixes of file paths as Tiled names them, and where they are here
    """
    with tiled_errors():
        sources = node.include_data_sources().data_sources() or []
    if len(sources) != 1 or "hdf5" not in sources[0].mimetype:
        return []
    dataset = sources[0].parameters.get("dataset")
    if not dataset:
        return []
    name = "/".join(dataset) if isinstance(dataset, list | tuple) else str(dataset)
    files = [DataFile(path, name) for path in _assets(sources[0], path_map)]
    return files if files and all(file.path.is_file() for file in files) else []


def master_file(node: Any, path_map: Mapping[str, str]) -> Path | None:
    """The detector's own master file beside the files of an array; None where there is none or it is out of reach."""
    with tiled_errors():
        sources = node.include_data_sources().data_sources() or []
    masters = (master_of(path) for source in sources for path in _assets(source, path_map))
    return next((master for master in masters if master is not None), None)


def pixel_cache(settings: Settings) -> PixelCache:
    """The pixels kept of the last runs."""
    return PixelCache(settings.var_dir / "pixels", int(settings.cache_gib * 2**30))


def _assets(source: Any, path_map: Mapping[str, str]) -> list[Path]:
    assets = sorted(source.assets, key=lambda asset: asset.num or 0)
    return [_here(path_from_uri(asset.data_uri), path_map) for asset in assets if asset.data_uri.startswith("file:")]


def _here(path: Any, path_map: Mapping[str, str]) -> Path:
    text = str(path)
    for there, here in path_map.items():
        if text == there or text.startswith(there.rstrip("/") + "/"):
            return Path(here.rstrip("/") + text[len(there.rstrip("/")) :])
    return Path(text)
