"""Scans with known dynamics, written as a beamline writes them."""

from twotime.simulate.beamline import Scan, run_documents, truth_of, write_run
from twotime.simulate.defects import Defects, with_defects, with_flux
from twotime.simulate.demo import demo_frames, demo_model
from twotime.simulate.eiger_file import EigerFile, read_frames_file
from twotime.simulate.speckle import SpeckleModel, simulate_frames
from twotime.simulate.transition import TransitionModel

__all__ = [
    "Defects",
    "EigerFile",
    "Scan",
    "SpeckleModel",
    "TransitionModel",
    "demo_frames",
    "demo_model",
    "read_frames_file",
    "run_documents",
    "simulate_frames",
    "truth_of",
    "with_defects",
    "with_flux",
    "write_run",
]
