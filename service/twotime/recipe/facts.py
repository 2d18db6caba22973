"""What a run says of itself, as far as an analysis needs it."""

from dataclasses import dataclass, field

from twotime.xpcs.orientation import Orientation, oriented_shape

GEOMETRY_UNITS = {
    "beam_center_y": "pixel",
    "beam_center_x": "pixel",
    "distance_m": "m",
    "wavelength_angstrom": "Å",
    "pixel_size_m": "m",
    "frame_time_s": "s",
}


@dataclass(frozen=True)
class Found:
    """A value and the place it was read from."""

    value: float
    source: str


@dataclass(frozen=True)
class RunFacts:
    """What a run says of itself.

    Attributes
    ----------
    uid, scan_id, sample, start_time : from the start document; time in s since 1970
    detector : image key of the frames
    shape : (N, H, W) frames, rows, columns as the detector writes them
    geometry : what the run records of each field of `Geometry`; the beam centre in the frame as written
    orientation : of this kind of detector, unless the recipe knows better
    shortest_frame_time_s : that the detector can do; None where unknown
    exposure_s : of one frame; None where not recorded
    announced : frames that the detector was asked for; None where not recorded
    frames_per_file : of the detector files; None where not recorded
    analysis : what the start document asks for, such as "iso" or "qphi"; empty where it says nothing
    access_tags : by which Tiled decides who sees the run, and so what is written of it
    scalars : names of the numbers that the run records beside the frames
    denoised : where it says that its frames are denoised ones; empty where they are as measured
    """

    uid: str
    detector: str
    shape: tuple[int, int, int]
    scan_id: int | None = None
    sample: str | None = None
    start_time: float | None = None
    geometry: dict[str, Found] = field(default_factory=dict)
    orientation: Orientation = "raw"
    shortest_frame_time_s: float | None = None
    exposure_s: float | None = None
    announced: int | None = None
    frames_per_file: int | None = None
    analysis: str = ""
    access_tags: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    denoised: str = ""

    def frame_shape(self, orientation: Orientation) -> tuple[int, int]:
        """Rows and columns of the analysis frame."""
        return oriented_shape((self.shape[1], self.shape[2]), orientation)
