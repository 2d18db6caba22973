"""``twotime collect``: training examples from the analyses in Tiled."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from cnn_ed.collect import Collection, Measured
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.read import read_array, read_table
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.cli.progress import ProgressBar
from twotime.cli.tiled import tiled_of
from twotime.cli.training import TRAINING, VALIDATION
from twotime.settings import Settings
from twotime.xpcs import stationarity

_PAGE = 200


def collect(
    settings: Settings,
    out: Path,
    *,
    window: int,
    validation: float,
    samples: Sequence[str],
    excluded: Sequence[str],
    console: Console,
) -> None:
    """Write the windows of all finished analyses, one analysis of each run, into the two files that training reads.

    Parameters
    ----------
    out : folder for the files
    window : frames of a window
    validation : share of the runs that go into the validation file
    samples : only these; empty: all
    excluded : uids, or their beginnings, of runs to leave out

    Raises
    ------
    ValueError
        If no run is left for one of the files.
    """
    collection = Collection(window)
    with tiled_of(settings, console) as reached, opened_root(reached) as root:
        store = AnalysisStore(results_container(root, reached))
        records = [
            record
            for record in _newest_of_each_run(store)
            if (not samples or record.sample in samples) and not record.raw_uid.startswith(tuple(excluded) or "\0")
        ]
        with ProgressBar(console) as progress:
            for number, record in enumerate(records):
                for measured in _measured(store, record):
                    collection.add(measured)
                progress(f"reading {len(records)} analyses", (number + 1) / len(records))
    for reason, number in collection.left_out.most_common():
        console.print(f"Left out {number} x: {reason}.", highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    for (kind, arrays), name in zip(collection.divided(validation).items(), (TRAINING, VALIDATION), strict=True):
        np.savez_compressed(out / name, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for options
        runs, targets = len(set(arrays["experiment"].tolist())), len(arrays["targets"])
        console.print(
            f"{out / name}: {len(arrays['inputs'])} windows of {targets} targets from {runs} runs for {kind}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Next: twotime train {out} VERSION", highlight=False, soft_wrap=True)


def _newest_of_each_run(store: AnalysisStore) -> Iterator[AnalysisRecord]:
    seen: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        records, total = store.search(status="done", limit=_PAGE, offset=offset)
        offset += _PAGE
        for record in records:
            if record.raw_uid not in seen:
                seen.add(record.raw_uid)
                yield record


def _measured(store: AnalysisStore, record: AnalysisRecord) -> Iterator[Measured]:
    fits, ages = (read_table(store, record.id, name) for name in ("fits", "fits_age"))
    for row in fits.to_dict("records"):
        roi = int(row["roi"])
        yield Measured(
            experiment=record.raw_uid,
            roi=roi,
            c2=read_array(store, record.id, "two_time", roi),
            contrast=float(row["contrast"]),
            contrast_error=float(row["contrast_error"]),
            rate_per_frame=float(row["raw_relaxation_rate_per_frame"]),
            stationary=_stationary(ages[ages["roi"] == roi]),
        )


def _stationary(ages: pd.DataFrame) -> bool | None:
    if ages.empty:
        return None
    rate, error = (ages[f"raw_relaxation_rate{suffix}"].to_numpy() for suffix in ("", "_error"))
    return stationarity(ages["age_s"].to_numpy(), rate, error, ages["raw_trusted"].to_numpy(bool)).stationary
