"""The ensemble, with its failures as the service names them."""

from pathlib import Path

from cnn_ed import Ensemble
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
