"""Arrays in, arrays out: the numerical core of the analysis.

No module here reads files, clocks, the environment or the network.
"""

from twotime.xpcs.badframes import find_bad_frames
from twotime.xpcs.compact import mirrored
from twotime.xpcs.contrast import contrast_by_exposure, contrast_from_counts, contrast_from_lag_one
from twotime.xpcs.correlate import two_time, two_time_route
from twotime.xpcs.decay import DecayFits, decay, fit_decay
from twotime.xpcs.flatfield import static_image
from twotime.xpcs.geometry import angle_map, q_from_radius, q_map, radius_from_q, radius_map
from twotime.xpcs.growing import TwoTimeAccumulator
from twotime.xpcs.mask import FrameStatistics, find_bad_pixels, saturation_value
from twotime.xpcs.multitau import MultiTau, multi_tau
from twotime.xpcs.noise import find_noisy_pixels
from twotime.xpcs.onetime import AgeCuts, OneTime, age_cuts, one_time, one_time_covariance, pixel_covariance
from twotime.xpcs.pixels import CountMatrix, RoiPixels
from twotime.xpcs.qdependence import QDependence, fit_q_dependence
from twotime.xpcs.quality import Stationarity, stationarity
from twotime.xpcs.roi import labelled, ring_rois
from twotime.xpcs.trend import Trend, rate_trend
from twotime.xpcs.types import Geometry, Rois
from twotime.xpcs.variants import VariantFit, fit_variant

__all__ = [
    "AgeCuts",
    "CountMatrix",
    "DecayFits",
    "FrameStatistics",
    "Geometry",
    "MultiTau",
    "OneTime",
    "QDependence",
    "RoiPixels",
    "Rois",
    "Stationarity",
    "Trend",
    "TwoTimeAccumulator",
    "VariantFit",
    "age_cuts",
    "angle_map",
    "contrast_by_exposure",
    "contrast_from_counts",
    "contrast_from_lag_one",
    "decay",
    "find_bad_frames",
    "find_bad_pixels",
    "find_noisy_pixels",
    "fit_decay",
    "fit_q_dependence",
    "fit_variant",
    "labelled",
    "mirrored",
    "multi_tau",
    "one_time",
    "one_time_covariance",
    "pixel_covariance",
    "q_from_radius",
    "q_map",
    "radius_from_q",
    "radius_map",
    "rate_trend",
    "ring_rois",
    "saturation_value",
    "static_image",
    "stationarity",
    "two_time",
    "two_time_route",
]
