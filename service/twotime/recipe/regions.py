"""Regions of interest as a recipe names them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from twotime.recipe.document import Document, Finite, Name, NotNegative, Positive, Whole

MOST_REGIONS = 500
MOST_ROIS = 1000
KINDS = ("rings", "qphi", "box", "polygon", "labels", "named", "qmap")
FRAME_REGIONS = ("box", "polygon", "labels")
"""Kinds of regions that need no geometry."""


class Rings(Document):
    """Concentric rings: by edges; by centres and width; or by inner radius, width, spacing and number."""

    kind: Literal["rings"] = "rings"
    unit: Literal["1/A", "pixel"] = Field(description="of all lengths below")
    edges: Annotated[tuple[tuple[float, float], ...], Field(max_length=MOST_REGIONS)] | None = Field(
        None, description="inner and outer edge of each ring"
    )
    centers: Annotated[tuple[Positive, ...], Field(max_length=MOST_REGIONS)] | None = Field(
        None, description="middle of each ring; needs width"
    )
    inner_radius: NotNegative | None = None
    width: Positive | None = None
    spacing: NotNegative = 0.0
    num_rings: Annotated[int, Field(ge=1, le=MOST_REGIONS)] | None = None

    @model_validator(mode="after")
    def _one_way_only(self) -> "Rings":
        series = (self.inner_radius, self.num_rings)
        ways = (self.edges is not None, self.centers is not None, any(value is not None for value in series))
        if sum(ways) > 1 or (self.edges is not None and self.width is not None):
            raise ValueError("rings take either edges, or centers and width, or inner_radius, width and num_rings")
        if self.edges is None and self.width is None:
            raise ValueError("rings need either edges, or centers and width, or inner_radius, width and num_rings")
        if self.edges is None and self.centers is None and None in series:
            raise ValueError("rings need either edges, or centers and width, or inner_radius, width and num_rings")
        for inner, outer in self.all_edges():
            if not 0 <= inner < outer:
                raise ValueError(f"ring edges [{inner:g}, {outer:g}] must rise from zero or above")
        return self

    @property
    def n_rois(self) -> int:
        """Number of rings."""
        return self.num_rings or len(self.edges or self.centers or ())

    def all_edges(self) -> list[tuple[float, float]]:
        """Inner and outer edge of each ring, in `unit`."""
        if self.edges is not None:
            return list(self.edges)
        assert self.width is not None
        if self.centers is not None:
            return [(center - self.width / 2, center + self.width / 2) for center in self.centers]
        assert self.inner_radius is not None
        assert self.num_rings is not None
        step = self.width + self.spacing
        starts = [self.inner_radius + k * step for k in range(self.num_rings)]
        return [(start, start + self.width) for start in starts]


class Angles(Document):
    """Sectors by angle, in degrees from the direction of rising columns towards rising rows."""

    inner: Finite = Field(0.0, description="first angle")
    outer: Finite = Field(360.0, description="last angle")
    num: int = Field(ge=1, le=360, description="number of sectors, evenly spread from inner to outer")
    width: Positive | None = Field(None, le=360, description="of each sector; none: they touch")
    symmetric: bool = Field(False, description="join each sector with the one across the beam")
    flow_angle: Finite = Field(0.0, description="direction of the flow; inner and outer count from it")

    @model_validator(mode="after")
    def _in_order(self) -> "Angles":
        span = self.outer - self.inner
        if not 0 < span <= 360:
            raise ValueError(
                f"angles run from {self.inner:g} to {self.outer:g}; outer must exceed inner by at most 360"
            )
        if self.symmetric and span > 180:
            raise ValueError(f"symmetric sectors over {span:g}° would overlap; outer must exceed inner by at most 180")
        if self.width is not None and self.width * self.num > span * (1 + 1e-9):
            raise ValueError(
                f"{self.num} sectors of {self.width:g}° do not fit between {self.inner:g} and {self.outer:g}"
            )
        return self

    def all_edges(self) -> list[tuple[float, float]]:
        """First and last angle of each sector, degrees."""
        span = self.outer - self.inner
        width = span / self.num if self.width is None else self.width
        gap = (span - self.num * width) / (self.num - 1) if self.num > 1 else 0.0
        starts = [self.inner + self.flow_angle + k * (width + gap) for k in range(self.num)]
        return [(start, start + width) for start in starts]


class QPhi(Document):
    """Sectors of rings; numbered ring by ring."""

    kind: Literal["qphi"]
    rings: Rings
    angles: Angles

    @property
    def n_rois(self) -> int:
        """Number of sectors."""
        return self.rings.n_rois * self.angles.num


class Box(Document):
    """A rectangle of pixels, first row and column included, last excluded."""

    kind: Literal["box"] = "box"
    rows: tuple[Whole, Whole]
    columns: tuple[Whole, Whole]
    q: Positive | None = Field(None, description="to report, 1/Å; none: the mean over its pixels")


class Polygon(Document):
    """Pixels whose centres lie inside a polygon."""

    kind: Literal["polygon"]
    vertices: Annotated[tuple[tuple[Finite, Finite], ...], Field(min_length=3, max_length=1000)] = Field(
        description="(row, column) of each corner"
    )
    q: Positive | None = Field(None, description="to report, 1/Å; none: the mean over its pixels")


class Labels(Document):
    """Regions of a label array: 1, 2, ... on regions, 0 elsewhere, in the analysis frame."""

    kind: Literal["labels"]
    array: Name = Field(description="a .npy or .npz file in the folder of masks, or tiled:path/of/an/array")
    q_list: Annotated[tuple[Positive, ...], Field(max_length=MOST_ROIS)] | None = Field(
        None, description="of each region, 1/Å; none: the mean over its pixels"
    )
    phi_list: Annotated[tuple[Finite, ...], Field(max_length=MOST_ROIS)] | None = Field(
        None, description="of each region, degrees"
    )


class Named(Document):
    """A named ROI mask of the site: labels around [4000, 4000], shifted to the beam centre."""

    kind: Literal["named"]
    name: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+$", max_length=200, description="general_roi_mask_<name> in the folder of masks"
    )


class QMap(Document):
    """Dynamic bins of an APS qmap file."""

    kind: Literal["qmap"]
    file: Name = Field(description="an HDF5 file in the folder of masks")


def _kind(region: Any) -> str:
    """Rings where nothing else is said."""
    return str(region.get("kind", "rings")) if isinstance(region, Mapping) else str(getattr(region, "kind", "rings"))


AnyRegion = Annotated[
    Annotated[Rings, Tag("rings")]
    | Annotated[QPhi, Tag("qphi")]
    | Annotated[Box, Tag("box")]
    | Annotated[Polygon, Tag("polygon")]
    | Annotated[Labels, Tag("labels")]
    | Annotated[Named, Tag("named")]
    | Annotated[QMap, Tag("qmap")],
    Discriminator(_kind),
]


def _frame_kind(region: Any) -> str:
    """A box where nothing else is said."""
    return str(region.get("kind", "box")) if isinstance(region, Mapping) else str(getattr(region, "kind", "box"))


FrameRegion = Annotated[
    Annotated[Box, Tag("box")] | Annotated[Polygon, Tag("polygon")] | Annotated[Labels, Tag("labels")],
    Discriminator(_frame_kind),
]
