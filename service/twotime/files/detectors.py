"""Detectors whose ways are known; any other works from a recipe alone."""

from dataclasses import dataclass

from twotime.xpcs.orientation import Orientation


@dataclass(frozen=True)
class Detector:
    """A kind of detector.

    Attributes
    ----------
    name : as it begins in documents, in lower case
    orientation : from its frames to the analysis frame
    pixel_size_m : edge of its pixels, m
    shortest_frame_time_s : from frame to frame, s
    """

    name: str
    orientation: Orientation
    pixel_size_m: float
    shortest_frame_time_s: float


EIGERS = (
    Detector("eiger4m", "flipped", 75e-6, 0.0007),
    Detector("eiger1m", "flipped", 75e-6, 0.00034),
    Detector("eiger500k", "flipped and turned", 75e-6, 0.000112),
)
"""The Eigers of CHX, whose notebooks turn frames upside down, and those of the 500K by 90° as well."""


def detector_of(image_key: str) -> Detector | None:
    """The detector behind an image key such as ``eiger500K_single_image``, in any case; None where it is not known."""
    key = image_key.lower()
    return next((detector for detector in EIGERS if key.startswith(detector.name)), None)
