"""Masks and label arrays that recipes name: from the registry of the beamline in Tiled, or from one folder."""

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format
from numpy.typing import NDArray
from tiled.client.array import ArrayClient
from tiled.client.container import Container
from tiled.queries import Eq

from twotime.catalog.runs.run_facts import MOST_PIXELS
from twotime.catalog.server.tiled_client import descend, tiled_errors
from twotime.errors import RecipeError, TiledRefused
from twotime.hdf5 import HDF5File
from twotime.pipeline.protocols import LabelMap
from twotime.settings import Settings

_ARRAYS = (".npy", ".npz")


class MaskLibrary:
    """Implements `twotime.pipeline.Library`.

    Parameters
    ----------
    root : client of the Tiled server; None: only files are read
    settings : uses `masks_path`, `mask_dir` and `memory_gib`
    named : client for label arrays that recipes name by path; None: `root`
    """

    def __init__(self, root: Container | None, settings: Settings, named: Container | None = None) -> None:
        self._root = root
        self._named = root if named is None else named
        self._path = settings.masks_path
        self._folder = settings.mask_dir
        self.budget_bytes = int(settings.memory_gib * 2**30)

    def mask(self, name: str, version: int | None, detector: str) -> tuple[NDArray[np.bool_], int]:
        """A boolean array of the registry with metadata ``spec: mask``, this name and this detector.

        Raises
        ------
        RecipeError
            If there is no registry, or no such mask in it.
        """
        if not self._path or self._root is None:
            raise RecipeError(
                f"masks.registry names {name!r}, but this service knows no registry of masks; "
                "set TWOTIME_MASKS_PATH to its container in Tiled."
            )
        with tiled_errors():
            found = descend(self._root, self._path, "TWOTIME_MASKS_PATH").search(Eq("spec", "mask"))
            named = [node for node in found.search(Eq("name", name)).values() if isinstance(node, ArrayClient)]
        own = {_version(node): node for node in named if _same_detector(node, detector)}
        wanted = max(own, default=None) if version is None else version
        if wanted is None or wanted not in own:
            there = ", ".join(str(number) for number in sorted(own)) or "none"
            asked = "" if version is None else f" of version {version}"
            raise RecipeError(
                f"masks.registry names {name!r}{asked}, but {self._path} holds none for {detector}; "
                f"versions there: {there}."
            )
        _fits("masks.registry", name, own[wanted].shape)
        with tiled_errors():
            return np.asarray(own[wanted].read(), bool), wanted

    def mask_file(self, name: str) -> NDArray[np.bool_]:
        """A ``.npy`` or ``.npz`` file of the folder; False or 0 leaves a pixel out."""
        return _array(self._place(name, "masks.files", _ARRAYS), "masks.files").astype(bool)

    def labels(self, reference: str) -> NDArray[np.int32]:
        """A label array from a file of the folder, or from Tiled where it begins with ``tiled:``."""
        if not reference.startswith("tiled:"):
            return _as_labels(_array(self._place(reference, "rois.array", _ARRAYS), "rois.array"), reference)
        if self._named is None:
            raise RecipeError(f"rois.array is {reference!r}, but there is no Tiled server here; name a file.")
        with tiled_errors():
            try:
                node = descend(self._named, reference.removeprefix("tiled:").strip("/"), "rois.array")
            except TiledRefused as error:
                raise RecipeError(f"rois.array is {reference!r}. {error}") from None
            if not isinstance(node, ArrayClient) or node.ndim != 2:
                raise RecipeError(f"rois.array is {reference!r}, which is no array of rows and columns.")
            _fits("rois.array", reference, node.shape)
            return _as_labels(np.asarray(node.read()), reference)

    def named_labels(self, name: str) -> NDArray[np.int32]:
        """``general_roi_mask_<name>`` of the folder."""
        stem = f"general_roi_mask_{name}"
        files = [self._inside(f"{stem}{suffix}") for suffix in (*_ARRAYS, ".json")]
        file = next((file for file in files if file is not None), None)
        if file is None:
            raise RecipeError(
                f"rois names the ROI mask {name!r}, but there is no {stem}.npy, .npz or .json in "
                f"{self._folder or 'any folder: set TWOTIME_MASK_DIR'} (pickles are not read: loading one runs code)."
            )
        return _as_labels(_array(file, "rois"), file.name)

    def qmap(self, name: str) -> LabelMap:
        """The dynamic bins of an APS qmap file, with their q in 1/Å and, where it has them, angles in degrees."""
        file = self._place(name, "rois.file", (".h5", ".hdf", ".hdf5"))
        try:
            assert self._folder is not None
            with HDF5File(file, [self._folder]) as opened:
                labels = _numbers(opened, "qmap/dynamic_roi_map", name)
                in_file = set(opened.group("qmap"))
                if "mask" in in_file:
                    labels = np.where(_numbers(opened, "qmap/mask", name) != 0, labels, 0)
                lists = [np.ravel(_numbers(opened, f"qmap/dynamic_v_list_dim{axis}", name)) for axis in (0, 1)]
                mapped = "dynamic_index_mapping" in in_file
                place = np.ravel(_numbers(opened, "qmap/dynamic_index_mapping", name)).astype(int) if mapped else None
        except (OSError, KeyError) as error:
            raise RecipeError(f"rois.file is {name!r}, which is no qmap file with dynamic bins ({error}).") from None
        labels = _as_labels(labels, name)
        numbers = np.unique(labels[labels > 0])
        bins = numbers - 1 if place is None else place[numbers - 1]
        q, phi = lists[0][bins // max(1, len(lists[1]))], lists[1][bins % max(1, len(lists[1]))]
        return LabelMap(labels, tuple(float(one) for one in q), tuple(float(one) for one in phi))

    def _place(self, name: str, field: str, suffixes: tuple[str, ...]) -> Path:
        """The file of that name inside the folder; whatever would lead out of it is refused."""
        if self._folder is None:
            raise RecipeError(
                f"{field} names {name!r}, but this service reads no such files; set TWOTIME_MASK_DIR to their folder."
            )
        file = self._inside(name)
        if file is None or file.suffix.lower() not in suffixes:
            raise RecipeError(
                f"{field} is {name!r}, but there is no such {' or '.join(suffixes)} file in the folder of masks."
            )
        return file

    def _inside(self, name: str) -> Path | None:
        """The file of that name, all links followed, if there is one in the folder."""
        if self._folder is None:
            return None
        try:
            file = (self._folder / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # not there, no name of a file, or a link to itself
            return None
        return file if file.is_relative_to(self._folder.resolve()) and file.is_file() else None


def _version(node: Any) -> int:
    try:
        return int(node.metadata.get("version", 0))
    except (TypeError, ValueError):
        return 0


def _same_detector(node: Any, detector: str) -> bool:
    named = str(node.metadata.get("detector", "")).lower().removesuffix("_image")
    return named == detector.lower().removesuffix("_image")


def _numbers(opened: HDF5File, place: str, name: str) -> NDArray[Any]:
    dataset = opened.dataset(place)
    _fits("rois.file", name, dataset.shape)
    return np.asarray(dataset[()])


def _array(file: Path, field: str) -> NDArray[Any]:
    """A numeric array of rows and columns; nothing in the file is ever run."""
    try:
        if file.suffix == ".json":
            loaded = json.loads(file.read_text())
            array = np.asarray(loaded.get("mask", loaded) if isinstance(loaded, dict) else loaded)
        else:
            array = _first_of(file, field) if file.suffix.lower() == ".npz" else format.open_memmap(file, mode="r")
    except (OSError, ValueError, IndexError, EOFError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        raise RecipeError(f"{field}: {file.name} cannot be read as an array of numbers ({error}).") from None
    if array.ndim != 2 or array.dtype.kind not in "buif":
        raise RecipeError(f"{field}: {file.name} holds an array of shape {array.shape}, expected rows and columns.")
    _fits(field, file.name, array.shape)
    return array


def _first_of(file: Path, field: str) -> NDArray[Any]:
    """The first array of an .npz file; its size is checked before it is unpacked."""
    with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as member:
        version = format.read_magic(member)
        read_header = format.read_array_header_1_0 if version == (1, 0) else format.read_array_header_2_0
        shape, _, dtype = read_header(member)
        if dtype.kind not in "buif":
            raise ValueError(f"its first array holds {dtype}")
        _fits(field, file.name, shape)
    with np.load(file, allow_pickle=False) as arrays:
        found: NDArray[Any] = arrays[arrays.files[0]]
    return found


def _fits(field: str, name: str, shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MOST_PIXELS:
        raise RecipeError(f"{field} names {name!r} of shape {shape}; {MOST_PIXELS} pixels are the most of an array.")


def _as_labels(array: NDArray[Any], name: str) -> NDArray[np.int32]:
    labels: NDArray[np.int32] = np.nan_to_num(array).astype(np.int32)
    if not np.array_equal(labels, np.nan_to_num(array)) or labels.min(initial=0) < 0:
        raise RecipeError(f"rois: {name} holds values that are no labels; give 0 off regions, 1, 2, ... on them.")
    return labels
