"""Denoising of detector frames with few photons: counts in, rates with standard errors out."""

from frame_denoiser.denoiser import DenoisedFrames, FrameDenoiser
from frame_denoiser.peaks import Peak, find_peaks
from frame_denoiser.profiles import Profile, line_profile
from frame_denoiser.regions import RegionCounts, region_counts

__all__ = [
    "DenoisedFrames",
    "FrameDenoiser",
    "Peak",
    "Profile",
    "RegionCounts",
    "find_peaks",
    "line_profile",
    "region_counts",
]
