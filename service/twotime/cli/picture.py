"""``twotime picture``: a two-time correlation function before and after denoising, as a PNG file."""

from pathlib import Path

from rich.console import Console

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.read import read_array, read_table
from twotime.catalog.server.tiled_client import opened_root, results_container
from twotime.cli.tiled import tiled_of
from twotime.errors import NotFound
from twotime.export.picture import draw_before_and_after
from twotime.export.report_pictures import ROI_HEIGHT, png, rates
from twotime.settings import Settings


def draw(settings: Settings, analysis_id: str, roi: int, out: Path, console: Console) -> None:
    """Write the picture.

    Raises
    ------
    NotFound
        If there is no such analysis or ROI, or it was not denoised.
    """
    with tiled_of(settings, console) as reached, opened_root(reached) as root:
        store = AnalysisStore(results_container(root, reached))
        record = store.get(analysis_id)
        fits = read_table(store, analysis_id, "fits").set_index("roi")
        if roi not in fits.index:
            raise NotFound(f"roi is {roi}, but analysis {analysis_id} has ROIs 1 to {len(fits)}.")
        g2 = read_table(store, analysis_id, "g2")
        raw = read_array(store, analysis_id, "two_time", roi)
        denoised, mask = (read_array(store, analysis_id, name, roi) for name in ("two_time_denoised", "denoised_mask"))
    own, row = g2[g2["roi"] == roi], fits.to_dict("index")[roi]
    title = f"{record.sample}, ROI {roi}, {rates(row, denoised=True)}"
    frame_time_s = float(own["lag_s"].iloc[0] / own["lag_frames"].iloc[0])
    out.write_bytes(
        png(lambda figure: draw_before_and_after(figure, raw, denoised, mask, own, frame_time_s, title), ROI_HEIGHT)
    )
    console.print(f"Wrote {out}")
