"""``twotime process``: analyse one run here and now, with a progress bar."""

import asyncio
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.cli.progress import ProgressBar
from twotime.cli.tiled import tiled_of
from twotime.errors import TwotimeError
from twotime.export.frame_text import frames_text
from twotime.export.tables import fits_text
from twotime.jobs import Service
from twotime.recipe import AnyRecipe, load_recipe
from twotime.settings import Settings

_POLL_S = 0.5


def process(
    settings: Settings, reference: str, recipe_file: Path | None, *, dry_run: bool, force: bool, console: Console
) -> None:
    """Analyse a run, print what was found and where it was published.

    Parameters
    ----------
    reference : uid, its beginning, scan_id, or -1 for the newest run
    dry_run : only print the resolved recipe and the ROIs

    Raises
    ------
    TwotimeError
        If the run or recipe cannot be used, or the analysis fails.
    """
    recipe = load_recipe(recipe_file)
    with tiled_of(settings, console) as reached:
        asyncio.run(
            _process(reached.model_copy(update={"automatic": False}), reference, recipe, dry_run, force, console)
        )


async def _process(
    settings: Settings, reference: str, recipe: AnyRecipe, dry_run: bool, force: bool, console: Console
) -> None:
    service = Service(settings)
    await service.start()
    try:
        await _until_reachable(service)
        if dry_run:
            print_plan(await service.unrestricted.plan(reference, recipe), console)
            return
        record = await service.unrestricted.submit(reference, recipe, force=force)
        with ProgressBar(console) as bar:
            record = await _until_ended(service, record, bar)
        if record.status != "done":
            raise TwotimeError(f"Analysis {record.id} is {record.status}: {record.error}")
        console.print(await _numbers(service, record), highlight=False)
        for warning in record.warnings:
            console.print(f"- {warning}", style="dim", highlight=False)
        console.print(f"Published as {settings.results_path}/{record.id}/{record.final} in {settings.tiled_uri}")
    finally:
        await service.stop()


async def _numbers(service: Service, record: AnalysisRecord) -> Table | str:
    """The headline numbers of either kind of analysis."""
    if record.kind == "xpcs":
        return fits_text(await service.unrestricted.read_table(record.id, "fits"))
    names = ("frames", "regions") if record.recipe["regions"] else ("frames",)
    tables = {name: await service.unrestricted.read_table(record.id, name) for name in names}
    return frames_text(tables, record.facts["verdict"], record.facts.get("scan_variable"))


async def _until_reachable(service: Service) -> None:
    while service.health().tiled != "reachable":
        await asyncio.sleep(0.1)


async def _until_ended(service: Service, record: AnalysisRecord, bar: ProgressBar) -> AnalysisRecord:
    while not record.ended:
        if record.stage:
            bar(record.stage, record.progress)
        await asyncio.sleep(_POLL_S)
        record = await service.unrestricted.analysis(record.id)
    return record


def print_plan(plan: dict[str, object], console: Console) -> None:
    """Show geometry with sources, ROIs and warnings of a plan's document."""
    geometry = Table("field", "value", "unit", "source", show_edge=False)
    for row in plan["geometry"]:  # type: ignore[attr-defined]  # a list of rows, see Plan.document
        geometry.add_row(row["name"], f"{row['value']:g}", row["unit"], row["source"])
    console.print(f"{plan['n_frames']} frames of {plan['detector']} of run {plan['raw_uid']}")
    console.print(geometry)
    console.print(_roi_table(plan["rois"]))  # type: ignore[arg-type]  # a list of rows
    for warning in plan["warnings"]:  # type: ignore[attr-defined]  # a list of sentences
        console.print(f"- {warning}", style="dim", highlight=False)


def _roi_table(rows: list[dict[str, Any]]) -> Table:
    """ROIs or, of denoised frames, regions, which have no q."""
    if all(row["q"] is None for row in rows):
        regions = Table("region", "pixels", show_edge=False)
        for row in rows:
            regions.add_row(str(row["roi"]), str(row["n_pixels"]))
        return regions
    rois = Table("ROI", "q (1/Å)", "from", "to", "φ (°)", "pixels", show_edge=False)
    for row in rows:
        edges = ["-" if row[edge] is None else f"{row[edge]:.5f}" for edge in ("q_inner", "q_outer")]
        phi = "-" if row["phi"] is None else f"{row['phi']:.1f}"
        rois.add_row(str(row["roi"]), f"{row['q']:.5f}", *edges, phi, str(row["n_pixels"]))
    return rois
