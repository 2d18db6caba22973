"""``twotime export``: a finished analysis as a file, or as files of another program."""

from pathlib import Path

from rich.console import Console

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.read import read_analysis
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.cli.tiled import tiled_of
from twotime.export.files import Dialect, check_name, write_file
from twotime.results import FRAME_IMAGES
from twotime.settings import Settings


def export(
    settings: Settings,
    analysis_id: str,
    out: Path,
    dialect: Dialect | None,
    image: str | None,
    console: Console,
) -> None:
    """Write all of an analysis into a file; see `twotime.export.files.write_file`.

    Raises
    ------
    AnalysisNotFound
        If there is no such analysis.
    NotReady
        If it is not done.
    RecipeError
        If the name of the file says no known format.
    """
    shown = next((one for one in FRAME_IMAGES if one == image), None)
    check_name(out, dialect, shown)
    with tiled_of(settings, console) as reached, opened_root(reached) as root:
        store = AnalysisStore(results_container(root, reached))
        analysis = read_analysis(store, analysis_id)
    write_file(out, analysis, dialect, shown)
    console.print(f"Wrote {out}")
