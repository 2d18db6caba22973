"""HDF5 files that try to show what does not belong to whoever wrote them, or to wear out whoever reads them."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

SHAPE = (12, 20, 24)
SECRET = np.full(SHAPE, 4711, np.uint16)
PLACE = "entry/data/data"


def secret_file(folder: Path) -> Path:
    """A file of frames that lies where nobody may look."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file[PLACE] = SECRET
    return path


def external_link(file: h5py.File, secret: Path) -> None:
    file[PLACE] = h5py.ExternalLink(str(secret), PLACE)


def relative_external_link(file: h5py.File, secret: Path) -> None:
    file[PLACE] = h5py.ExternalLink(os.path.relpath(secret, Path(file.filename).parent), PLACE)


def external_link_above(file: h5py.File, secret: Path) -> None:
    file["entry"] = h5py.ExternalLink(str(secret), "entry")


def soft_link_to_an_external_link(file: h5py.File, secret: Path) -> None:
    file["away"] = h5py.ExternalLink(str(secret), "/")
    file[PLACE] = h5py.SoftLink(f"/away/{PLACE}")


def external_link_by_way_of_the_folder(file: h5py.File, secret: Path) -> None:
    between = Path(file.filename).with_name("between.h5")
    with h5py.File(between, "w") as other:
        other["data"] = h5py.ExternalLink(str(secret), PLACE)
    file[PLACE] = h5py.ExternalLink(between.name, "data")


def external_link_to_a_symbolic_link(file: h5py.File, secret: Path) -> None:
    Path(file.filename).with_name("inside.h5").symlink_to(secret)
    file[PLACE] = h5py.ExternalLink("inside.h5", PLACE)


def virtual_dataset(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(SHAPE, np.uint16)
    layout[:] = h5py.VirtualSource(str(secret), PLACE, SHAPE)
    file.create_virtual_dataset(PLACE, layout)


def virtual_dataset_of_a_link(file: h5py.File, secret: Path) -> None:
    file["away"] = h5py.ExternalLink(str(secret), PLACE)
    layout = h5py.VirtualLayout(SHAPE, np.uint16)
    layout[:] = h5py.VirtualSource(".", "away", SHAPE)
    file.create_virtual_dataset(PLACE, layout)


def virtual_dataset_half_outside(file: h5py.File, secret: Path) -> None:
    file["own"] = np.zeros((6, *SHAPE[1:]), np.uint16)
    layout = h5py.VirtualLayout(SHAPE, np.uint16)
    layout[:6] = h5py.VirtualSource(".", "own", (6, *SHAPE[1:]))
    layout[6:] = h5py.VirtualSource(str(secret), PLACE, SHAPE)[6:]
    file.create_virtual_dataset(PLACE, layout)


def external_storage(file: h5py.File, secret: Path) -> None:
    size = int(np.prod(SHAPE)) * 2
    file.create_dataset(PLACE, SHAPE, np.uint16, external=[(str(secret), 0, size)])


def link_to_a_pipe(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    pipe = Path(file.filename).with_name("pipe")
    os.mkfifo(pipe)
    file[PLACE] = h5py.ExternalLink("pipe", PLACE)


def link_to_itself(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    file[PLACE] = h5py.SoftLink(f"/{PLACE}")


def links_in_a_circle(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    name = Path(file.filename).name
    file[PLACE] = h5py.ExternalLink(name, "there")
    file["there"] = h5py.ExternalLink(name, PLACE)


def huge_chunk(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    side = 30_000  # 1.8 GB of zeros, compressed to some kilobytes
    file.create_dataset(PLACE, (1, side, side), np.uint16, chunks=(1, side, side), compression="gzip", fillvalue=1)


def huge_frames(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    file.create_dataset(PLACE, (12, 10**6, 10**6), np.uint16, chunks=(1, 100, 100))


def references(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    file[PLACE] = np.full(SHAPE, file.ref, h5py.ref_dtype)


def objects(file: h5py.File, secret: Path) -> None:  # noqa: ARG001
    file.create_dataset(PLACE, SHAPE, h5py.vlen_dtype(np.uint8))


OUTSIDE: tuple[Callable[[h5py.File, Path], None], ...] = (
    external_link,
    relative_external_link,
    external_link_above,
    soft_link_to_an_external_link,
    external_link_by_way_of_the_folder,
    external_link_to_a_symbolic_link,
    virtual_dataset,
    virtual_dataset_of_a_link,
    virtual_dataset_half_outside,
    external_storage,
)
"""Those that lead outside; they do show the secret where nobody takes care."""
WEARING: tuple[Callable[[h5py.File, Path], None], ...] = (
    link_to_a_pipe,
    link_to_itself,
    links_in_a_circle,
    huge_chunk,
    huge_frames,
    references,
    objects,
)
"""Those that wear out."""


def written(make: Callable[[h5py.File, Path], None], path: Path, secret: Path) -> Path:
    """A hostile file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        make(file, secret)
    return path
