"""HDF5 files that others wrote: nothing in them leads to a file outside the folders that are allowed.

An external link, a virtual dataset or external storage has HDF5 open any file that this process can read. Links and
virtual datasets are therefore followed here, a step at a time; HDF5 itself never meets one.
"""

import math
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the compressions that detectors write
import numpy as np
from h5py import h5d, h5l, h5o, h5s

MOST_BYTES = 2**30
"""Of one frame or one chunk, unpacked: a small file can hold a chunk that fills all memory."""
LONGEST_CHAIN = 16
"""Links one after the other: a link may lead to itself."""
MOST_NODES = 100_000
"""Objects of a file that are looked at one by one."""


class LeadsOutside(OSError):
    """Something in a file leads to another one that is not to be opened, or in a circle."""


class HDF5File:
    """An HDF5 file and those that it links to; a context manager.

    Parameters
    ----------
    path : also of a file that its detector is still writing
    folders : files are opened below these alone; none: below the folder of `path`

    Raises
    ------
    LeadsOutside
        If `path` itself leads outside `folders`.
    OSError
        If it is no HDF5 file, or was cut short.
    """

    def __init__(self, path: Path, folders: Sequence[Path] = ()) -> None:
        self._folders = [folder.resolve() for folder in folders] or [path.resolve().parent]
        self._opened: list[tuple[Path, h5py.File]] = []
        self._path, self._file = self._open(path)

    def __enter__(self) -> "HDF5File":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for _, file in reversed(self._opened):
            file.close()
        self._opened = []

    def group(self, place: str) -> h5py.Group:
        """The group at a place; raises KeyError where there is none, LeadsOutside as `dataset` does."""
        with _as_os_errors():
            node, _, _ = self._follow(self._file, self._path, place, LONGEST_CHAIN)
        if not isinstance(node, h5py.Group):
            raise KeyError(f"{place} is no group")
        return node

    def dataset(self, place: str) -> h5py.Dataset:
        """The dataset of numbers at a place.

        Raises
        ------
        KeyError
            If there is none.
        LeadsOutside
            If a link on the way leads outside the folders, or its values lie in other files.
        OSError
            If a file on the way cannot be opened, or a chunk is larger than `MOST_BYTES`.
        """
        with _as_os_errors():
            (found,) = self._datasets(self._file, self._path, place, LONGEST_CHAIN, virtual=False)
        return found

    def frames(self, place: str) -> list[h5py.Dataset]:
        """The datasets (..., H, W) that hold the frames at a place: one, or the sources of a virtual one, in order.

        Raises
        ------
        KeyError, LeadsOutside, OSError
            As `dataset`; OSError also if a virtual dataset does not consist of whole datasets in a row.
        """
        with _as_os_errors():
            found = self._datasets(self._file, self._path, place, LONGEST_CHAIN, virtual=True)
        for dataset in found:
            if dataset.ndim < 3:
                raise KeyError(f"{place} has shape {dataset.shape}, which are no frames")
            _bounded(dataset, place, dataset.shape[-2:])
        return found

    def path_of(self, dataset: h5py.Dataset) -> Path:
        """The file that a dataset of `frames` lies in."""
        number = dataset.file.id.id
        return next((path for path, file in self._opened if file.id.id == number), self._path)

    def check(self, place: str = "/") -> None:
        """See that nothing at a place or below it leads outside; what is broken is left alone.

        Raises
        ------
        LeadsOutside
            If something does.
        OSError
            If a group is its own part, a chunk is larger than `MOST_BYTES`, or there are more objects than
            `MOST_NODES`.
        """
        with _as_os_errors():
            self._check_below(self._file, self._path, place, (), [MOST_NODES])

    def _check_below(
        self, file: h5py.File, path: Path, place: str, above: tuple[tuple[int, int], ...], left: list[int]
    ) -> None:
        open_before = len(self._opened)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(f"{self._path} holds more than {MOST_NODES} objects")
        try:
            node, file, path = self._follow(file, path, place, LONGEST_CHAIN)
        except LeadsOutside:
            raise
        except (OSError, KeyError):
            return
        if isinstance(node, h5py.Group):
            info = h5o.get_info(node.id)
            own = (int(info.fileno), int(info.addr))
            if own in above:
                raise OSError(f"{place} leads back to itself")
            for name in node:
                self._check_below(file, path, f"{node.name}/{name}", (*above, own), left)
        elif isinstance(node, h5py.Dataset):
            self._check_storage(node, place)
            for source in node.virtual_sources() if node.is_virtual else ():
                other = (file, path) if source.file_name == "." else self._open(path.parent / source.file_name)[::-1]
                self._check_below(*other, source.dset_name, above, left)
        for _, opened in self._opened[open_before:]:
            opened.close()
        del self._opened[open_before:]

    def _check_storage(self, dataset: h5py.Dataset, place: str) -> None:
        plan = dataset.id.get_create_plist()
        if plan.get_layout() == h5d.CONTIGUOUS and plan.get_external_count():
            raise LeadsOutside(f"{place} keeps its values in other files, which are not opened")
        _bounded(dataset, place, dataset.chunks or ())

    def _open(self, path: Path) -> tuple[Path, h5py.File]:
        """Open once and look at what was opened: a name may lead elsewhere a moment later."""
        real = path.resolve()
        self._check(path, real)
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LeadsOutside(f"{path} is no file")  # To open a pipe is to wait for whoever writes into it.
            held = Path(f"/proc/self/fd/{descriptor}")
            if held.exists():
                self._check(path, held.resolve())
                file = _open_hdf5(held)
            else:  # not Linux
                file = _open_hdf5(real)
        finally:
            os.close(descriptor)
        self._opened.append((real, file))
        return real, file

    def _check(self, path: Path, real: Path) -> None:
        if not any(real.is_relative_to(folder) for folder in self._folders):
            raise LeadsOutside(
                f"{path} lies outside {' and '.join(map(str, self._folders))}; files elsewhere are opened only below "
                "the folders of TWOTIME_DETECTOR_DIRS"
            )

    def _follow(self, file: h5py.File, path: Path, place: str, left: int) -> tuple[Any, h5py.File, Path]:
        """The object at a place, with the file that it lies in."""
        if left == 0:
            raise LeadsOutside(f"{place} is behind more than {LONGEST_CHAIN} links, one after the other")
        node: Any = file
        names = [name for name in place.split("/") if name not in ("", ".")]
        for number, name in enumerate(names):
            if not isinstance(node, h5py.Group):
                raise KeyError(f"{place} does not exist")
            if not node.id.links.exists(name.encode()):
                raise KeyError(f"{place} does not exist")
            kind = node.id.links.get_info(name.encode()).type
            if kind == h5l.TYPE_HARD:
                node = node[name]
                continue
            rest = "/".join(names[number + 1 :])
            if kind == h5l.TYPE_SOFT:
                target = os.fsdecode(node.id.links.get_val(name.encode()))
                start = "" if target.startswith("/") else str(node.name)
                return self._follow(file, path, f"{start}/{target}/{rest}", left - 1)
            if kind == h5l.TYPE_EXTERNAL:
                there, target = map(os.fsdecode, node.id.links.get_val(name.encode()))
                other_path, other = self._open(path.parent / there)
                return self._follow(other, other_path, f"{target}/{rest}", left - 1)
            raise LeadsOutside(f"{place} is behind a link of an unknown kind")
        return node, file, path

    def _datasets(self, file: h5py.File, path: Path, place: str, left: int, *, virtual: bool) -> list[h5py.Dataset]:
        node, file, path = self._follow(file, path, place, left)
        if not isinstance(node, h5py.Dataset):
            raise KeyError(f"{place} is no dataset")
        try:
            kind = node.dtype.kind
        except TypeError:  # a type that NumPy does not have
            kind = ""
        if kind not in ("b", "i", "u", "f"):
            raise KeyError(f"{place} holds no numbers")
        self._check_storage(node, place)
        if node.is_virtual:
            if not virtual:
                raise LeadsOutside(f"{place} is a virtual dataset, which is not read here")
            return self._sources(node, file, path, place, left)
        return [node]

    def _sources(self, dataset: h5py.Dataset, file: h5py.File, path: Path, place: str, left: int) -> list[h5py.Dataset]:
        """The datasets that a virtual one (N, H, W) shows one after the other."""
        found: list[tuple[int, h5py.Dataset]] = []
        for source in dataset.virtual_sources():
            first, last = source.vspace.get_select_bounds()
            if source.file_name == ".":
                own = self._datasets(file, path, source.dset_name, left - 1, virtual=True)
            else:
                other_path, other = self._open(path.parent / source.file_name)
                own = self._datasets(other, other_path, source.dset_name, left - 1, virtual=True)
            shown = (last[0] - first[0] + 1, *dataset.shape[1:])
            there = sum(one.shape[0] for one in own)
            alike = all(one.shape[1:] == dataset.shape[1:] and one.dtype == dataset.dtype for one in own)
            selected = source.src_space.get_select_type() != h5s.SEL_ALL and source.src_space.get_select_npoints()
            whole = source.vspace.get_select_npoints() == math.prod(shown) and selected in (False, math.prod(shown))
            if not (alike and whole and there == shown[0]):
                break
            found += [(first[0], one) for one in own]
        found.sort(key=lambda one: one[0])
        starts = [start for start, _ in found]
        lengths = [one.shape[0] for _, one in found]
        if sum(lengths) != dataset.shape[0] or starts != sorted(
            {int(start) for start in np.cumsum([0, *lengths[:-1]])}
        ):
            raise OSError(f"{place} is a virtual dataset of another kind than whole datasets in a row")
        return [one for _, one in found]


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Whatever h5py makes of a damaged file is an OSError."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        raise OSError(str(error)) from error


def _open_hdf5(path: Path) -> h5py.File:
    """Open a file, also one that its detector is still writing (SWMR).

    Only a file that is being written is opened for reading beside its writer: of a truncated one HDF5 would then ask
    for the missing part again and again, without end.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "already open" not in str(error):
            raise
    return h5py.File(path, "r", locking=False, swmr=True)


def _bounded(dataset: h5py.Dataset, place: str, shape: tuple[int, ...]) -> None:
    size = math.prod(shape) * dataset.dtype.itemsize
    if size > MOST_BYTES:
        raise OSError(f"{place} has pieces of {size} bytes, more than the {MOST_BYTES} that are read at once")
