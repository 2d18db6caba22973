"""Whole analyses as files, by the ending of their names."""

from collections.abc import Callable
from pathlib import Path

from twotime.errors import RecipeError
from twotime.export.nexus import write_nexus
from twotime.export.results_file import write_results
from twotime.results import Analysis

WRITERS: dict[str, Callable[[Path, Analysis], None]] = {
    ".nxs": write_nexus,
    ".h5": write_results,
    ".hdf5": write_results,
}
"""NeXus (NXxpcs with the paths of the APS), or one dataset for each published node."""


def check_name(path: Path) -> None:
    """Refuse a name whose ending says no format; raises `RecipeError`."""
    if path.suffix.lower() not in WRITERS:
        raise RecipeError(f"The file {path} has no known ending; .nxs gives NeXus, .h5 one dataset for each node.")


def write_file(path: Path, analysis: Analysis) -> None:
    """Write a whole analysis, whole or not at all; raises `RecipeError` where the ending says no format."""
    check_name(path)
    WRITERS[path.suffix.lower()](path, analysis)
