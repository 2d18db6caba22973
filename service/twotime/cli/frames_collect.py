"""``twotime frames collect``: frames of runs in Tiled as training data for the denoiser of frames."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from databroker.client import BlueskyRun, CatalogOfBlueskyRuns
from rich.console import Console

from frame_denoiser.collection import Collection
from twotime.catalog.runs.mask_library import MaskLibrary
from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run, list_runs, search_runs
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.cli.progress import ProgressBar
from twotime.cli.tiled import tiled_of
from twotime.errors import InputError, UnusableRun
from twotime.pipeline import FramePlan, plan_of
from twotime.pipeline.summing import sum_frames
from twotime.recipe import FrameRecipe
from twotime.settings import Settings

MOST_BYTES = 2**28
"""Counts of one run, in 4 bytes; of longer runs the first frames are taken."""


def collect_frames(
    settings: Settings,
    out: Path,
    *,
    recipe: FrameRecipe,
    samples: Sequence[str],
    excluded: Sequence[str],
    same: Sequence[str],
    limit: int,
    console: Console,
) -> None:
    """Store the frames of finished runs; runs that are there already are not read again.

    Parameters
    ----------
    out : folder
    recipe : detector, frames to add, gain and masks
    samples : only these; empty: all
    excluded : uids, or their beginnings, of runs to leave out
    same : fields of the start document; runs that agree in them, in sample and in detector show the same scattering,
        and serve as long and short exposures of each other. Empty: each run for itself
    limit : runs of each sample at most, or of all where no sample is named, the newest

    Raises
    ------
    ValueError
        If `out` holds runs that were taken otherwise.
    """
    options = {"recipe": recipe.model_dump(mode="json", exclude_defaults=True), "same": sorted(same)}
    collection = Collection(out, options)
    left_out: Counter[str] = Counter()
    with tiled_of(settings, console) as reached, ProgressBar(console) as bar, opened_root(reached) as root:
        raw, library = raw_catalog(root, reached), MaskLibrary(root, reached)
        uids = [uid for uid in _finished(raw, samples, limit) if not uid.startswith(tuple(excluded) or "\0")]
        for number, uid in enumerate(uids):
            bar(f"reading {len(uids)} runs", number / len(uids))
            if collection.has(uid):
                continue
            try:
                _collect(collection, find_run(raw, uid), recipe, same, reached, library)
            except InputError as error:
                left_out[str(error)] += 1
    for reason, times in left_out.most_common():
        console.print(f"Left out {times} x: {reason}", highlight=False, markup=False)
    if not collection.runs:
        raise ValueError("No run was collected; name other samples, or a recipe that fits the runs.")
    frames = sum(run.frames for run in collection.runs.values())
    groups = len({run.group for run in collection.runs.values()})
    console.print(
        f"{out}: {frames} frames of {len(collection.runs)} runs, which show {groups} different scatterings. "
        f"Next: twotime frames train VERSION --data {out}",
        highlight=False,
        soft_wrap=True,
    )


def _finished(raw: CatalogOfBlueskyRuns, samples: Sequence[str], limit: int) -> list[str]:
    """Uids of finished runs, newest first, `limit` of each sample at most."""
    if not samples:
        return [one.uid for one in list_runs(raw, limit=limit) if one.finished]
    return [uid for sample in samples for uid, _ in search_runs(raw, sample=sample, limit=limit)]


def _collect(
    collection: Collection,
    run: BlueskyRun,
    recipe: FrameRecipe,
    same: Sequence[str],
    settings: Settings,
    library: MaskLibrary,
) -> None:
    """Read one run and store it; raises `InputError` where it cannot be used."""
    start, stop = run.metadata["start"], run.metadata["stop"]
    if stop.get("exit_status") != "success":
        raise UnusableRun("It did not end with success.")
    facts = run_facts(
        run,
        recipe.detector,
        direct=settings.read_in_place,
        path_map=settings.path_map,
        folders=settings.detector_dirs,
    )
    the_plan = plan_of(facts, _bounded(recipe, facts.shape), library)
    assert isinstance(the_plan, FramePlan)
    source = TiledFrames(
        run, facts, direct=settings.read_in_place, path_map=settings.path_map, folders=settings.detector_dirs
    )
    summed = sum_frames(source, the_plan, lambda *_: None)
    collection.add(
        facts.uid,
        summed.counts,
        summed.mask,
        scan_id=facts.scan_id,
        sample=facts.sample,
        detector=facts.detector,
        group=_group(start, facts.uid, facts.sample, facts.detector, same),
    )


def _bounded(recipe: FrameRecipe, shape: tuple[int, ...]) -> FrameRecipe:
    """The recipe for as many frames as are stored of one run."""
    frames = recipe.frames
    stop = shape[0] if frames.stop is None else frames.stop
    fitting = max(1, MOST_BYTES // (4 * shape[1] * shape[2])) * frames.sum * frames.stride
    bounded = frames.model_copy(update={"stop": min(stop, shape[0], frames.start + fitting)})
    return recipe.model_copy(update={"frames": bounded})


def _group(start: Any, uid: str, sample: str | None, detector: str, same: Sequence[str]) -> str:
    """Name that runs of the same scattering share; the uid where nothing says which runs these are."""
    missing = [name for name in same if name not in start]
    if missing:
        raise UnusableRun(f"Its start document has no {', '.join(missing)}, which --same names.")
    if not same:
        return uid
    return " ".join([str(sample), detector, *(f"{name}={start[name]}" for name in sorted(same))])
