"""``twotime plan-capacity``: cores, memory and disk for what a beamline measures."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from twotime.cli.progress import ProgressBar
from twotime.pipeline.capacity import USABLE, Capacity, Demand, Measurement, capacity
from twotime.settings import Settings


def plan_capacity(
    settings: Settings,
    demand: Demand,
    console: Console,
    *,
    measurement: Path | None = None,
    save: Path | None = None,
    as_json: bool = False,
) -> None:
    """Print what it takes, from a stored measurement or one that is made now.

    Parameters
    ----------
    measurement : file that `save` wrote; None: measure this machine
    save : file for the measurement

    Raises
    ------
    InputError
        If the demand contradicts itself, or the file holds no measurement.
    """
    measured = _measured(settings, console, measurement, quiet=as_json)
    if save is not None:
        measured.save(save)
    found = capacity(demand, measured, round(settings.memory_gib * 2**30))
    if as_json:
        document = {"demand": asdict(demand), "capacity": found.document(), "measurement": asdict(measured)}
        print(json.dumps(document, indent=2))
    else:
        _print(demand, found, measured, console)


def _measured(settings: Settings, console: Console, file: Path | None, *, quiet: bool) -> Measurement:
    if file is not None:
        return Measurement.load(file)
    from twotime.cli.capacity_measurement import measure  # loads the networks and Tiled, which a stored one spares

    with ProgressBar(Console(quiet=True) if quiet else console) as bar:
        return measure(bar, settings)


def _print(demand: Demand, found: Capacity, measured: Measurement, console: Console) -> None:
    total_s = sum(found.seconds.values())
    scan_s = demand.n_frames / demand.frame_rate_hz
    table = Table(
        title=f"{demand.n_frames} frames of {demand.n_pixels / 1e6:.3g} megapixels in {scan_s:.3g} s, "
        f"{demand.n_rois} ROIs of {demand.pixels_per_roi} pixels, {demand.scans_per_day:g} scans a day"
    )
    for heading in ("needs", "how much", "for"):
        table.add_column(heading)
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.seconds.items())
    table.add_row("processor time", f"{total_s:.1f} s", f"one scan: {stages}")
    table.add_row("cores", str(found.cores_for_the_day), f"all scans within the day, {USABLE:.0%} busy")
    table.add_row("cores", str(found.cores_to_keep_up), "scans one after the other, without a pause")
    table.add_row("cores", f"{found.cores_for_live:.1f}", "following one scan live")
    table.add_row("memory", f"{found.worker_bytes / 2**30:.1f} GiB", "each worker")
    table.add_row("disk", f"{found.stored_bytes / 1e6:.0f} MB", "results of one scan")
    table.add_row("disk", f"{found.stored_bytes_per_day / 1e9:.1f} GB", "results of a day")
    table.add_row("disk", f"{found.frame_bytes_per_day / 1e9:.1f} GB", "detector files of a day, which are only read")
    console.print(table)
    for note in found.notes:
        console.print(f"- {note}", style="dim", highlight=False)
    console.print(
        f"From costs measured on {measured.machine} (processor time, one thread; typical error "
        f"{measured.typical_error:.0%}). Frames lie in files that the service reads in place, with 0.5 photons "
        "per pixel.",
        style="dim",
        highlight=False,
    )
