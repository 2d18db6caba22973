"""Regions of interest as labels on the detector."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twotime.xpcs.geometry import angle_map, q_from_radius, q_map, radius_map
from twotime.xpcs.types import Geometry, Rois

_UNIT_NAMES = {"1/A": "1/Å", "pixel": "pixels"}


@dataclass(frozen=True)
class Region:
    """One region before pixels are masked.

    Attributes
    ----------
    name : for sentences
    pixels : (n,) flat index of each pixel in the frame, rising
    q_inner, q_outer : its edges, 1/Å; NaN where it has none
    phi : middle of its angles, degrees counter-clockwise from the direction of rising columns; NaN where it has none
    q : momentum transfer to report, 1/Å; NaN: the mean over its pixels
    required : whether it is a mistake if the detector does not reach it
    """

    name: str
    pixels: NDArray[np.intp]
    q_inner: float = np.nan
    q_outer: float = np.nan
    phi: float = np.nan
    q: float = np.nan
    required: bool = True


def ring_rois(
    geometry: Geometry,
    shape: tuple[int, int],
    edges: Sequence[tuple[float, float]],
    unit: Literal["1/A", "pixel"],
    mask: NDArray[np.bool_] | None = None,
) -> Rois:
    """Concentric rings around the beam centre.

    Parameters
    ----------
    geometry : of the detector
    shape : (H, W)
    edges : inner (included) and outer (excluded) edge of each ring
    unit : of the edges, 1/Å or pixels
    mask : (H, W) array, True where a pixel can be used; None: everywhere

    Returns
    -------
    Rois
        Labels 1 ... R in the order of `edges`; q is the mean over the pixels of each ring.

    Raises
    ------
    ValueError
        If a ring lies outside the detector, holds no usable pixel or overlaps another ring.
    """
    usable = np.ones(shape, bool) if mask is None else mask
    return labelled(ring_regions(geometry, shape, edges, unit), geometry, usable)[0]


def ring_regions(
    geometry: Geometry,
    shape: tuple[int, int],
    edges: Sequence[tuple[float, float]],
    unit: Literal["1/A", "pixel"],
    *,
    mirrored: bool = False,
    angles: Sequence[tuple[float, float]] = (),
) -> Iterator[Region]:
    """Rings, or their sectors; ring by ring, and within a ring in the order of the angles, one at a time.

    Parameters
    ----------
    edges, unit : see `ring_rois`
    angles : first and last angle of each sector, degrees; empty: whole rings
    mirrored : join each sector with the one across the beam, as speckle and flow are symmetric under q → -q

    Raises
    ------
    ValueError
        If a ring lies outside the detector, or an angle is not in order.
    """
    scale = (q_map(geometry, shape) if unit == "1/A" else radius_map(geometry, shape)).ravel()
    phi = angle_map(geometry, shape).ravel() if angles else None
    bounds = np.asarray(edges, float).reshape(-1, 2)
    in_q = bounds if unit == "1/A" else q_from_radius(geometry, bounds)
    for number, ((inner, outer), (q_inner, q_outer)) in enumerate(zip(bounds, in_q, strict=True), start=1):
        ring = np.flatnonzero((scale >= inner) & (scale < outer))
        name = f"ring {number} ({inner:g} to {outer:g} {_UNIT_NAMES[unit]})"
        if not ring.size:
            raise ValueError(
                f"{name} lies outside the detector or between its pixels; "
                f"the detector spans {scale.min():.4g} to {scale.max():.4g} {_UNIT_NAMES[unit]}."
            )
        if phi is None:
            yield Region(name, ring, float(q_inner), float(q_outer))
            continue
        ring_phi = phi[ring]
        for first, last in angles:
            yield Region(
                f"{name}, {first:g}° to {last:g}°",
                ring[_between(ring_phi, first, last, mirrored)],
                float(q_inner),
                float(q_outer),
                (first + last) / 2,
                required=False,
            )


def box_region(shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int], q: float = np.nan) -> Region:
    """A rectangle of pixels, first row and column included, last excluded."""
    for name, (low, high), size in (("rows", rows, shape[0]), ("columns", columns, shape[1])):
        if not 0 <= low < high <= size:
            raise ValueError(f"box has {name} [{low}, {high}], expected 0 <= first < last <= {size}.")
    name = f"box rows {rows[0]} to {rows[1]}, columns {columns[0]} to {columns[1]}"
    return Region(name, (np.arange(*rows)[:, None] * shape[1] + np.arange(*columns)).ravel(), q=q)


def polygon_region(shape: tuple[int, int], vertices: Sequence[tuple[float, float]], q: float = np.nan) -> Region:
    """Pixels whose centres lie inside a polygon of (row, column) vertices; self-crossings count by even and odd.

    Raises
    ------
    ValueError
        If there are fewer than three vertices, or no pixel's centre lies inside.
    """
    if len(vertices) < 3:
        raise ValueError(f"a polygon has {len(vertices)} vertices, expected at least 3.")
    corner = np.asarray(vertices, float)
    ends = [
        np.clip((np.floor(axis.min()), np.ceil(axis.max()) + 1), 0, size).astype(int)
        for axis, size in zip(corner.T, shape, strict=True)
    ]
    rows, columns = np.ogrid[slice(*ends[0]), slice(*ends[1])]
    inside = np.zeros((rows.size, columns.size), bool)
    for (r1, c1), (r2, c2) in zip(corner, np.roll(corner, -1, axis=0), strict=True):
        if r1 == r2:
            continue
        crosses = (rows >= min(r1, r2)) & (rows < max(r1, r2))
        inside ^= crosses & (columns < c1 + (rows - r1) * (c2 - c1) / (r2 - r1))
    name = f"polygon from ({corner[0, 0]:g}, {corner[0, 1]:g})"
    if not inside.any():
        raise ValueError(f"{name} holds no pixel of the detector of {shape[0]} rows and {shape[1]} columns.")
    own_rows, own_columns = np.nonzero(inside)
    return Region(name, (own_rows + ends[0][0]) * shape[1] + own_columns + ends[1][0], q=q)


def label_regions(
    labels: NDArray[np.integer],
    shape: tuple[int, int],
    q: Sequence[float] | None = None,
    phi: Sequence[float] | None = None,
) -> list[Region]:
    """Regions of a label array, in the order of their numbers.

    Parameters
    ----------
    labels : (H, W), 0 off the regions
    q, phi : of each region, 1/Å and degrees; None: q is the mean over its pixels

    Raises
    ------
    ValueError
        If the array has another shape than the detector, no region, or another number of regions than values.
    """
    if labels.shape != shape:
        raise ValueError(
            f"the label array has shape {labels.shape}, but the analysis frame of the detector is {shape}; "
            "give labels in the analysis frame."
        )
    inside = np.flatnonzero(labels > 0)
    order = inside[np.argsort(labels.ravel()[inside], kind="stable")]
    numbers, starts = np.unique(labels.ravel()[order], return_index=True)
    if numbers.size == 0:
        raise ValueError("the label array holds no region; labels are 1, 2, ... on regions and 0 elsewhere.")
    for name, values in (("q", q), ("phi", phi)):
        if values is not None and len(values) != numbers.size:
            raise ValueError(f"{name}_list has {len(values)} values for {numbers.size} regions; give one per region.")
    return [
        Region(
            f"region {number}",
            own,
            phi=np.nan if phi is None else float(phi[k]),
            q=np.nan if q is None else float(q[k]),
            required=False,
        )
        for k, (number, own) in enumerate(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
    ]


def shifted_labels(
    labels: NDArray[np.integer], geometry: Geometry, shape: tuple[int, int], center: int = 4000
) -> NDArray[np.int32]:
    """A large label array, shifted so that its centre lies on the beam centre, and cut to the detector.

    Parameters
    ----------
    labels : (L, L), as the named ROI masks of CHX
    shape : (H, W) of the analysis frame
    center : row and column of the large array that belong on the beam centre
    """
    rows = np.arange(shape[0]) - round(geometry.beam_center_y) + center
    columns = np.arange(shape[1]) - round(geometry.beam_center_x) + center
    on_rows, on_columns = (
        (axis >= 0) & (axis < size) for axis, size in zip((rows, columns), labels.shape, strict=True)
    )
    shifted = np.zeros(shape, np.int32)
    shifted[np.ix_(on_rows, on_columns)] = labels[np.ix_(rows[on_rows], columns[on_columns])]
    return shifted


def labelled(
    regions: Iterable[Region], geometry: Geometry, mask: NDArray[np.bool_], min_pixels: int = 1
) -> tuple[Rois, list[str]]:
    """Number the regions and leave out masked pixels and small regions.

    Parameters
    ----------
    regions : in the order of their labels; made one at a time, a thousand of them need no more memory than one
    mask : (H, W), True where a pixel can be used
    min_pixels : regions with fewer usable pixels are dropped

    Returns
    -------
    tuple of Rois and list of str
        Labels 1 ... R of those that remain, and a sentence for each that does not.

    Raises
    ------
    ValueError
        If regions overlap, none remains, or a required one has no usable pixel.
    """
    labels = np.zeros(mask.size, np.int32)
    usable = mask.ravel()
    q = q_map(geometry, (mask.shape[0], mask.shape[1])).ravel()
    kept: list[Region] = []
    means: list[float] = []
    dropped: list[str] = []
    for region in regions:
        taken = labels[region.pixels]
        if taken.any():
            other = kept[taken[taken > 0].min() - 1]
            raise ValueError(f"{region.name} overlaps {other.name}; let every region end where the next begins.")
        own = region.pixels[usable[region.pixels]]
        count = len(own)
        if count == 0 and region.required:
            raise ValueError(f"{region.name} holds no pixel outside the mask; move it or loosen the mask.")
        if count < max(min_pixels, 1):
            dropped.append(f"{region.name} was left out: it holds {count} usable pixels, fewer than {min_pixels}.")
            continue
        kept.append(replace(region, pixels=np.empty(0, np.intp)))  # A thousand regions with theirs take gigabytes.
        labels[own] = len(kept)
        means.append(float(q[own].mean()) if np.isnan(region.q) else region.q)
    if not kept:
        raise ValueError(f"no region holds {max(min_pixels, 1)} usable pixels; lower min_pixels or move the regions.")
    return (
        Rois(
            labels.reshape(mask.shape),
            np.array(means),
            np.array([region.q_inner for region in kept]),
            np.array([region.q_outer for region in kept]),
            np.array([region.phi for region in kept]),
            np.array([np.isnan(region.q) for region in kept]),
        ),
        dropped,
    )


def _between(phi: NDArray[np.float64], first: float, last: float, mirrored: bool) -> NDArray[np.bool_]:
    """Where an angle in degrees lies in a sector, which may reach over 360°."""
    width = last - first
    if not 0 < width <= 360:
        raise ValueError(f"angles are [{first:g}, {last:g}], expected the first below the second by at most 360°.")
    turned: NDArray[np.bool_] = (phi - first) % 360 < width
    if mirrored:
        turned |= (phi - first - 180) % 360 < width
    return turned
