"""The recipe of denoised frames."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from twotime.recipe.document import MOST, Document, Name, Positive, Whole
from twotime.recipe.options import MOST_FRAMES, StaticMaskOptions
from twotime.recipe.regions import MOST_REGIONS, FrameRegion, Labels
from twotime.xpcs.orientation import Orientation


class FrameMaskOptions(StaticMaskOptions):
    """Which pixels to leave out of denoised frames, besides those with the saturation value of the detector."""

    isolated: bool = Field(
        True, description="find pixels that all frames together show to be dead or hot among their neighbours"
    )


class SumOptions(Document):
    """Which frames to denoise, and how many of them to add first."""

    start: int = Field(0, ge=0, le=MOST, description="first frame")
    stop: int | None = Field(None, ge=1, le=MOST, description="one past the last frame; none: to the end")
    stride: int = Field(1, ge=1, le=MOST, description="take every n-th frame")
    sum: int = Field(1, ge=1, le=MOST, description="add so many of these frames, one after the other, to one")
    exclude: tuple[Whole, ...] = Field(
        (), max_length=MOST_FRAMES, description="frames to leave out, numbered as in the run"
    )
    accept_failed_run: bool = Field(False, description="analyse a run whose exit status is not success")
    on_damage: Literal["continue", "stop"] = Field(
        "continue", description="with missing or damaged frames: go on with the sound ones, or stop"
    )


class PeakOptions(Document):
    """Which peaks to report."""

    find: bool = Field(True, description="look for peaks in each denoised frame")
    significance: Annotated[float, Field(ge=3, le=1000, allow_inf_nan=False)] = Field(
        5.0, description="least counts above the local background, in standard errors"
    )
    most: int = Field(200, ge=1, le=10_000, description="report so many of each frame, the most significant")


class FrameRecipe(Document):
    """How to denoise the frames of a run; all but the kind may be left out."""

    kind: Literal["frames"]
    version: Literal[1] = 1
    detector: Name | None = Field(None, description="image key; none: the area detector found in the run")
    orientation: Orientation | None = Field(
        None, description="from the frame as written to the analysis frame; none: that of the detector, else raw"
    )
    gain: Positive | None = Field(
        None, description="value that one photon adds, for detectors that integrate; none: the frames hold counts"
    )
    masks: FrameMaskOptions = FrameMaskOptions()
    frames: SumOptions = SumOptions()
    regions: tuple[FrameRegion, ...] = Field(
        (), max_length=MOST_REGIONS, description="whose counts to sum in every frame; they may not overlap"
    )
    peaks: PeakOptions = PeakOptions()
    scan_variable: Name | None = Field(
        None,
        description="scalar of the run that the frames are shown against; none: one that changes, temperature first",
    )

    @model_validator(mode="after")
    def _in_pixels(self) -> "FrameRecipe":
        for number, region in enumerate(self.regions):
            given = (region.q_list, region.phi_list) if isinstance(region, Labels) else (region.q,)
            if any(value is not None for value in given):
                raise ValueError(f"regions.{number} names a momentum transfer, which nothing here uses; leave it out")
        return self
