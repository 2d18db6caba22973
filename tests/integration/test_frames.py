"""Frames come out right and in order, in place and over HTTP, whatever way the run divides them."""

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from event_model import StreamRange, compose_run

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.errors import UnusableRun
from twotime.files import series
from twotime.simulate import read_frames_file, write_run
from twotime.xpcs.orientation import oriented
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(10.0, 12.0, 5.0, 1.24, 75e-6, 0.01)
N, H, W = 47, 20, 24
FRAMES = np.random.default_rng(7).integers(0, 60000, (N, H, W), np.uint16)
ROUTES = {"file": True, "http": False}


def source(raw, uid, *, direct, path_map=None, folders=(Path("/"),)):
    run = find_run(raw, uid)
    return TiledFrames(run, run_facts(run), direct=direct, path_map=path_map or {}, folders=folders)


def read(frames, *span):
    """All blocks as one array, and the number of the first frame of each."""
    firsts, blocks = zip(*frames.blocks(*span), strict=True)
    return oriented(np.concatenate(blocks), frames.facts.orientation), firsts


@pytest.fixture
def small_blocks(monkeypatch):
    """Seven frames to a block, so that these short scans take several."""
    monkeypatch.setattr(series, "BLOCK_BYTES", 7 * H * W * 2)
    monkeypatch.setattr(series, "PACKED_BLOCKS", 1)


def write_collected(raw, folder, per_event):
    """A run of (E, m, H, W): `per_event` frames are collected for each event, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "collected.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = FRAMES[: N // per_event * per_event]
    writer = TiledWriter(raw, batch_size=1)
    run = compose_run()
    writer("start", run.start_doc)
    key = {"source": "test", "dtype": "array", "shape": [per_event, H, W], "external": "STREAM:"}
    stream = run.compose_descriptor(name="primary", data_keys={"eiger_image": key | {"dtype_numpy": "<u2"}})
    writer("descriptor", stream.descriptor_doc)
    resource = run.compose_stream_resource(
        mimetype="application/x-hdf5",
        uri=f"file://localhost{path}",
        data_key="eiger_image",
        parameters={"dataset": "entry/data/data", "chunk_shape": (1, H, W)},
    )
    writer("stream_resource", resource.stream_resource_doc)
    count = N // per_event
    writer(
        "stream_datum",
        resource.compose_stream_datum(
            StreamRange(start=1, stop=count + 1), StreamRange(start=0, stop=count), stream.descriptor_doc
        ),
    )
    writer("stop", run.compose_stop())
    return run.start_doc["uid"]


@pytest.fixture(scope="module")
def runs(raw, detector_folder):
    """Uids of the same frames in every layout."""
    folder = detector_folder / "layouts"
    many = {"frames_per_file": 10}
    return {
        "(1, N, H, W)": write_run(raw, FRAMES, GEOMETRY, folder, shape_style="burst"),
        "(N, H, W)": write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames"),
        "(N, H, W) in five files": write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames", **many),
        "(N, 1, H, W)": write_run(raw, FRAMES, GEOMETRY, folder, shape_style="events"),
        "(N, 1, H, W) in five files": write_run(raw, FRAMES, GEOMETRY, folder, shape_style="events", **many),
        "(E, m, H, W)": write_collected(raw, folder, 5),
    }


@pytest.mark.parametrize("layout", ["(1, N, H, W)", "(N, H, W)", "(N, 1, H, W)", "(E, m, H, W)"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.usefixtures("small_blocks")
def test_pixels_and_order_of_frames_survive_every_layout(raw, runs, layout, route):
    frames = source(raw, runs[layout], direct=ROUTES[route])
    n_frames = frames.facts.shape[0]

    got, firsts = read(frames, 0, n_frames)

    assert frames.route == route
    assert frames.facts.shape == (45 if layout == "(E, m, H, W)" else N, H, W)
    assert got.dtype == frames.dtype == np.uint16
    assert firsts == tuple(range(0, n_frames, 7))
    np.testing.assert_array_equal(got, FRAMES[:n_frames])


@pytest.mark.parametrize("layout", ["(N, H, W) in five files", "(N, 1, H, W) in five files"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.usefixtures("small_blocks")
def test_several_files_read_as_one_scan(raw, runs, layout, route):
    got, _ = read(source(raw, runs[layout], direct=ROUTES[route]), 3, 45)

    np.testing.assert_array_equal(got, FRAMES[3:45])


@pytest.mark.parametrize("layout", ["(1, N, H, W)", "(N, H, W) in five files", "(N, 1, H, W)", "(E, m, H, W)"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("span", [(0, 45, 2), (3, 44, 3), (1, 40, 13), (44, 45, 1)])
@pytest.mark.usefixtures("small_blocks")
def test_every_nth_frame_of_a_range(raw, runs, layout, route, span):
    got, firsts = read(source(raw, runs[layout], direct=ROUTES[route]), *span)

    np.testing.assert_array_equal(got, FRAMES[slice(*span)])
    assert firsts[0] == span[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.float32])
def test_bit_depth_of_the_detector_is_kept(raw, detector_folder, dtype):
    counts = FRAMES.astype(dtype)[:5]
    uid = write_run(raw, counts, GEOMETRY, detector_folder / "depth", shape_style="frames")

    for direct in (True, False):
        got, _ = read(source(raw, uid, direct=direct), 0, 5)
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, counts)


def test_files_elsewhere_are_found_by_the_path_map(raw, detector_folder, tmp_path):
    there, here = detector_folder / "there", tmp_path / "here"
    uid = write_run(raw, FRAMES, GEOMETRY, there, shape_style="frames")
    there.rename(here)

    mapped = source(raw, uid, direct=True, path_map={str(there): str(here)})

    assert mapped.route == "file"
    np.testing.assert_array_equal(read(mapped, 0, N)[0], FRAMES)
    assert source(raw, uid, direct=True).route == "http"


def shortened(raw, folder, layout):
    """A run whose file holds 30 of the 47 frames that its documents announce."""
    uid = write_run(raw, FRAMES, GEOMETRY, folder, shape_style=layout)
    (path,) = folder.glob("*_data_000001.h5")
    with h5py.File(path, "r+", libver="latest") as file:
        file["entry/data/data"].resize(30, axis=0)
    return uid


@pytest.mark.parametrize("layout", ["burst", "frames", "events"])
@pytest.mark.parametrize("route", ROUTES)
def test_file_shorter_than_announced_is_said_in_a_sentence(raw, detector_folder, layout, route):
    uid = shortened(raw, detector_folder / f"short_{layout}_{route}", layout)
    began = time.monotonic()

    with pytest.raises(UnusableRun, match=rf"{uid[:8]}.*frames") as caught:
        read(source(raw, uid, direct=ROUTES[route]), 0, N)

    assert str(caught.value).endswith(".")
    assert time.monotonic() - began < 30


def test_frames_that_are_there_are_read_from_a_file_cut_short(raw, detector_folder):
    uid = shortened(raw, detector_folder / "short_but_enough", "frames")

    np.testing.assert_array_equal(read(source(raw, uid, direct=True), 0, 30)[0], FRAMES[:30])


def test_damaged_file_is_said_in_a_sentence(raw, detector_folder):
    folder = detector_folder / "damaged"
    uid = write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames")
    (path,) = folder.glob("*_data_000001.h5")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)

    with pytest.raises(UnusableRun, match=f"{path.name} cannot be read .*truncated file"):
        read(source(raw, uid, direct=True), 0, N)


def test_file_that_still_grows_can_be_read(raw, detector_folder):
    """SWMR: the writer holds the file open."""
    folder = detector_folder / "growing"
    uid = write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames")
    (path,) = folder.glob("*_data_000001.h5")

    with h5py.File(path, "r+", libver="latest", locking=False) as writer:
        writer.swmr_mode = True
        np.testing.assert_array_equal(read(source(raw, uid, direct=True), 0, N)[0], FRAMES)


def test_measured_frames_are_the_same_both_ways(raw, measured_data, detector_folder):
    measured, geometry = read_frames_file(measured_data / "id10_maxipix_frames.h5")
    measured = measured[:200]
    uid = write_run(raw, measured, geometry, detector_folder / "measured", shape_style="burst")

    for direct in (True, False):
        np.testing.assert_array_equal(read(source(raw, uid, direct=direct), 0, len(measured))[0], measured)
