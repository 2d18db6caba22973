"""The client of notebooks against the real service."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from twotime.api.server import Server
from twotime.client import AnalysisHandle, AsyncClient, Client, ServiceError, connect

RECIPE = {
    "rois": [{"unit": "pixel", "edges": [[30, 40], [45, 55]]}],
    "masks": {"from_data": False},
    "fit": {"ages": 2},
}


@pytest.fixture
def notebook(server: Server) -> Iterator[Client]:
    """A connected client."""
    with connect(server.url, server.key) as client:
        yield client


@pytest.fixture
def analysis(notebook: Client, done: dict[str, Any]) -> AnalysisHandle:
    """The analysis that other tests look at as well."""
    return notebook.analysis(done["id"])


def test_two_lines_give_the_fits(notebook: Client, run_uid: str) -> None:
    analysis = notebook.submit(run_uid, RECIPE).wait(progress=False)
    fits = analysis.fits()

    assert analysis.status == "done"
    assert fits["roi"].tolist() == [1, 2]
    assert fits.attrs["units"]["relaxation_rate"] == "1/s"
    assert fits.attrs["analysis"] == analysis.id
    assert run_uid[:8] in repr(analysis)
    assert analysis.id in {one.id for one in notebook.analyses(raw_uid=run_uid)}
    assert run_uid in set(notebook.runs(limit=50)["uid"])
    assert notebook.plan(run_uid, RECIPE)["analysis_id"] == analysis.id


def test_two_time_function_has_its_axes_in_seconds(analysis: AnalysisHandle) -> None:
    c2 = analysis.two_time(1, "raw")

    assert c2.dims == ("t1", "t2")
    assert c2["t1"].attrs["units"] == "s"
    assert float(c2["t1"][1]) == pytest.approx(0.01)
    np.testing.assert_array_equal(c2.values, c2.values.T)
    g2 = analysis.g2(1)
    assert np.nanmean(np.diagonal(c2.values, 3)) == pytest.approx(g2["g2_raw"][2], rel=1e-5)
    assert set(analysis.ages()["roi"]) == {1, 2}
    assert len(analysis.table("g2-multitau", 2)) > 10


def test_figure_and_file_are_made(analysis: AnalysisHandle, tmp_path: Path) -> None:
    analysis.plot(2).savefig(tmp_path / "figure.png")
    analysis.save(str(tmp_path / "result.nxs"))

    assert (tmp_path / "figure.png").stat().st_size > 20_000
    with h5py.File(tmp_path / "result.nxs") as file:
        assert "entry/denoised" in file


def test_refusals_come_as_the_service_says_them(notebook: Client, server: Server) -> None:
    with pytest.raises(ServiceError, match="No run has the uid 'nosuchrun'") as caught:
        notebook.submit("nosuchrun")
    assert caught.value.status == 404
    with pytest.raises(ServiceError, match="key"):
        connect(server.url, "wrong")
    with pytest.raises(ServiceError, match="does not answer"):
        connect("http://127.0.0.1:9", "any")


def test_failed_analysis_says_why(notebook: Client, write: Callable[..., str]) -> None:
    with pytest.raises(ServiceError, match=r"is failed: All 60 frames of run .* are zero"):
        notebook.submit(write(60, scan_id=911, dark=True)).wait(progress=True)


def test_event_loops_have_the_same(server: Server, run_uid: str) -> None:
    async def rates() -> list[float]:
        async with AsyncClient(server.url, server.key) as client:
            analysis = await client.wait(await client.submit(run_uid, RECIPE))
            fits = await client.get(analysis.fits)
            return list(fits["relaxation_rate"])

    assert len(asyncio.run(rates())) == 2


def test_verdict_and_advice_are_one_call_each(analysis: AnalysisHandle) -> None:
    assert analysis.verdict == " ".join(one["sentence"] for one in analysis.statements())
    table = analysis.advice(roi=2, relative_error=0.05)

    assert set(table["change"]) == {"frames", "repeats", "flux", "frame_time"}
    assert table.attrs["sentence"].startswith("ROI 2")
    assert table.attrs["units"]["frame_time_s"] == "s"
