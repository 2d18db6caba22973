"""Frames as Eigers compress them, counted and gathered without being unpacked whole.

Bitshuffle stores the counts of a block of pixels bit by bit: one plane holds the lowest bit of all of them, and so on;
LZ4 then packs the planes. At low counts most planes are empty but for the gaps between modules, where all bits are set:
such marks are set aside; sums and maxima over frames are then taken on whole planes, 64 pixels at a time, and of single
pixels only those of the ROIs are put together.
"""

import ctypes
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from llvmlite import binding
from numba import types
from numpy.typing import NDArray

from twotime.files.chunks import FrameBuffers, is_bitshuffled, packed_frame, unpack
from twotime.xpcs.compiled import compiled, in_parts
from twotime.xpcs.mask import FrameStatistics
from twotime.xpcs.pixels import CountMatrix

HEADER = 12
"""Bytes before the first block: those of the whole frame and those of a block, unpacked, big-endian."""
STEP_BYTES = 4 * 2**20
"""Room for chunks comes in steps of so many bytes, so that blocks of much the same length share it."""
_WORD = 64
_LIBRARY = Path(hdf5plugin.PLUGIN_PATH) / "libh5bshuf.so"
_NAME = "LZ4_decompress_safe"
# Checks both ends: it neither reads nor writes beyond them, whatever the bytes are.
_unpack_lz4: Any = types.ExternalFunction(_NAME, types.int32(types.voidptr, types.voidptr, types.int32, types.int32))


class PackedFrames:
    """Frames of one file, each a chunk compressed by bitshuffle and LZ4; a `twotime.pipeline.PackedBlock`.

    Parameters
    ----------
    chunks : as they stand in the file
    shape : (H, W)
    dtype : of the counts, unsigned and of at most four bytes
    name : of the file, for sentences
    buffers : where memory comes from

    Raises
    ------
    ValueError
        If a chunk is not such a frame, its blocks are not as long as those of the first, or hdf5plugin's library does
        not show its LZ4.
    """

    def __init__(
        self,
        chunks: Sequence[bytes],
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        name: str,
        buffers: FrameBuffers | None = None,
    ) -> None:
        if not _shows_lz4():
            raise ValueError("chunks can only stay packed where hdf5plugin's library shows its LZ4.")
        self.shape = (len(chunks), *shape)
        self.dtype = dtype
        self.name = name
        self._size = shape[0] * shape[1]
        self._ends = np.cumsum([0, *map(len, chunks)])
        self._buffers = buffers or FrameBuffers()
        room = -(-int(self._ends[-1]) // STEP_BYTES) * STEP_BYTES
        self._source = self._buffers.take((room,), np.dtype(np.uint8))[: self._ends[-1]]
        for chunk, start, end in zip(chunks, self._ends[:-1], self._ends[1:], strict=True):
            self._source[start:end] = np.frombuffer(chunk, np.uint8)
        self._step = min(int.from_bytes(chunks[0][8:HEADER], "big") // dtype.itemsize, -(-self._size // 8) * 8)
        whole = (self._size * dtype.itemsize).to_bytes(8, "big")
        alike = all(chunk[:8] == whole and chunk[8:HEADER] == chunks[0][8:HEADER] for chunk in chunks)
        if not alike or self._step < 8 or self._step % 8 or not 0 < dtype.itemsize <= 4 or dtype.kind != "u":
            raise ValueError(f"chunks of {name} are not frames {shape} of {dtype} in blocks of one length.")
        self._blocks = -(-(self._size // 8 * 8) // self._step)
        self._starts = np.zeros((len(chunks), self._blocks + 1), np.int64)
        damaged = _find_blocks(self._source, self._ends, self._size, dtype.itemsize, self._starts)
        if damaged >= 0:
            raise ValueError(f"chunk {damaged} of {name} is damaged: its blocks do not lead to its end.")

    def __len__(self) -> int:
        return self.shape[0]

    def count(self, statistics: FrameStatistics, matrix: CountMatrix, row: int) -> int:
        """Take the frames into statistics and, from row `row` on, into a matrix; all before the first damaged one.

        Returns
        -------
        int
            How many frames were taken; fewer than there are where the next one is damaged.
        """
        if matrix.values.dtype.kind != "u":
            return self._one_by_one(statistics, matrix, row)
        return self._counted(len(self), statistics, matrix, row)

    def unpacked(self, own: slice = slice(None)) -> NDArray[Any]:
        """These of the frames, (k, H, W). Raises OSError where one of them is damaged."""
        chunks = [self._source[a:b].data for a, b in zip(self._ends[:-1][own], self._ends[1:][own], strict=True)]
        block = np.empty((len(chunks), *self.shape[1:]), self.dtype)
        unpack(chunks, block)
        return block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.unpacked().astype(dtype or self.dtype, copy=False)

    def _one_by_one(self, statistics: FrameStatistics, matrix: CountMatrix, row: int) -> int:
        """As `count`, into a matrix of numbers that are no counts."""
        for frame in range(len(self)):
            try:
                block = self.unpacked(slice(frame, frame + 1))
            except OSError:
                return frame
            statistics.accumulate(block)
            matrix.fill(row + frame, block)
        return len(self)

    def _counted(self, number: int, statistics: FrameStatistics, matrix: CountMatrix, row: int) -> int:
        if number == 0:
            return 0
        n_planes, width = 8 * self.dtype.itemsize, -(-self._step // _WORD)
        word = np.dtype(np.uint64)
        sums = self._buffers.take((self._blocks + 1, n_planes + number.bit_length(), width), word)
        maxima = self._buffers.take((self._blocks + 1, n_planes, width), word)
        marks = self._buffers.take((self._blocks + 1, number.bit_length(), width), word)
        sound = np.ones(number, np.bool_)
        layout = (self._size, self._step, self.dtype.itemsize)
        places, columns = matrix.pixels.in_file_order
        # The last block are the pixels, fewer than eight, that are not compressed.
        first_pixels = np.append(np.arange(self._blocks) * self._step, [self._size // 8 * 8, self._size])
        edges = np.searchsorted(places, first_pixels)
        rows = matrix.values[row : row + number]
        part = partial(
            _take,
            (self._source, self._starts, self._ends, sound),
            layout,
            (sums, maxima, marks),
            (places, columns, edges, rows),
            np.iinfo(rows.dtype).max,
        )
        largest = max(in_parts(self._blocks + 1, part))
        if not sound.all():
            return self._counted(int(np.argmin(sound)), statistics, matrix, row)
        if matrix.widen(largest):
            return self._counted(number, statistics, matrix, row)
        total, maximum, saturated = statistics.take_in(number, self.shape[1:], self.dtype)
        mark = np.iinfo(self.dtype).max
        in_parts(self._blocks + 1, partial(_settle, (sums, maxima, marks), layout, (total, maximum, saturated), mark))
        return number


def read_packed(
    dataset: h5py.Dataset, frames: NDArray[np.int64], name: str, buffers: FrameBuffers
) -> PackedFrames | None:
    """Frames of a dataset (..., H, W) as they stand in the file; None where they cannot stay packed.

    Parameters
    ----------
    dataset : open
    frames : (k,) numbers over all leading axes
    name : of the file, for sentences
    buffers : where memory comes from
    """
    if not is_bitshuffled(dataset):
        return None
    places = zip(*np.unravel_index(frames, dataset.shape[:-2]), strict=True)
    try:
        chunks = [packed_frame(dataset, place) for place in places]
        packed = [chunk for chunk in chunks if chunk is not None]
        whole = len(packed) == len(frames)
        return PackedFrames(packed, dataset.shape[-2:], dataset.dtype, name, buffers) if whole else None
    except (OSError, ValueError):  # Reading them one by one finds out which.
        return None


@cache
def _shows_lz4() -> bool:
    """Whether hdf5plugin's library shows its LZ4, which the kernels call."""
    try:
        function = getattr(ctypes.CDLL(str(_LIBRARY)), _NAME)
    except (OSError, AttributeError):
        return False
    binding.add_symbol(_NAME, ctypes.cast(function, ctypes.c_void_p).value)
    return True


def _find_blocks(source: NDArray[np.uint8], ends: Any, size: int, itemsize: int, starts: NDArray[np.int64]) -> int:
    """Where the content of each block begins; the number of the first frame whose blocks do not fill it, or -1."""
    blocks = starts.shape[1] - 1
    for frame in range(len(starts)):
        position, end = ends[frame] + HEADER, ends[frame + 1]
        for block in range(blocks):
            if end - position < 4:
                return frame
            length = 0
            for k in range(4):
                length = length * 256 + source[position + k]
            starts[frame, block] = position + 4
            position += 4 + length
        starts[frame, blocks] = position + 4
        if position + size % 8 * itemsize != end:
            return frame
    return -1


def _take(
    packed: tuple[Any, ...],
    layout: tuple[int, int, int],
    planes: tuple[Any, Any, Any],
    wanted: tuple[Any, ...],
    most: int,
    first: int,
    end: int,
) -> int:
    """Sums, maxima, marks of blocks `first` to `end` of all frames, their ROI pixels copied; the largest of these."""
    source, starts, ends, sound = packed
    size, step, itemsize = layout
    sums, maxima, marks = planes
    places, columns, edges, rows = wanted
    blocks, n_planes, width = starts.shape[1] - 1, 8 * itemsize, sums.shape[2]
    content = np.empty(step * itemsize, np.uint8)
    words = np.zeros((n_planes, width), np.uint64)
    bytes_there = words.reshape(-1).view(np.uint8)
    filled = np.empty(n_planes, np.int64)
    room = np.empty((2, width), np.uint64)
    octets, slots = np.empty(8 * width, np.int64), np.empty(64 * width, np.int64)
    counts = np.empty(8 * width, np.uint64)
    largest = 0
    for block in range(first, end):
        length = size % 8 if block == blocks else min(step, size // 8 * 8 - block * step)
        own = slice(edges[block], edges[block + 1])
        n_octets = _find_octets(places[own], block * step if block < blocks else size // 8 * 8, octets, slots)
        sums[block] = 0
        maxima[block] = 0
        marks[block] = 0
        used = 0
        for frame in range(len(sound)):
            if block == blocks:
                tail = source[ends[frame + 1] - length * itemsize : ends[frame + 1]]
                _spread(tail, itemsize, words)
            else:
                start, stop = starts[frame, block], starts[frame, block + 1] - 4
                chunk = source[start:stop]
                target = bytes_there if length == 64 * width else content
                unpacked = _unpack_lz4(chunk.ctypes, target.ctypes, stop - start, length * itemsize)
                if unpacked != length * itemsize:
                    sound[frame] = False
                    continue
                if length < 64 * width:
                    for plane in range(n_planes):
                        for k in range(length // 8):
                            bytes_there[plane * 8 * width + k] = content[plane * (length // 8) + k]
            number = _find_filled(words, filled)
            if number == n_planes and _set_aside(words, marks[block]):
                number = _find_filled(words, filled)
            if number:
                used = max(used, filled[number - 1] + 1)
                _add(words, filled[:number], sums[block], room)
                _raise(words, maxima[block, :used], room)
            if number == 0:
                rows[frame, columns[own]] = 0
            elif _narrow_counts(bytes_there, 8 * width, filled[:number], octets[:n_octets], counts):
                largest = max(largest, _put_narrow(counts.view(np.uint8), slots, columns[own], rows[frame]))
            else:
                some_words = words, filled[:number]
                largest = max(largest, _put_any(some_words, octets, slots, columns[own], rows[frame], most))
        words[:] = 0
    return largest


def _find_filled(words: NDArray[np.uint64], filled: NDArray[np.int64]) -> int:
    """Which planes are not empty, and how many these are."""
    number = 0
    for plane in range(len(words)):
        some = np.uint64(0)
        for w in range(words.shape[1]):
            some |= words[plane, w]
        if some:
            filled[number] = plane
            number += 1
    return number


def _set_aside(words: NDArray[np.uint64], marks: NDArray[np.uint64]) -> bool:
    """Take the pixels of which all bits are set out of the planes and count them in `marks`; whether there are any."""
    some = False
    top = len(words) - 1
    for w in range(words.shape[1]):
        carry = words[top, w]
        if carry:
            for plane in range(top):
                carry &= words[plane, w]
        if carry:
            some = True
            for plane in range(top + 1):
                words[plane, w] ^= carry
            for plane in range(len(marks)):
                own = marks[plane, w]
                marks[plane, w] = own ^ carry
                carry &= own
    return some


def _find_octets(places: NDArray[np.intp], base: int, octets: NDArray[np.int64], slots: NDArray[np.int64]) -> int:
    """Which eights of pixels of a block hold ROI pixels, how many these are, and the place of each pixel in them."""
    number = 0
    for p in range(len(places)):
        octet, bit = (places[p] - base) >> 3, (places[p] - base) & 7
        if number == 0 or octets[number - 1] != octet:
            octets[number] = octet
            number += 1
        slots[p] = 8 * (number - 1) + bit
    return number


def _narrow_counts(
    planes: NDArray[np.uint8],
    length: int,
    filled: NDArray[np.int64],
    octets: NDArray[np.int64],
    counts: NDArray[np.uint64],
) -> bool:
    """Counts of eights of pixels, a byte each; False where one needs more than a byte."""
    narrow = len(filled)
    while narrow and filled[narrow - 1] >= 8:
        narrow -= 1
    more = 0
    for k in range(len(octets)):
        octet, count = octets[k], np.uint64(0)
        for j in range(narrow):
            count |= _SPREAD[planes[filled[j] * length + octet]] << np.uint64(filled[j])
        for j in range(narrow, len(filled)):
            more |= planes[filled[j] * length + octet]
        counts[k] = count
    return more == 0


def _put_narrow(
    counts: NDArray[np.uint8], slots: NDArray[np.int64], columns: NDArray[np.intp], row: NDArray[Any]
) -> int:
    """Put counts of a byte each in their columns; the largest of them."""
    largest = np.uint8(0)
    for p in range(len(columns)):
        value = counts[slots[p]]
        largest = max(largest, value)
        row[columns[p]] = value
    return int(largest)


def _put_any(
    some_words: tuple[NDArray[np.uint64], NDArray[np.int64]],
    octets: NDArray[np.int64],
    slots: NDArray[np.int64],
    columns: NDArray[np.intp],
    row: NDArray[Any],
    most: int,
) -> int:
    """As `_put_narrow`, for counts of any length, of which a column holds `most`."""
    words, filled = some_words
    largest = 0
    for p in range(len(columns)):
        pixel = 8 * octets[slots[p] >> 3] + (slots[p] & 7)
        word, bit = pixel >> 6, np.uint64(pixel & 63)
        value = 0
        for k in range(len(filled)):
            value |= np.int64(words[filled[k], word] >> bit & np.uint64(1)) << filled[k]
        largest = max(largest, value)
        row[columns[p]] = min(value, most)
    return largest


def _spread(tail: NDArray[np.uint8], itemsize: int, words: NDArray[np.uint64]) -> None:
    """Planes of pixels that are not shuffled."""
    words[:] = 0
    for pixel in range(len(tail) // itemsize):
        for k in range(itemsize):
            value = np.uint64(tail[pixel * itemsize + k])
            for bit in range(8):
                words[8 * k + bit, 0] |= (value >> np.uint64(bit) & np.uint64(1)) << np.uint64(pixel)


def _add(
    words: NDArray[np.uint64], filled: NDArray[np.int64], total: NDArray[np.uint64], room: NDArray[np.uint64]
) -> None:
    """Add the numbers of planes to those of others, of which there are enough to hold the sum."""
    carry = room[0]
    carry[:] = 0
    k = 0
    for plane in range(filled[0], len(total)):
        own = total[plane]
        some = np.uint64(0)
        if k < len(filled) and filled[k] == plane:
            new = words[plane]
            k += 1
            for w in range(len(carry)):
                half = own[w] ^ new[w]
                more = own[w] & new[w] | half & carry[w]
                own[w] = half ^ carry[w]
                carry[w] = more
                some |= more
        else:
            for w in range(len(carry)):
                more = own[w] & carry[w]
                own[w] ^= carry[w]
                carry[w] = more
                some |= more
        if some == 0 and k == len(filled):
            return


def _raise(words: NDArray[np.uint64], top: NDArray[np.uint64], room: NDArray[np.uint64]) -> None:
    """Raise the numbers of planes `top` to those of others where these are larger."""
    larger, known = room[0], room[1]
    room[:] = 0
    for plane in range(len(top) - 1, -1, -1):
        new, own = words[plane], top[plane]
        for w in range(len(larger)):
            larger[w] |= new[w] & ~own[w] & ~known[w]
            known[w] |= new[w] ^ own[w]
    for plane in range(len(top)):
        new, own = words[plane], top[plane]
        for w in range(len(larger)):
            own[w] ^= (own[w] ^ new[w]) & larger[w]


def _settle(
    planes: tuple[Any, Any, Any],
    layout: tuple[int, int, int],
    statistics: tuple[Any, Any, Any],
    mark: int,
    first: int,
    end: int,
) -> None:
    """Take the sums, maxima and marks of blocks `first` to `end` into those of all frames."""
    sums, maxima, marks = planes
    size, step, _ = layout
    total, maximum, saturated = statistics
    blocks, width = len(sums) - 1, sums.shape[2]
    numbers, octets = np.empty(64 * width, np.uint64), np.empty(8 * width, np.uint64)
    for block in range(first, end):
        base = block * step if block < blocks else size // 8 * 8
        length = min(step, size // 8 * 8 - base) if block < blocks else size - base
        own = slice(base, base + length)
        if _numbers(sums[block], octets, numbers):
            _add_numbers(numbers, total[own])
        if _numbers(maxima[block], octets, numbers):
            _raise_numbers(numbers, maximum[own])
        if _numbers(marks[block], octets, numbers):
            for k in range(length):
                if numbers[k]:
                    total[base + k] += numbers[k] * np.uint64(mark)
                    maximum[base + k] = max(maximum[base + k], maximum.dtype.type(mark))
                    saturated[base + k] = True


def _numbers(planes: NDArray[np.uint64], octets: NDArray[np.uint64], numbers: NDArray[np.uint64]) -> bool:
    """Numbers put together from their planes; False, and nothing done, where all are 0."""
    some = False
    counts = octets.view(np.uint8)
    for lowest in range(0, len(planes), 8):
        if _spread_octets(planes[lowest : lowest + 8], octets):
            for k in range(len(numbers)):
                number = np.uint64(counts[k]) << np.uint64(lowest)
                numbers[k] = numbers[k] | number if some else number
            some = True
    return some


def _add_numbers(numbers: NDArray[np.uint64], total: NDArray[np.uint64]) -> None:
    for k in range(len(total)):
        total[k] += numbers[k]


def _raise_numbers(numbers: NDArray[np.uint64], maximum: NDArray[Any]) -> None:
    for k in range(len(maximum)):
        maximum[k] = max(maximum[k], maximum.dtype.type(numbers[k]))


def _spread_octets(words: NDArray[np.uint64], octets: NDArray[np.uint64]) -> bool:
    """Numbers of eight planes at most, a byte each; False where all are 0."""
    some = False
    for plane in range(len(words)):
        of_eights = words[plane].view(np.uint8)
        if words[plane].any():
            if not some:
                octets[:] = 0
            some = True
            for k in range(len(octets)):
                octets[k] |= _SPREAD[of_eights[k]] << np.uint64(plane)
    return some


_SPREAD = np.array([sum((byte >> bit & 1) << 8 * bit for bit in range(8)) for byte in range(256)], np.uint64)
"""Each bit of a byte in the lowest bit of a byte of its own."""
_find_blocks = compiled(_find_blocks)
_find_filled = compiled(_find_filled)
_set_aside = compiled(_set_aside)
_find_octets = compiled(_find_octets)
_narrow_counts = compiled(_narrow_counts)
_put_narrow = compiled(_put_narrow)
_put_any = compiled(_put_any)
_spread = compiled(_spread)
_add = compiled(_add)
_raise = compiled(_raise)
_take = compiled(_take)
_spread_octets = compiled(_spread_octets)
_numbers = compiled(_numbers)
_add_numbers = compiled(_add_numbers)
_raise_numbers = compiled(_raise_numbers)
_settle = compiled(_settle)
