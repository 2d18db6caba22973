"""Reading frames of HDF5 datasets, several at a time.

HDF5 decompresses one chunk after the other under a lock of its own. Frames that are compressed by bitshuffle and LZ4,
as Eigers write them, are therefore read as they stand in the file and decompressed in threads, by the very routine that
HDF5 would call (hdf5plugin brings it). All others are read through h5py.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

Block = TypeVar("Block")
_FILTER = 32008
_LZ4 = 2
_HEADER = 12
_THREADS = min(4, os.cpu_count() or 1)


class FrameBuffers:
    """Memory for blocks of frames, used again once nobody looks at a block any more: fresh memory is slow to touch."""

    def __init__(self) -> None:
        self._buffers: list[NDArray[Any]] = []

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of this shape and type with whatever values."""
        size = int(np.prod(shape))
        for buffer in self._buffers:
            # Held by the list, by this name and by the argument of getrefcount: no view of it is left.
            if buffer.dtype == dtype and buffer.size >= size and sys.getrefcount(buffer) == 3:
                return buffer[:size].reshape(shape)
        buffer = np.empty(size, dtype)
        busy = [own for own in self._buffers if sys.getrefcount(own) > 3]
        self._buffers = [*busy[-3:], buffer]
        return buffer[:size].reshape(shape)


def read_frames(dataset: h5py.Dataset, frames: NDArray[np.int64], buffers: FrameBuffers) -> NDArray[Any]:
    """Frames of a dataset (..., H, W).

    Parameters
    ----------
    dataset : open
    frames : (k,) numbers over all leading axes, rising with one stride
    buffers : where their memory comes from

    Returns
    -------
    (k, H, W) array

    Raises
    ------
    OSError
        If a frame cannot be read or decompressed.
    """
    leading = tuple(int(length) for length in dataset.shape[:-2])
    if not is_bitshuffled(dataset):
        stride = int(frames[1] - frames[0]) if len(frames) > 1 else 1
        indices = frame_indices(leading, int(frames[0]), int(frames[-1]) + 1, stride)
        return np.concatenate([dataset[index].reshape(-1, *dataset.shape[-2:]) for index in indices])
    block = buffers.take((len(frames), *dataset.shape[-2:]), dataset.dtype)
    places = zip(*np.unravel_index(frames, leading), strict=True)
    waiting = []
    for place, out in zip(places, block, strict=True):
        chunk = packed_frame(dataset, place)
        if chunk is None:
            out[...] = dataset[place]
        else:
            waiting.append(_pool().submit(_unpack, chunk, out))
    for future in waiting:
        future.result()
    return block


def packed_frame(dataset: h5py.Dataset, place: tuple[Any, ...]) -> bytes | None:
    """A frame as it stands in the file, by its place in the leading axes; None where it is not compressed."""
    mask, chunk = dataset.id.read_direct_chunk((*(int(axis) for axis in place), 0, 0))
    return None if mask else bytes(chunk)


def unpack(chunks: Sequence[memoryview], block: NDArray[Any]) -> None:
    """Decompress chunks into frames (k, H, W); raises OSError where one is damaged."""
    list(_pool().map(_unpack, chunks, block))


def ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks, each read in a thread while the one before it is used."""
    with ThreadPoolExecutor(1, "read") as reader:
        waiting = reader.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = reader.submit(next, blocks, None)
            yield block


def frame_indices(leading: tuple[int, ...], first: int, last: int, stride: int) -> list[tuple[Any, ...]]:
    """Slices of an array (*leading, H, W) that hold frames `first`, `first + stride`, ... below `last` in order."""
    inner = leading[-1]
    if len(leading) == 1:
        return [(slice(first, last, stride),)]
    if inner == 1 and len(leading) == 2:
        return [(slice(first, last, stride), 0)]
    indices = []
    frame = first
    while frame < last:
        outer, within = divmod(frame, inner)
        end = min(inner, within + last - frame)
        row = tuple(int(k) for k in np.unravel_index(outer, leading[:-1]))
        indices.append((*row, slice(within, end, stride)))
        frame += stride * len(range(within, end, stride))
    return indices


def is_bitshuffled(dataset: h5py.Dataset) -> bool:
    """Whether each frame is one chunk, compressed by bitshuffle and LZ4 alone, and can be decompressed here."""
    chunks = dataset.chunks
    if _decompressor() is None or chunks is None or dataset.dtype.byteorder == ">" or dataset.dtype.kind not in "ui":
        return False
    if chunks[-2:] != dataset.shape[-2:] or int(np.prod(chunks[:-2])) != 1:
        return False
    plan = dataset.id.get_create_plist()
    if plan.get_nfilters() != 1:
        return False
    number, _, options, _ = plan.get_filter(0)
    return bool(number == _FILTER and len(options) >= 5 and options[4] == _LZ4)


def _unpack(chunk: bytes | memoryview, out: NDArray[Any]) -> None:
    """Decompress a chunk: total size, size of its blocks, then for each block its packed size and content."""
    step = int.from_bytes(chunk[8:12], "big") // out.itemsize if len(chunk) >= _HEADER else 0
    if step < 8 or step % 8 or int.from_bytes(chunk[:8], "big") != out.nbytes or not _whole(chunk, out.size, step, out):
        raise OSError("a compressed frame is damaged")
    decompress = _decompressor()
    assert decompress is not None
    start = np.frombuffer(chunk, np.uint8).ctypes.data + _HEADER
    used = decompress(start, out.ctypes.data, out.size, out.itemsize, step)
    if used != len(chunk) - _HEADER:
        raise OSError("a compressed frame is damaged")


def _whole(chunk: bytes | memoryview, size: int, step: int, out: NDArray[Any]) -> bool:
    """Whether the packed sizes of all blocks lead exactly to the end of the chunk."""
    full = size // 8 * 8
    position = _HEADER
    for _ in range((full + step - 1) // step):
        if position + 4 > len(chunk):
            return False
        position += 4 + int.from_bytes(chunk[position : position + 4], "big")
    return position + (size - full) * out.itemsize == len(chunk)


@cache
def _decompressor() -> Callable[..., int] | None:
    """``bshuf_decompress_lz4`` of hdf5plugin; None where its library does not show it."""
    try:
        library = ctypes.CDLL(str(Path(hdf5plugin.PLUGIN_PATH) / "libh5bshuf.so"))
        function = library.bshuf_decompress_lz4
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_int64
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t]
    unpack: Callable[..., int] = function
    return unpack


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, "decompress")
