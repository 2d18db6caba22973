"""Detector files behind an array in Tiled, as paths on this machine, and the cache of their ROI pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from tiled.utils import path_from_uri

from twotime.catalog.server.tiled_client import tiled_errors
from twotime.files import master_of
from twotime.files.pixel_cache import PixelCache
from twotime.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True)
class DataFile:
    """One HDF5 file and the dataset in it that holds frames (..., H, W)."""

    path: Path
    dataset: str


def reachable_files(node: Any, path_map: Mapping[str, str], folders: Sequence[Path]) -> list[DataFile]:
    """The HDF5 files behind an array, in order; empty if they are of another kind or cannot be opened here.

    Parameters
    ----------
    node : client of an array in Tiled
    path_map : prefixes of file paths on Tiled's machine, and the prefixes here
    folders : only files below these are opened, because anybody who writes runs can name any file of this machine
    """
    with tiled_errors():
        sources = node.include_data_sources().data_sources() or []
    if len(sources) != 1 or "hdf5" not in sources[0].mimetype:
        return []
    dataset = sources[0].parameters.get("dataset")
    if not dataset:
        return []
    name = "/".join(dataset) if isinstance(dataset, list | tuple) else str(dataset)
    files = [_within(path, folders) for path in _assets(sources[0], path_map)]
    known = [DataFile(file, name) for file in files if file is not None and file.is_file()]
    return known if len(known) == len(files) else []


def master_file(node: Any, path_map: Mapping[str, str], folders: Sequence[Path]) -> Path | None:
    """The master file of the detector beside the files of an array; None if there is none or it cannot be opened."""
    with tiled_errors():
        sources = node.include_data_sources().data_sources() or []
    assets = (path for source in sources for path in _assets(source, path_map))
    masters = (master_of(path) for path in assets if _within(path.parent, folders) is not None)
    return next((_within(master, folders) for master in masters if master is not None), None)


def pixel_cache(settings: Settings) -> PixelCache:
    """The cache of ROI pixels of recent runs."""
    return PixelCache(settings.var_dir / "pixels", int(settings.cache_gib * 2**30))


def _assets(source: Any, path_map: Mapping[str, str]) -> list[Path]:
    assets = sorted(source.assets, key=lambda asset: asset.num or 0)
    return [_here(path_from_uri(asset.data_uri), path_map) for asset in assets if _is_local(asset.data_uri)]


def _is_local(uri: str) -> bool:
    """Whether a URI names a file of this machine."""
    parts = urlsplit(uri)
    return parts.scheme == "file" and parts.netloc in ("", "localhost")


def _within(path: Path, folders: Sequence[Path]) -> Path | None:
    """The path with all links resolved, if it exists and is below one of the folders; else None."""
    try:
        found = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # not there, not a path, or a link to itself
        return None
    if any(found.is_relative_to(folder.resolve()) for folder in folders):
        return found
    _warn_once(str(found if found.is_dir() else found.parent))
    return None


@lru_cache(maxsize=1000)
def _warn_once(folder: str) -> None:
    log.warning("files_not_read_in_place", folder=folder, remedy="name it in TWOTIME_DETECTOR_DIRS")


def _here(path: Any, path_map: Mapping[str, str]) -> Path:
    text = str(path)
    for there, here in path_map.items():
        if text == there or text.startswith(there.rstrip("/") + "/"):
            return Path(here.rstrip("/") + text[len(there.rstrip("/")) :])
    return Path(text)
