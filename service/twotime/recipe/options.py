"""The recipe of correlation functions."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from twotime.recipe.document import MOST, Document, Finite, Name, NotNegative, Positive, Whole
from twotime.recipe.regions import FRAME_REGIONS, KINDS, MOST_ROIS, AnyRegion, Box
from twotime.xpcs.orientation import Orientation

DECAY_PARAMETERS = ("relaxation_rate", "beta", "baseline", "alpha")
DecayParameter = Literal["relaxation_rate", "beta", "baseline", "alpha"]
MOST_MASKS = 100
"""Of boxes, of masks of the registry and of mask files: each one is read or drawn for every plan."""
MOST_FRAMES = 100_000
"""Of frames named one by one: the recipe stands in the metadata of its analysis."""


class GeometryOptions(Document):
    """Overrides of the run's own geometry; what is left out comes from the run."""

    beam_center_y: Finite | None = Field(None, description="row of the direct beam in the analysis frame, pixels")
    beam_center_x: Finite | None = Field(None, description="column of the direct beam in the analysis frame, pixels")
    distance_m: Positive | None = Field(None, description="sample to detector, m")
    wavelength_angstrom: Positive | None = Field(None, description="wavelength, Å")
    pixel_size_m: Positive | None = Field(None, description="pixel edge, m")
    frame_time_s: Positive | None = Field(None, description="from frame to frame, s")
    orientation: Orientation | None = Field(
        None, description="from the frame as written to the analysis frame; none: that of the detector, else raw"
    )
    center_convention: Literal["pychx", "exact"] = Field(
        "pychx", description="a recorded beam centre y of a flipped frame of H rows becomes H - y, or exactly H - 1 - y"
    )


class MaskName(Document):
    """A mask in the registry of the beamline."""

    name: Name
    version: Whole | None = Field(None, description="none: the newest")


class StaticMaskOptions(Document):
    """Which pixels to leave out in either kind of analysis, besides those with the saturation value of the detector."""

    pixel_mask: bool = Field(True, description="leave out what the detector's own master file masks")
    hot_above_counts: int | None = Field(None, ge=1, le=MOST, description="leave out pixels above this in any frame")
    dark_below_mean: NotNegative | None = Field(None, description="leave out pixels whose mean count is below this")
    boxes: tuple[Box, ...] = Field((), max_length=MOST_MASKS, description="rectangles to leave out, e.g. a beamstop")
    registry: tuple[MaskName, ...] = Field(
        (), max_length=MOST_MASKS, description="masks of the beamline's registry in Tiled; all hold"
    )
    files: tuple[Name, ...] = Field(
        (), max_length=MOST_MASKS, description=".npy or .npz files in the folder of masks; False or 0 leaves out"
    )


class MaskOptions(StaticMaskOptions):
    """Which pixels to leave out, besides those that carry the detector's own saturation value."""

    from_data: bool = Field(True, description="find dead and hot pixels and gaps in the frames themselves")
    noisy: bool = Field(True, description="with from_data: also ROI pixels that flicker or drift by themselves")


class FrameOptions(Document):
    """Which frames to correlate."""

    start: int = Field(0, ge=0, le=MOST, description="first frame")
    stop: int | None = Field(None, ge=1, le=MOST, description="one past the last frame; none: to the end")
    stride: int = Field(1, ge=1, le=MOST, description="take every n-th frame")
    bin: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = Field(
        "auto", description="add so many neighbouring frames; auto: 1, or as many as memory demands"
    )
    exclude: tuple[Whole, ...] = Field(
        (), max_length=MOST_FRAMES, description="frames to leave out, numbered as in the run"
    )
    keep: tuple[Whole, ...] = Field(
        (), max_length=MOST_FRAMES, description="frames to keep although their intensity or their speckle stands out"
    )
    find_bad: bool = Field(True, description="find beam losses, spikes, and frames in which beam or detector had moved")
    accept_failed_run: bool = Field(False, description="analyse a run whose exit status is not success")
    on_damage: Literal["continue", "stop"] = Field(
        "continue", description="with missing, repeated or damaged frames: go on with the sound ones, or stop"
    )


class DenoiseOptions(Document):
    """How to remove the noise of the two-time correlation functions."""

    enabled: bool = True
    contrast: Literal["smooth", "window", "global"] = Field(
        "smooth",
        description="scale windows by the scan's baseline and a contrast that follows age as far as the data show it, "
        "each by its own lag 1 (Eq. 5), or all by one contrast and baseline (Eq. 7); the fitted curve takes "
        "Eq. 5 where this says smooth",
    )
    stride: Literal["auto"] | Annotated[int, Field(ge=1, le=100)] = Field(
        "auto", description="denoise every n-th frame, so that slow dynamics reach the trained range"
    )


class FitOptions(Document):
    """How to fit the decay C∞ + β exp(-2 (Γ τ)^α); rates in 1/s."""

    fixed: dict[DecayParameter, float] = Field({}, description="parameters that are known")
    bounds: dict[DecayParameter, tuple[float, float]] = Field({}, description="lowest and highest allowed value")
    weighted: bool = Field(True, description="weigh each lag by its error")
    ages: int = Field(8, ge=0, le=200, description="number of age cuts per ROI; 0: none")
    age_width: Positive | None = Field(None, description="of each age cut, frames; none: they touch")
    age_baseline: Literal["own", "whole"] = Field(
        "own", description="C∞ of the age cuts: fitted for each, or that of the whole scan, with its error carried on"
    )
    variants: tuple[Literal["vibration", "flow"], ...] = Field(
        (), max_length=2, description="decays to fit to the measured curves besides, into fits_variant"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "FitOptions":
        for name, (low, high) in self.bounds.items():
            if not low < high:
                raise ValueError(f"bounds of {name} are [{low:g}, {high:g}]; the first must be below the second")
            if name in self.fixed:
                raise ValueError(f"{name} is both fixed and bounded; drop one of the two")
        return self


class Recipe(Document):
    """How to correlate the frames of a run; every field may be left out."""

    # Left out of dumps: recipes, digests and ids of analyses from before there were kinds stay as they are.
    kind: Literal["xpcs"] = Field("xpcs", exclude=True, description="correlation functions; frames: denoised frames")
    version: Literal[1] = 1
    detector: Name | None = Field(None, description="image key; none: the area detector found in the run")
    geometry: GeometryOptions = GeometryOptions()
    masks: MaskOptions = MaskOptions()
    frames: FrameOptions = FrameOptions()
    normalisation: Literal["frame", "azimuthal", "smoothed", "flux"] = Field(
        "frame",
        description="divide by the mean of each frame; before that, each pixel by the azimuthal mean or the smoothed "
        "mean image; or each frame by the incident flux",
    )
    rois: tuple[AnyRegion, ...] = Field(
        (), max_length=500, description="none: ten rings, or sectors where the run asks for q and φ"
    )
    min_pixels: int = Field(10, ge=1, le=MOST, description="leave out ROIs with fewer usable pixels")
    denoise: DenoiseOptions = DenoiseOptions()
    fit: FitOptions = FitOptions()

    @model_validator(mode="after")
    def _few_enough(self) -> "Recipe":
        number = sum(getattr(region, "n_rois", 1) for region in self.rois)
        if number > MOST_ROIS:
            raise ValueError(f"rois name {number} ROIs; take at most {MOST_ROIS}, such as fewer rings or sectors")
        return self


def sentence(item: Any, prefix: str = "") -> str:
    """What pydantic found wrong, for a reader who knows only the recipe."""
    loc = item["loc"]
    # Behind the number of a ROI pydantic names its kind, which the reader did not write there.
    parts = [part for k, part in enumerate(loc) if not (k == 2 and loc[0] in ("rois", "regions") and part in KINDS)]
    place = ".".join(str(part) for part in ([prefix] * bool(prefix) + parts)) or "recipe"
    if item["type"] == "union_tag_invalid":
        return f"{place}.kind: there is no kind {item['ctx']['tag']!r}; {_kinds(place)}."
    if item["type"] == "extra_forbidden":
        return f"{place} is not a field of the recipe; remove it or correct its name."
    given = item.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) or given is None else ""
    return f"{place}: {item['msg'].removeprefix('Value error, ')}{shown}."


def _kinds(place: str) -> str:
    if place.startswith("regions"):
        return f"regions are {', '.join(FRAME_REGIONS)}"
    return f"ROIs are {', '.join(KINDS)}"
