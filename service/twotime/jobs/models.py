"""The ensemble, with its failures as the service names them."""

from cnn_ed import Ensemble
from twotime.errors import WeightsDamaged


def load_ensemble() -> Ensemble:
    """The shipped ensemble.

    Raises
    ------
    WeightsDamaged
        If a file is missing or is not the one that was published.
    """
    try:
        return Ensemble.load()
    except (ValueError, OSError) as error:
        raise WeightsDamaged(f"The models cannot be loaded: {error} Install twotime again.") from error
