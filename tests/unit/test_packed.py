"""Frames that stay packed: the same counts as unpacked ones, and damage that is found before it does any harm."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twotime.errors import DamagedFrames
from twotime.files import EigerSeries
from twotime.files.chunks import FrameBuffers
from twotime.files.packed import PackedFrames, read_packed
from twotime.pipeline import no_progress, plan
from twotime.pipeline.gathering import gather
from twotime.recipe import parse_recipe
from twotime.simulate import EigerFile
from twotime.xpcs import CountMatrix, FrameStatistics, Geometry, RoiPixels

GEOMETRY = Geometry(-30.0, 20.0, 5.0, 1.24, 75e-6, 0.01)


def chunks_of(frames: NDArray[np.unsignedinteger], block: int) -> list[bytes]:
    """As HDF5 writes them, in blocks of so many pixels."""
    with h5py.File("packed.h5", "w", driver="core", backing_store=False) as file:
        filters = hdf5plugin.Bitshuffle(nelems=block, cname="lz4")
        data = file.create_dataset("data", data=frames, chunks=(1, *frames.shape[1:]), **filters)
        return [bytes(data.id.read_direct_chunk((k, 0, 0))[1]) for k in range(len(frames))]


def counted(packed: PackedFrames, labels: NDArray[np.int32]) -> tuple[FrameStatistics, CountMatrix, int]:
    statistics, matrix = FrameStatistics(), CountMatrix(len(packed), RoiPixels(labels))
    return statistics, matrix, packed.count(statistics, matrix, 0)


@st.composite
def scans(draw: st.DrawFn) -> tuple[NDArray[np.unsignedinteger], int, NDArray[np.int32]]:
    """Frames of every type and size with marks and large counts among them, the length of their blocks, and ROIs."""
    kind = np.dtype(draw(st.sampled_from(["uint8", "uint16", "uint32"])))
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 60), st.integers(1, 60)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = rng.poisson(draw(st.sampled_from([0.0, 0.01, 0.5, 40.0])), shape).astype(kind)
    most = np.iinfo(kind).max
    frames[rng.random(shape) < draw(st.sampled_from([0.0, 0.05]))] = most
    large = rng.random(shape) < draw(st.sampled_from([0.0, 0.05]))
    frames[large] = rng.integers(0, most, int(large.sum()), endpoint=True)
    labels = rng.integers(0, 3, shape[1:], dtype=np.int32)
    labels.flat[0] = 1
    return frames, draw(st.sampled_from([0, 8, 24, 64, 128, 1000])), labels


@pytest.mark.slow
@given(scan=scans())
@settings(max_examples=200, deadline=None)
def test_packed_frames_count_as_unpacked_ones(scan: tuple[NDArray[np.unsignedinteger], int, NDArray[np.int32]]) -> None:
    frames, block, labels = scan
    packed = PackedFrames(chunks_of(frames, block), frames.shape[1:], frames.dtype, "frames.h5")
    reference, expected = FrameStatistics(), CountMatrix(len(frames), RoiPixels(labels))
    reference.accumulate(frames)
    expected.fill(0, frames)

    statistics, matrix, number = counted(packed, labels)

    assert number == statistics.n_frames == len(frames)
    for name in ("total", "maximum", "saturated", "negative"):
        np.testing.assert_array_equal(getattr(statistics, name), getattr(reference, name), err_msg=name)
    np.testing.assert_array_equal(matrix.values, expected.values)
    assert matrix.values.dtype == expected.values.dtype
    np.testing.assert_array_equal(np.asarray(packed), frames)


@given(scan=scans(), data=st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_chunks_are_refused_or_give_counts_of_their_shape(
    scan: tuple[NDArray[np.unsignedinteger], int, NDArray[np.int32]], data: st.DataObject
) -> None:
    """LZ4 has no checksum: some damage reads as other counts, but none may end the process or reach other frames."""
    frames, block, labels = scan
    chunks = chunks_of(frames, block)
    number = data.draw(st.integers(0, len(chunks) - 1))
    content = bytearray(chunks[number])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content), len(content) - 1, len(content) // 2]))
    chunks[number] = bytes(content[:cut])
    try:
        packed = PackedFrames(chunks, frames.shape[1:], frames.dtype, "frames.h5")
    except ValueError:
        return

    statistics, matrix, taken = counted(packed, labels)

    assert taken in (number, len(frames))
    assert statistics.n_frames == taken
    expected = CountMatrix(len(frames), RoiPixels(labels))
    expected.fill(0, frames)
    np.testing.assert_array_equal(matrix.values[:number], expected.values[:number])


def test_frames_before_a_damaged_one_are_all_that_is_taken() -> None:
    frames = np.random.default_rng(1).poisson(1.0, (6, 40, 40)).astype(np.uint16)
    labels = np.ones((40, 40), np.int32)
    chunks = chunks_of(frames, 256)
    # The first token now asks for more bytes than the block has.
    chunks[4] = chunks[4][:16] + b"\xff" * 8 + chunks[4][24:]

    statistics, matrix, taken = counted(PackedFrames(chunks, (40, 40), frames.dtype, "frames.h5"), labels)

    assert taken == statistics.n_frames == 4
    np.testing.assert_array_equal(statistics.total, frames[:4].sum(axis=0))
    np.testing.assert_array_equal(matrix.values[:4], frames[:4].reshape(4, -1))


def test_packed_frames_join_numbers_that_are_no_counts() -> None:
    frames = np.random.default_rng(2).poisson(1.0, (4, 9, 7)).astype(np.uint16)
    matrix, statistics = CountMatrix(8, RoiPixels(np.ones((9, 7), np.int32))), FrameStatistics()
    statistics.accumulate(frames / 2)
    matrix.fill(0, frames / 2)

    taken = PackedFrames(chunks_of(frames, 0), (9, 7), frames.dtype, "frames.h5").count(statistics, matrix, 4)

    assert taken == 4
    np.testing.assert_array_equal(matrix.values, np.concatenate([frames / 2, frames]).reshape(8, -1))
    np.testing.assert_array_equal(statistics.total, (1.5 * frames).sum(axis=0))


@pytest.mark.parametrize("normalisation", ["frame", "flux"])
def test_damaged_frame_of_a_file_is_named_and_left_out(normalisation: str, tmp_path: Path) -> None:
    frames = np.random.default_rng(3).poisson(2.0, (30, 40, 40)).astype(np.uint16)
    file = EigerFile(tmp_path, "series", GEOMETRY, (40, 40), np.dtype(np.uint16), 20)
    file.append(frames)
    file.close()
    with h5py.File(file.paths[1], "r+") as second:
        data = second["entry/data/data"]
        assert read_packed(data, np.arange(10), "second", FrameBuffers()) is not None
        chunk = bytearray(data.id.read_direct_chunk((3, 0, 0))[1])
        chunk[16:24] = b"\xff" * 8
        data.id.write_direct_chunk((3, 0, 0), bytes(chunk))
    recipe = {
        "rois": [{"unit": "pixel", "edges": [[35, 45], [50, 60]]}],
        "frames": {"start": 1, "stride": 2},
        "normalisation": normalisation,
    }
    source = EigerSeries(file.master)

    found = gather(source, plan(source.facts, parse_recipe(recipe)), no_progress)

    assert np.flatnonzero(found.damaged).tolist() == [11]
    assert found.warnings == ["Frame 23 was left out: the detector file series_data_000002.h5 is damaged at frame 23."]
    np.testing.assert_array_equal(found.statistics.total, np.delete(frames[1::2], 11, axis=0).sum(axis=0))
    stopping = parse_recipe({**recipe, "frames": {"start": 1, "stride": 2, "on_damage": "stop"}})
    with pytest.raises(DamagedFrames, match="damaged at frame 23"):
        gather(source, plan(source.facts, stopping), no_progress)
