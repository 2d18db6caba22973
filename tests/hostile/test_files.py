"""Files that others wrote show nothing of what lies outside the folders that a site allows, and wear nobody out."""

import io
import resource
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from tests.hostile.hdf5_files import (
    OUTSIDE,
    PLACE,
    SECRET,
    SHAPE,
    WEARING,
    huge_frames,
    objects,
    references,
    secret_file,
    written,
)

from twotime.catalog.runs.detector_files import reachable_files
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.run_facts import find_image, run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.errors import RecipeError, TwotimeError, UnusableRun
from twotime.files import EigerSeries, open_frames
from twotime.hdf5 import HDF5File, LeadsOutside
from twotime.settings import Settings
from twotime.simulate import EigerFile, write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(10.0, 12.0, 5.0, 1.24, 75e-6, 0.01)
FRAMES = np.random.default_rng(7).integers(0, 60, SHAPE, np.uint16)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    return secret_file(tmp_path / "secrets")


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("make", OUTSIDE)
def test_hdf5_alone_would_show_the_secret(make: Any, allowed: Path, secret: Path) -> None:
    path = written(make, allowed / "frames.h5", secret)

    with h5py.File(path, "r") as file:
        shown = file[PLACE][-1]

    assert (shown == 4711).all() or make.__name__ == "external_storage"


@pytest.mark.parametrize("make", OUTSIDE)
def test_frames_behind_the_folder_are_not_opened(make: Any, allowed: Path, secret: Path) -> None:
    path = written(make, allowed / "frames.h5", secret)

    with HDF5File(path, [allowed]) as file, pytest.raises(LeadsOutside):
        file.frames(PLACE)
    with HDF5File(path, [allowed]) as file, pytest.raises(LeadsOutside):
        file.check()
    with pytest.raises(UnusableRun, match=r"lies outside|in other files"):
        open_frames(path)


def test_a_secret_that_does_not_exist_is_refused_in_the_same_words(allowed: Path, secret: Path) -> None:
    words = []
    for name in ("secret.h5", "nothing.h5"):
        path = written(OUTSIDE[0], allowed / f"to_{name}", secret.with_name(name))
        with pytest.raises(UnusableRun) as caught:
            open_frames(path)
        words.append(str(caught.value).replace(name, ""))

    assert words[0] == words[1]


def test_master_of_an_eiger_leads_to_its_data_files_and_no_others(allowed: Path, secret: Path) -> None:
    file = EigerFile(allowed, "series", GEOMETRY, SHAPE[1:], np.dtype(np.uint16), 6)
    file.append(FRAMES)
    file.close()
    np.testing.assert_array_equal(EigerSeries(file.master).read(range(12)), FRAMES)

    with h5py.File(file.master, "a") as master:
        del master["entry/data/data_000002"]
        master["entry/data/data_000002"] = h5py.ExternalLink(str(secret), PLACE)

    with pytest.raises(UnusableRun, match="lies outside"):
        EigerSeries(file.master)
    assert EigerSeries(file.master, folders=[secret.parent]).facts.shape == (18, 20, 24)


def test_virtual_dataset_of_whole_files_is_read_from_them(allowed: Path) -> None:
    layout = h5py.VirtualLayout(SHAPE, np.uint16)
    for number in range(2):
        with h5py.File(allowed / f"part_{number}.h5", "w") as file:
            file["data"] = FRAMES[6 * number : 6 * number + 6]
        layout[6 * number : 6 * number + 6] = h5py.VirtualSource(f"part_{number}.h5", "data", (6, *SHAPE[1:]))
    with h5py.File(allowed / "whole.h5", "w") as file:
        file.create_virtual_dataset(PLACE, layout)

    source = open_frames(allowed / "whole.h5")

    np.testing.assert_array_equal(np.concatenate([block for _, block in source.blocks(1, 12, 2)]), FRAMES[1::2])


@pytest.mark.parametrize("make", WEARING)
def test_what_wears_out_is_refused_at_once(make: Any, allowed: Path, secret: Path) -> None:
    path = written(make, allowed / "frames.h5", secret)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(UnusableRun):
        open_frames(path)

    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_file_that_is_exchanged_while_it_is_opened_shows_nothing(allowed: Path, secret: Path) -> None:
    good = allowed / "good.h5"
    with h5py.File(good, "w") as file:
        file[PLACE] = FRAMES
    path, draft = allowed / "frames.h5", allowed / "draft"
    path.symlink_to(good)
    stop = threading.Event()

    def exchange() -> None:
        targets = [secret, good]
        while not stop.is_set():
            draft.symlink_to(targets[0])
            draft.rename(path)
            targets.reverse()

    thread = threading.Thread(target=exchange)
    thread.start()
    opened = refused = 0
    try:
        for _ in range(2000):
            try:
                with HDF5File(path, [allowed]) as file:
                    assert not (file.dataset(PLACE)[0] == SECRET[0]).all()
                    opened += 1
            except LeadsOutside:
                refused += 1
    finally:
        stop.set()
        thread.join()

    assert opened > 0
    assert refused > 0


@pytest.mark.parametrize("make", [*OUTSIDE, *WEARING])
def test_run_in_tiled_shows_nothing_in_place_nor_over_http(
    make: Any, raw: Any, detector_folder: Path, tmp_path: Path, secret: Path
) -> None:
    folder = detector_folder / tmp_path.name
    run = find_run(raw, write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames"))
    facts = run_facts(run, folders=[folder])
    (file,) = reachable_files(find_image(run).node, {}, [folder])
    written(lambda hdf5, there: make(hdf5, there), file.path, secret)
    with h5py.File(file.path, "a") as hdf5:
        if file.dataset.strip("/") != PLACE:
            hdf5[file.dataset] = h5py.SoftLink(f"/{PLACE}")

    sources = [TiledFrames(run, facts, folders=[folder])]
    if make not in (huge_frames, references, objects):  # Tiled fails at these, which its client takes for a moment's.
        sources.append(TiledFrames(run, facts, direct=False))
    for source in sources:
        with pytest.raises((TwotimeError, OSError, KeyError)) as caught:
            list(source.blocks(0, 12))
        assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "file://elsewhere/{path}",
        "http://localhost/{path}",
        "file://localhost/{folder}/%2e%2e/secrets/secret.h5",
        "file://localhost/{folder}/../secrets/secret.h5",
        "file://localhost/{folder}/%00",
    ],
)
def test_address_that_names_no_file_of_the_folder_is_not_read_in_place(uri: str, allowed: Path, secret: Path) -> None:
    class Node:
        """What a client shows of an array whose data source somebody wrote by hand."""

        def include_data_sources(self) -> "Node":
            return self

        def data_sources(self) -> list[Any]:
            from tiled.structures.data_source import Asset, DataSource, Management

            asset = Asset(data_uri=uri.format(path=secret, folder=allowed), is_directory=False, parameter="data_uris")
            parameters = {"dataset": PLACE}
            return [
                DataSource(
                    "array",
                    None,
                    mimetype="application/x-hdf5",
                    parameters=parameters,
                    assets=[asset],
                    management=Management.external,
                )
            ]

    assert reachable_files(Node(), {}, [allowed]) == []


def zip_bomb(path: Path) -> None:
    """An array of 80 GB of zeros that its header announces, in a file of some bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (100_000, 100_000)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mask.npy", header.getvalue())


def torn(path: Path) -> None:
    zip_bomb(path)
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    path.touch()


def pickled(path: Path) -> None:
    np.savez(path, mask=np.array([{}], object))


@pytest.mark.parametrize("make", [zip_bomb, torn, empty, pickled])
def test_mask_that_wears_out_is_refused_at_once(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "mask.npz")
    library = MaskLibrary(None, Settings(mask_dir=tmp_path))
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RecipeError, match=r"mask\.npz"):
        library.mask_file("mask.npz")

    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_nested_mask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "general_roi_mask_deep.json").write_text("[" * 200_000)

    with pytest.raises(RecipeError):
        MaskLibrary(None, Settings(mask_dir=tmp_path)).named_labels("deep")
