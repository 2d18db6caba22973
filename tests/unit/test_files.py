"""Frames in files: every format gives back what was written, and damage is named."""

from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from twotime.errors import DamagedFrames, UnusableRun
from twotime.files import EigerSeries, Multifile, master_geometry, master_of, open_frames, write_multifile
from twotime.simulate import EigerFile
from twotime.xpcs import Geometry

GEOMETRY = Geometry(4.5, 3.25, 2.0, 1.2, 75e-6, 0.01)
FRAMES = np.random.default_rng(0).poisson(0.3, (25, 9, 7)).astype(np.uint16)


def series(folder: Path, frames: np.ndarray = FRAMES, frames_per_file: int = 10) -> Path:
    file = EigerFile(folder, "series", GEOMETRY, frames.shape[1:], frames.dtype, frames_per_file)
    file.append(frames)
    file.close()
    return file.master


def everything(path: Path, start: int = 0, stride: int = 1) -> np.ndarray:
    source = open_frames(path)
    blocks = list(source.blocks(start, source.facts.shape[0], stride))
    return np.concatenate([block for _, block in blocks])


def written(kind: str, folder: Path) -> Path:
    if kind == "eiger":
        return series(folder)
    path = folder / f"frames.{kind}"
    if kind == "cmp":
        write_multifile(path, FRAMES, GEOMETRY)
    elif kind == "npy":
        np.save(path, FRAMES)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["entry/data/data"] = FRAMES
    else:
        path.mkdir()
        image = {"edf": fabio.edfimage.EdfImage, "tif": fabio.tifimage.TifImage}[kind]
        for number, frame in enumerate(FRAMES):
            image(data=frame).write(str(path / f"frame_{number:05d}.{kind}"))
    return path


@pytest.mark.parametrize("kind", ["eiger", "cmp", "npy", "h5", "edf", "tif"])
def test_every_format_gives_back_its_frames(kind: str, tmp_path: Path) -> None:
    path = written(kind, tmp_path)

    assert open_frames(path).facts.shape == FRAMES.shape
    np.testing.assert_array_equal(everything(path), FRAMES)
    np.testing.assert_array_equal(everything(path, start=3, stride=4), FRAMES[3::4])


def test_multifile_is_laid_out_as_the_beamline_reads_it(tmp_path: Path) -> None:
    path = written("cmp", tmp_path)
    content = path.read_bytes()

    assert content[:16] == b"Version-COMP0001"
    assert np.frombuffer(content[16:80], float).tolist() == [3.25, 4.5, 0.01, 2.0, 0.01, 1.2, 75e-6, 75e-6]
    # What the header calls rows are the columns of the image, and the other way round.
    assert np.frombuffer(content[80:108], np.uint32).tolist() == [2, 7, 9, 0, 7, 0, 9]
    count = int(np.frombuffer(content[1024:1028], np.uint32)[0])
    assert count == np.count_nonzero(FRAMES[0])
    np.testing.assert_array_equal(
        np.frombuffer(content[1028 : 1028 + 4 * count], np.int32), np.flatnonzero(FRAMES[0].ravel())
    )


def test_multifile_gives_events_and_its_geometry(tmp_path: Path) -> None:
    source = Multifile(written("cmp", tmp_path))

    events = source.events(range(2, 9))
    assert isinstance(events, sp.csr_array)
    np.testing.assert_array_equal(events.toarray(), FRAMES[2:9].reshape(7, -1))
    found = {name: one.value for name, one in source.facts.geometry.items()}
    assert found == {
        "beam_center_y": 4.5,
        "beam_center_x": 3.25,
        "distance_m": 2.0,
        "wavelength_angstrom": 1.2,
        "pixel_size_m": 75e-6,
        "frame_time_s": 0.01,
    }


@pytest.mark.parametrize("counts", [70_000, 0.5])
def test_multifile_takes_the_width_that_its_values_need(counts: float, tmp_path: Path) -> None:
    frames = np.zeros((2, 3, 4), np.float64 if counts < 1 else np.uint32)
    frames[1, 2, 3] = counts
    write_multifile(tmp_path / "wide.cmp", frames, GEOMETRY)

    np.testing.assert_array_equal(everything(tmp_path / "wide.cmp"), frames)


def test_multifile_cut_short_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = written("cmp", tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UnusableRun, match="ends within frame 24; was it copied while it was written"):
        open_frames(path)
    path.write_bytes(b"something else")
    with pytest.raises(UnusableRun, match="no compressed multifile"):
        open_frames(path)


def test_count_outside_the_detector_is_named_by_its_frame(tmp_path: Path) -> None:
    path = written("cmp", tmp_path)
    content = bytearray(path.read_bytes())
    content[1028:1032] = np.int32(63).tobytes()
    path.write_bytes(content)

    with pytest.raises(DamagedFrames, match=r"frame 0 of .* has counts outside the detector") as caught:
        everything(path)
    assert (caught.value.first, caught.value.stop) == (0, 1)


def test_master_is_found_from_its_data_files_and_tells_the_geometry(tmp_path: Path) -> None:
    master = series(tmp_path)

    assert master_of(tmp_path / "series_data_000002.h5") == master
    assert master_of(tmp_path / "other_data_000002.h5") is None
    found = master_geometry(master)
    assert found["beam_center_x"].value == 3.25
    assert "entry/instrument/detector/beam_center_x" in found["beam_center_x"].source
    assert master_geometry(tmp_path / "series_data_000001.h5") == {}


def test_pixel_mask_of_the_master_leaves_out_whatever_bit_is_set(tmp_path: Path) -> None:
    master = series(tmp_path)
    bits = np.zeros((9, 7), np.uint32)
    bits[0, :5] = [1, 2, 4, 8, 16]
    with h5py.File(master, "a") as file:
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = bits

    mask = EigerSeries(master).pixel_mask()

    assert mask is not None
    np.testing.assert_array_equal(mask, bits == 0)


def test_missing_data_file_is_named_and_the_frames_before_it_are_given(tmp_path: Path) -> None:
    master = series(tmp_path)
    (tmp_path / "series_data_000002.h5").unlink()

    given: list[int] = []
    source = open_frames(master)
    numbers = (number for first, block in source.blocks(0, 25) for number in range(first, first + len(block)))
    with pytest.raises(DamagedFrames, match=r"frame 10 of .*series_data_000002") as caught:
        given.extend(numbers)
    assert caught.value.first == 10
    assert given == list(range(10))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing.npy", "There is no file"),
        ("frames.txt", "is none of the files that hold frames"),
        ("objects.npy", "cannot be read as a NumPy array of numbers"),
        ("flat.npy", r"array of shape \(3,\)"),
        ("noise.h5", "holds no frames at entry/data/data"),
        ("noise_master.h5", "cannot be read as HDF5"),
        ("noise.tif", "cannot be read as an image"),
        ("empty.cmp", "no compressed multifile"),
    ],
)
def test_what_holds_no_frames_is_refused_in_one_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "objects.npy":
        np.save(path, np.array([{}], object), allow_pickle=True)
    elif name == "flat.npy":
        np.save(path, np.arange(3))
    elif name != "nothing.npy":
        path.write_bytes(b"" if name == "empty.cmp" else b"no frames here")

    with pytest.raises(UnusableRun, match=sentence):
        open_frames(path)
