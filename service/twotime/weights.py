"""The ensemble and the frame denoiser, with their failures as the service names them."""

from functools import cached_property
from pathlib import Path

from cnn_ed import Ensemble
from frame_denoiser import FrameDenoiser
from twotime.errors import WeightsDamaged


def load_ensemble(folder: Path | None) -> Ensemble:
    """The ensemble of a folder, or the shipped one.

    Raises
    ------
    WeightsDamaged
        If a file is missing or is not the one that the card describes.
    """
    try:
        ensemble = Ensemble.load() if folder is None else Ensemble.load(path=folder)
        assert ensemble.estimator  # Read here, so that damage is told here.
        return ensemble
    except (ValueError, OSError) as error:
        raise WeightsDamaged(f"The models cannot be loaded: {error}") from error


def load_frame_denoiser(folder: Path | None) -> FrameDenoiser:
    """The frame denoiser of a folder, or the shipped one; raises `WeightsDamaged`."""
    try:
        return FrameDenoiser.load(folder)
    except (ValueError, OSError) as error:
        raise WeightsDamaged(f"The frame denoiser cannot be loaded: {error}") from error


class Models:
    """The models of a site, each loaded when an analysis first needs it; raises `WeightsDamaged` then.

    Parameters
    ----------
    ensemble_folder, frame_denoiser_folder : of other weights than the shipped ones
    """

    def __init__(self, ensemble_folder: Path | None = None, frame_denoiser_folder: Path | None = None) -> None:
        self._ensemble_folder = ensemble_folder
        self._frame_denoiser_folder = frame_denoiser_folder

    @cached_property
    def ensemble(self) -> Ensemble:
        """Denoises two-time correlation functions."""
        return load_ensemble(self._ensemble_folder)

    @cached_property
    def frame_denoiser(self) -> FrameDenoiser:
        """Denoises detector frames."""
        return load_frame_denoiser(self._frame_denoiser_folder)
