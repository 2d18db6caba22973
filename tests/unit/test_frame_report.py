"""Reports of denoised frames say on a page, on paper and as text what was published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader
from tests.memory import Frames

from frame_denoiser import FrameDenoiser
from twotime.errors import RecipeError
from twotime.export.files import Dialect, write_file
from twotime.export.frame_report import frame_report_html, frame_report_text
from twotime.export.frame_words import MOST_FRAMES, MOST_ROWS, drawn_frames, peak_table, region_table, shortened
from twotime.pipeline import ScanVariable, denoise_frames
from twotime.recipe import FrameRecipe, parse_recipe
from twotime.results import Analysis

SHAPE = (32, 48)
REGION = {"rows": [8, 21], "columns": [20, 33]}


def analysed(n_frames: int, brightness: float, *, scanned: bool, **fields: Any) -> Analysis:
    row, column = np.ogrid[: SHAPE[0], : SHAPE[1]]
    peak = np.exp(-((row - 14) ** 2 + (column - 26) ** 2) / 6)
    rate = 0.5 + brightness * np.linspace(1, 0, n_frames)[:, None, None] * peak
    frames = np.random.default_rng(4).poisson(rate).astype(np.uint16)
    recipe = parse_recipe({"kind": "frames", **fields})
    assert isinstance(recipe, FrameRecipe)
    temperature = ScanVariable("temperature", "K", np.linspace(20.0, 100.0, n_frames))
    variable = (lambda _: temperature) if scanned else (lambda _: None)
    source = Frames(frames, None, detector="camera_image", scan_id=12, sample="<LSCO> & more")
    return denoise_frames(source, recipe, FrameDenoiser.load(), scan_variable=variable)


@pytest.fixture(scope="module")
def scan() -> Analysis:
    """Six frames of a peak that fades with the temperature."""
    return analysed(6, 20.0, scanned=True, regions=[REGION])


@pytest.fixture(scope="module")
def empty() -> Analysis:
    """One frame of a flat background: no region, no peak, nothing scanned."""
    return analysed(1, 0.0, scanned=False)


def test_page_holds_verdict_counts_and_peaks(scan: Analysis) -> None:
    page = frame_report_html(scan)

    assert "change with temperature" in page
    assert "&lt;LSCO&gt; &amp; more" in page
    assert "<LSCO>" not in page
    for header, rows in (region_table(scan), peak_table(scan)):
        for cells in (header, *rows):
            assert "".join(f"<{page_tag(cells, header)}>{cell}</{page_tag(cells, header)}>" for cell in cells) in page
    assert page.count("data:image/png;base64,") == 1 + MOST_FRAMES
    assert "4 of 6 frames are drawn: 0, 2, 3, 5." in page


def page_tag(cells: tuple[str, ...], header: tuple[str, ...]) -> str:
    return "th" if cells == header else "td"


def test_rows_are_those_of_the_tables(scan: Analysis) -> None:
    header, rows = region_table(scan)
    first = scan.tables["regions"].iloc[0]

    assert header == ("frame", "temperature (K)", "region", "raw counts", "denoised")
    assert rows[0][:4] == ("0", "20", "1", f"{first['counts']:.0f} ± {first['counts_error']:.0f}")
    significances = [float(row[2]) for row in peak_table(scan)[1]]
    assert significances == sorted(significances, reverse=True)
    assert len(significances) == len(scan.tables["peaks"])


def test_text_has_columns_and_says_where_rows_are_left_out(scan: Analysis) -> None:
    text = frame_report_text(scan)

    assert text.startswith("Denoised detector frames of <LSCO> & more, scan 12\n")
    assert "scanned      temperature from 20 to 100 K" in text
    assert "must not be correlated" in text.replace("\n", " ")
    rows = [("1",)] * (MOST_ROWS + 3)
    assert shortened(rows) == (rows[:MOST_ROWS], f"{MOST_ROWS} of {MOST_ROWS + 3} rows are shown.")


def test_paper_holds_the_same(scan: Analysis, tmp_path: Path) -> None:
    write_file(tmp_path / "report.pdf", scan)

    text = " ".join(" ".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages).split())
    for heading in ("Frames", "Counts of regions", "Peaks", "Warnings", "Recipe", "How to cite"):
        assert heading in text
    assert "change with temperature" in text
    assert peak_table(scan)[1][0][2] in text


def test_frame_without_peaks_regions_or_scan_is_reported(empty: Analysis, tmp_path: Path) -> None:
    for ending in ("html", "txt", "pdf"):
        write_file(tmp_path / f"report.{ending}", empty)

    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No peak stands out of any frame." in page
    assert "<h2>Counts of whole frames</h2>" in page
    assert "<h2>Peaks</h2><p>None.</p>" in page
    assert drawn_frames(empty) == ([0], "")
    assert "Peaks\n\nnone" in (tmp_path / "report.txt").read_text(encoding="utf-8")


def test_files_of_pychx_hold_no_frames(scan: Analysis, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"is for correlation functions, .* name one that ends with .nxs, .h5, .hdf5"):
        write_file(tmp_path / "result.h5", scan, Dialect.PYCHX)
