"""Frames in files: Eiger series, the beamline's sparse multifiles, and stacks of images."""

from twotime.files.detectors import Detector, detector_of
from twotime.files.eiger import EigerSeries, master_geometry, master_of, master_pixel_mask
from twotime.files.marks import denoised_file
from twotime.files.multifile import Multifile, write_multifile
from twotime.files.opening import open_frames
from twotime.files.stacks import HDF5Stack, ImageStack, NumpyStack

__all__ = [
    "Detector",
    "EigerSeries",
    "HDF5Stack",
    "ImageStack",
    "Multifile",
    "NumpyStack",
    "denoised_file",
    "detector_of",
    "master_geometry",
    "master_of",
    "master_pixel_mask",
    "open_frames",
    "write_multifile",
]
