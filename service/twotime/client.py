"""Results in a notebook: ask the service for an analysis, wait for it, and have its numbers with their units.

    from twotime.client import connect

    analysis = connect("http://localhost:8060", api_key="...").submit("-1").wait()
    analysis.fits()                      # pandas, one row per ROI, units in .attrs
    analysis.two_time(1, "denoised")     # xarray, axes in s
    analysis.plot()

It talks to the service alone, over HTTP, and needs nothing else of twotime. `AsyncClient` does the same for event
loops.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, Literal

import httpx
import numpy as np
import pandas as pd
import xarray as xr
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from twotime.client_series import DynamicsMapTable, SeriesTable

Kind = Literal["raw", "denoised", "spread", "difference"]
FrameKind = Literal["raw", "rate", "error", "residual"]
Table = Literal["fits", "g2", "g2-multitau", "fits-age", "fits-variant", "q-fit", "frames", "peaks", "regions"]
ENDED = ("done", "failed", "cancelled")
_POLL_S = 0.5


class ServiceError(Exception):
    """What the service refused or could not do, in its own sentence.

    Attributes
    ----------
    status : of the answer; 0 where there was none
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """The service, for scripts and notebooks.

    Parameters
    ----------
    url : of the service
    api_key : None: ``TWOTIME_API_KEY``
    timeout_s : of each request
    """

    def __init__(
        self, url: str = "http://localhost:8060", api_key: str | None = None, *, timeout_s: float = 60.0
    ) -> None:
        key = api_key or os.environ.get("TWOTIME_API_KEY", "")
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/api/v1", headers={"X-API-Key": key}, timeout=timeout_s)

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, run: str | int, recipe: dict[str, Any] | None = None, *, force: bool = False) -> "AnalysisHandle":
        """Ask for the analysis of a run; the same request finds the same analysis again.

        Parameters
        ----------
        run : uid, its beginning, scan_id, or -1 for the newest
        recipe : what differs from the run's own metadata and the defaults
        force : compute again what is there already

        Raises
        ------
        ServiceError
            If the service does not answer, or refuses the run or the recipe.
        """
        body = {"uid": str(run), "force": force} | ({} if recipe is None else {"recipe": recipe})
        return AnalysisHandle(self, self.request("POST", "/analyses", json=body).json())

    def plan(self, run: str | int, recipe: dict[str, Any] | None = None) -> dict[str, Any]:
        """What an analysis would do: every value with its source, ROIs, warnings; computes nothing."""
        body = {"uid": str(run)} | ({} if recipe is None else {"recipe": recipe})
        found: dict[str, Any] = self.request("POST", "/plans", json=body).json()
        return found

    def analysis(self, analysis_id: str) -> "AnalysisHandle":
        """An analysis by its id."""
        return AnalysisHandle(self, self.request("GET", f"/analyses/{analysis_id}").json())

    def analyses(self, **filters: str | int) -> list["AnalysisHandle"]:
        """Analyses, newest first; filters are status, raw_uid, scan_id, sample, mark, kind, limit and offset."""
        found = self.request("GET", "/analyses", params=filters).json()
        return [AnalysisHandle(self, one) for one in found["analyses"]]

    def runs(self, limit: int = 20) -> pd.DataFrame:
        """The newest runs, with what the automatic mode made of each and why."""
        return pd.DataFrame(self.request("GET", "/runs", params={"limit": limit}).json()["runs"])

    def latest(self, sample: str | None = None) -> dict[str, Any]:
        """The headline numbers of the newest finished analysis."""
        found: dict[str, Any] = self.request("GET", "/latest", params={"sample": sample} if sample else None).json()
        return found

    def series(self, x: str = "scan_id", **which: Any) -> SeriesTable:
        """Many scans beside each other, as tables, as an xarray dataset, as a picture.

        Parameters
        ----------
        x : scan_id, time, or a number of the start document or the baseline stream, such as temperature
        which : sample, first_scan_id, last_scan_id, since, until, limit, or id (a list of ids of analyses)
        """

        def ask(more: dict[str, Any]) -> dict[str, Any]:
            found: dict[str, Any] = self.request("GET", "/series", params={**which, "x": x, **more}).json()
            return found

        return SeriesTable(ask)

    def map(self, **which: Any) -> DynamicsMapTable:
        """ROIs of many scans on one plane, on which like dynamics lie near each other.

        Parameters
        ----------
        which : as in `series`
        """
        return DynamicsMapTable(self.request("GET", "/series/map", params=which).json())

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request below ``/api/v1``; raises `ServiceError` with the service's own sentence."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServiceError(f"The service at {self._http.base_url} does not answer ({error}).") from error
        if answer.is_success:
            return answer
        try:
            told = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            told = answer.text or answer.reason_phrase
        raise ServiceError(str(told), answer.status_code)


class AnalysisHandle:
    """One analysis.

    Attributes
    ----------
    state : what the service said of it last
    """

    def __init__(self, client: Client, state: dict[str, Any]) -> None:
        self.client = client
        self.state = state

    @property
    def id(self) -> str:
        """Id of the analysis."""
        return str(self.state["id"])

    @property
    def status(self) -> str:
        """queued, running, done, failed or cancelled, as of the last look."""
        return str(self.state["status"])

    def __repr__(self) -> str:
        return f"<analysis {self.id} of run {self.state['raw_uid'][:8]}, {self.status}>"

    def refresh(self) -> "AnalysisHandle":
        """Look again how it stands."""
        self.state = self.client.request("GET", f"/analyses/{self.id}").json()
        return self

    def wait(self, *, longest_s: float = 3600.0, progress: bool = True) -> "AnalysisHandle":
        """Wait until it has ended.

        Parameters
        ----------
        longest_s : give up after this time
        progress : show a bar, in terminals and notebooks

        Raises
        ------
        ServiceError
            If it failed or was cancelled, with the reason.
        TimeoutError
            If it has not ended by then.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        deadline = time.monotonic() + longest_s
        with Progress(*columns, disable=not progress, transient=True) as bar:
            task = bar.add_task("waiting", total=1.0)
            while self.refresh().status not in ENDED:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Analysis {self.id} has not ended after {longest_s:g} s.")
                bar.update(task, description=self.state["stage"] or "waiting", completed=self.state["progress"])
                time.sleep(_POLL_S)
        if self.status != "done":
            raise ServiceError(f"Analysis {self.id} is {self.status}: {self.state.get('error') or 'on request'}")
        return self

    def mark(self, value: Literal["good", "bad", "look again"] | None = None, note: str = "") -> "AnalysisHandle":
        """Say of the scan whether it is good, and why; bad scans are left out of series. Nothing: take it back."""
        said = {"mark": value, "note": note}
        self.state = self.client.request("POST", f"/analyses/{self.id}/mark", json=said).json()
        return self

    def cancel(self) -> "AnalysisHandle":
        """Ask it to stop."""
        self.state = self.client.request("POST", f"/analyses/{self.id}/cancel").json()
        return self

    def table(self, name: Table, roi: int | None = None) -> pd.DataFrame:
        """A published table; ``attrs["units"]`` has the unit of each column, ``attrs["description"]`` what it is."""
        params = None if roi is None else {"roi": roi}
        found = self.client.request("GET", f"/analyses/{self.id}/{name}", params=params).json()
        table = pd.DataFrame(found["columns"])
        table.attrs = {"units": found["units"], "description": found["description"], "analysis": self.id}
        return table

    def fits(self) -> pd.DataFrame:
        """One row per ROI: Γ, β, C∞, α with errors and flags, headline, raw and denoised."""
        return self.table("fits")

    @property
    def verdict(self) -> str:
        """What the numbers say of sample and beam, in sentences; `statements` has their numbers."""
        return " ".join(one["sentence"] for one in self.statements())

    def statements(self) -> list[dict[str, Any]]:
        """The verdict as data: code, level, sentence, values with errors, ROIs, picture."""
        found = self.client.request("GET", f"/analyses/{self.id}/verdict").json()["statements"]
        return list(found)

    def advice(self, roi: int = 1, relative_error: float = 0.05) -> pd.DataFrame:
        """How the error of Γ would fall with more frames, repeats, flux or another frame time.

        Parameters
        ----------
        roi : number, from 1
        relative_error : standard error of Γ / Γ that is wanted

        Returns
        -------
        One row per change and factor; ``attrs["sentence"]`` says what reaches the target, ``attrs["needed"]`` the same
        as a list, ``attrs["notes"]`` what to mind.
        """
        params = {"roi": roi, "relative_error": relative_error}
        found = self.client.request("GET", f"/analyses/{self.id}/advice", params=params).json()
        table = pd.DataFrame(found.pop("options"))
        table.attrs = {**found, "units": {"frame_time_s": "s", "photons": "counts", "relative_error": "1"}}
        return table

    def g2(self, roi: int | None = None) -> pd.DataFrame:
        """One-time correlation functions with errors and fitted curves."""
        return self.table("g2", roi)

    def ages(self, roi: int | None = None) -> pd.DataFrame:
        """Fits at constant age."""
        return self.table("fits-age", roi)

    def two_time(self, roi: int, kind: Kind = "denoised") -> xr.DataArray:
        """Two-time correlation function of a ROI at full resolution, axes t1 and t2 in s."""
        answer = self.client.request("GET", f"/analyses/{self.id}/two-time/{roi}.f32", params={"kind": kind})
        shape = tuple(int(edge) for edge in answer.headers["x-shape"].split(","))
        values = np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)
        seconds = np.arange(shape[0]) * float(answer.headers["x-frame-time"])
        found = xr.DataArray(values, dims=("t1", "t2"), coords={"t1": seconds, "t2": seconds}, name="C2")
        found.attrs = {"analysis": self.id, "roi": roi, "kind": kind, "units": "1"}
        for axis in ("t1", "t2"):
            found[axis].attrs["units"] = "s"
        return found

    def frames(self) -> pd.DataFrame:
        """One row per denoised frame: scan variable, counts, peaks, doubts; ``attrs["scan_variable"]`` is its name."""
        return self._against_scan(self.table("frames"))

    def peaks(self) -> pd.DataFrame:
        """Peaks of all denoised frames: position, width, counts above the background with errors, significance."""
        return self._against_scan(self.table("peaks"))

    def regions(self) -> pd.DataFrame:
        """Counts of each region in each frame, raw and denoised, with errors."""
        return self._against_scan(self.table("regions"))

    def frame(self, number: int, kind: FrameKind = "rate") -> xr.DataArray:
        """One denoised frame at full resolution, counts per pixel; NaN where masked.

        Parameters
        ----------
        number : from 0
        kind : raw counts, denoised rate, its standard error, or the residual in standard deviations
        """
        answer = self.client.request("GET", f"/analyses/{self.id}/frame/{number}.f32", params={"kind": kind})
        shape = tuple(int(edge) for edge in answer.headers["x-shape"].split(","))
        values = np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)
        found = xr.DataArray(values, dims=("row", "column"), name=kind)
        found.attrs = {"analysis": self.id, "frame": number, "units": "1" if kind == "residual" else "counts"}
        return found

    def profile(
        self, number: int, start: tuple[float, float], stop: tuple[float, float], *, width: int = 1
    ) -> pd.DataFrame:
        """Raw counts and denoised rate of a frame along a line, with standard errors, one row for each pixel.

        Parameters
        ----------
        number : of the frame, from 0
        start, stop : row and column of both ends
        width : pixels across the line that are averaged
        """
        params = {"row": start[0], "column": start[1], "row_stop": stop[0], "column_stop": stop[1], "width": width}
        found = self.client.request("GET", f"/analyses/{self.id}/frame/{number}/profile", params=params).json()
        table = pd.DataFrame(found)
        pixels = dict.fromkeys(("distance", "row", "column", "n_pixels"), "pixel")
        counts = dict.fromkeys(("raw", "raw_error", "rate", "rate_error"), "counts")
        table.attrs = {"units": pixels | counts, "analysis": self.id, "frame": number}
        return table

    def _against_scan(self, table: pd.DataFrame) -> pd.DataFrame:
        variable = self.client.request("GET", f"/analyses/{self.id}/frames/summary").json()["scan_variable"]
        table.attrs["scan_variable"] = None if variable is None else variable["name"]
        return table

    def save(self, path: str, image: FrameKind | None = None) -> None:
        """The whole analysis as one file: ``.nxs``, ``.h5`` (one dataset per node), ``.html``, ``.pdf``, ``.txt``.

        Of denoised frames there are also ``.tif`` and ``.edf`` with one image for each frame.

        Parameters
        ----------
        image : what a ``.tif`` or ``.edf`` file holds; none: the rate
        """
        ending = path.rsplit(".", 1)[-1]
        params = None if image is None else {"image": image}
        answer = self.client.request("GET", f"/analyses/{self.id}/export.{ending}", params=params)
        with open(path, "wb") as file:  # noqa: PTH123 - any path that open takes
            file.write(answer.content)

    def plot(self, roi: int = 1) -> Any:
        """Measured and denoised two-time function and the one-time curves of a ROI, as a matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(13, 3.8), layout="constrained")
        panels = figure.subplots(1, 3)
        row = self.fits().set_index("roi").loc[roi]
        kinds: tuple[Kind, ...] = ("raw", "denoised") if row["denoised_stride"] else ("raw",)
        scale: dict[str, float] = {}
        for panel, kind in zip(panels, kinds, strict=False):
            c2 = self.two_time(roi, kind)
            if not scale:
                off = c2.values[np.triu_indices(len(c2), 1)]
                scale = dict(zip(("vmin", "vmax"), np.nanpercentile(off, (1, 99.8)), strict=True))
            end = float(c2["t1"][-1])
            image = panel.imshow(c2.values.T, origin="lower", extent=(0, end, 0, end), cmap="viridis", **scale)
            panel.set(title="measured" if kind == "raw" else kind, xlabel="t₁ (s)", ylabel="t₂ (s)")
        figure.colorbar(image, ax=panels[len(kinds) - 1], label="C₂")
        curve = self.g2(roi)
        for kind, colour in zip(kinds, ("#7a7a7a", "#c2410c"), strict=False):
            label = f"{kind}: Γ = {row[f'{kind}_relaxation_rate']:.3g} ± {row[f'{kind}_relaxation_rate_error']:.2g} 1/s"
            lag, g2, error = (curve[name] for name in ("lag_s", f"g2_{kind}", f"g2_{kind}_error"))
            panels[2].errorbar(lag, g2, error, fmt="o", markersize=3, linewidth=0.8, color=colour, label=label)
            panels[2].plot(lag, curve[f"g2_{kind}_fit"], color=colour)
        panels[2].set(xscale="log", xlabel="lag (s)", ylabel="g₂", title=f"q = {row['q']:.4g} 1/Å")
        panels[2].legend(frameon=False, fontsize=8)
        if len(kinds) == 1:
            panels[1].set_axis_off()
        return figure


class AsyncClient:
    """The same for event loops: each call runs in a thread.

    Parameters
    ----------
    url, api_key, timeout_s : see `Client`
    """

    def __init__(
        self, url: str = "http://localhost:8060", api_key: str | None = None, *, timeout_s: float = 60.0
    ) -> None:
        self.sync = Client(url, api_key, timeout_s=timeout_s)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sync.close()

    async def submit(
        self, run: str | int, recipe: dict[str, Any] | None = None, *, force: bool = False
    ) -> AnalysisHandle:
        """See `Client.submit`."""
        return await asyncio.to_thread(self.sync.submit, run, recipe, force=force)

    async def wait(self, analysis: AnalysisHandle, *, longest_s: float = 3600.0) -> AnalysisHandle:
        """See `AnalysisHandle.wait`; shows no bar."""
        return await asyncio.to_thread(analysis.wait, longest_s=longest_s, progress=False)

    async def get(self, read: Callable[[], Any]) -> Any:
        """Whatever a method of an `AnalysisHandle` reads, such as ``await client.get(analysis.fits)``."""
        return await asyncio.to_thread(read)


def connect(url: str = "http://localhost:8060", api_key: str | None = None) -> Client:
    """A client of the service; raises `ServiceError` at once where it does not answer or refuses the key."""
    client = Client(url, api_key)
    try:
        client.request("GET", "/analyses", params={"limit": 1})
    except ServiceError:
        client.close()
        raise
    return client
