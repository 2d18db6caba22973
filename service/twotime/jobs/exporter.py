"""Export of finished analyses into files, in a process of its own: drawing takes seconds and holds the GIL."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twotime import errors
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.read import read_analysis
from twotime.catalog.server.tiled_client import open_root, results_container
from twotime.errors import ExportTooSlow, TwotimeError
from twotime.export.files import Dialect, write_file
from twotime.export.series_report import write_series_report
from twotime.processes import begin, die_with_parent
from twotime.results import FrameImage
from twotime.series import Law, Series
from twotime.settings import Settings

EXPORT_S = 300.0
"""Time limit for one file, s."""
AT_ONCE = 2


class Exporter:
    """Writes files, `AT_ONCE` at a time."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)

    async def write(
        self, settings: Settings, analysis_id: str, path: Path, dialect: Dialect | None, image: FrameImage | None = None
    ) -> None:
        """Write everything published of an analysis into a file; see `twotime.export.files.write_file`.

        Parameters
        ----------
        settings : with the address and key of Tiled filled in

        Raises
        ------
        TwotimeError
            As `twotime.catalog.results.read.read_analysis`; `ExportTooSlow` after `EXPORT_S`.
        """
        await self._in_process(path, _write, settings, analysis_id, path, dialect, image)

    async def write_series(self, found: Series, path: Path, y: str, law: Law | None, x_unit: str | None) -> None:
        """Write the report of a series; see `twotime.export.series_report.series_report_html`."""
        await self._in_process(path, _write_series, path, found, y, law, x_unit)

    async def _in_process(self, path: Path, work: Callable[..., None], *given: Any) -> None:
        async with self._places:
            begun = partial(begin, "twotime export", work, *given, n_threads=1)
            process = await asyncio.to_thread(begun)
            try:
                await asyncio.to_thread(process.join, EXPORT_S)
                if process.is_alive():
                    raise ExportTooSlow(
                        f"The file {path.name} was not written within {EXPORT_S:g} s; try again when less is computed, "
                        "or ask for the single tables."
                    )
            finally:
                process.kill()
        if process.exitcode != 0:
            raise _error_of(path, process.exitcode)


def _write(settings: Settings, analysis_id: str, path: Path, dialect: Dialect | None, image: FrameImage | None) -> None:
    die_with_parent()
    try:
        root = open_root(settings)
        analysis = read_analysis(AnalysisStore(results_container(root, settings)), analysis_id)
        write_file(path, analysis, dialect, image)
    except TwotimeError as error:
        _failure(path).write_text(json.dumps([type(error).__name__, str(error)]))
        raise SystemExit(1) from None


def _write_series(path: Path, found: Series, y: str, law: Law | None, x_unit: str | None) -> None:
    die_with_parent()
    write_series_report(path, found, y, law, x_unit)


def _error_of(path: Path, exit_code: int | None) -> TwotimeError:
    """The error of a process that wrote no file."""
    try:
        name, sentence = json.loads(_failure(path).read_text())
    except OSError:
        return TwotimeError(f"The process that wrote {path.name} ended with {exit_code}; its log says why. Try again.")
    kind: type[TwotimeError] = getattr(errors, name)
    return kind(sentence)


def _failure(path: Path) -> Path:
    return path.with_name(f"{path.name}.failure")
