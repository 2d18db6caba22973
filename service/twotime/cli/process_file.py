"""``twotime process FILE``: analyse frames that lie in a file, without Tiled."""

from pathlib import Path

from rich.console import Console

from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.cli.process import print_plan
from twotime.cli.progress import ProgressBar
from twotime.export.files import check_name, write_file
from twotime.export.frame_text import frames_text
from twotime.export.tables import fits_text
from twotime.files import open_frames
from twotime.pipeline import analysis_of, plan_of
from twotime.recipe import load_recipe
from twotime.settings import Settings
from twotime.weights import Models


def process_file(
    settings: Settings, path: Path, recipe_file: Path | None, out: Path | None, *, dry_run: bool, console: Console
) -> None:
    """Analyse a file of frames, print what was found, and write all of it into one file.

    Parameters
    ----------
    path : see `twotime.files.open_frames`
    out : file to write, see `twotime.export.files`; None: only print
    dry_run : only print the resolved recipe and the ROIs

    Raises
    ------
    TwotimeError
        If file or recipe cannot be used.
    """
    if out is not None:
        check_name(out)
    source = open_frames(path, settings.detector_dirs)
    recipe, library = load_recipe(recipe_file), MaskLibrary(None, settings)
    if dry_run:
        print_plan(plan_of(source.facts, recipe, library, budget_bytes=library.budget_bytes).document(), console)
        return
    with ProgressBar(console) as bar:
        analysis = analysis_of(
            source,
            recipe,
            Models(settings.ensemble, settings.frame_denoiser),
            bar,
            library=library,
            budget_bytes=library.budget_bytes,
        )
    if analysis.kind == "xpcs":
        console.print(fits_text(analysis.tables["fits"]))
    else:
        console.print(frames_text(analysis.tables, analysis.resolved["verdict"], None), highlight=False)
    for warning in analysis.warnings:
        console.print(f"- {warning}", style="dim", highlight=False)
    if out is not None:
        write_file(out, analysis)
        console.print(f"Wrote {out}")
