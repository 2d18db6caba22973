"""``twotime demo``: a scan in, dynamics out, before your eyes."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from rich.console import Console

from twotime.api.server import Server
from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.cli.demo_frames import transition_series
from twotime.cli.progress import ProgressBar
from twotime.cli.simulate import detector_folder, next_scan_id, write_simulated
from twotime.errors import TwotimeError
from twotime.export.tables import fits_text
from twotime.logs import configure_logs
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, demo_frames, demo_model, read_frames_file, write_run
from twotime.simulate.demo import RINGS

KINDS = ("estimate", "raw", "denoised")
PATIENCE_S = 900.0
TOLERANCE = 0.15
SIGMAS = 3.0


@dataclass(frozen=True)
class Scan:
    """What the demonstration shows.

    Attributes
    ----------
    recipe : for the automatic analysis
    write : writes the scan into Tiled and returns its uid
    show : prints a finished analysis and returns what does not fit, as sentences; given a client and the record
    """

    recipe: dict[str, Any]
    write: Callable[[Settings, Console], str]
    show: Callable[[httpx.Client, dict[str, Any], Console], list[str]]


def demonstrate(
    settings: Settings, frames_file: Path | None, *, kind: str = "xpcs", once: bool, console: Console
) -> int:
    """Start everything, write a scan, wait for its analysis, show it; 0 where it fits what is known of the scan.

    Parameters
    ----------
    frames_file : measured frames in place of the simulation
    kind : of analysis: xpcs, or frames for a temperature series that is denoised
    once : leave afterwards, instead of staying up until Ctrl-C
    """
    settings = settings.model_copy(update={"log_level": "WARNING"})
    configure_logs(level=settings.log_level)
    scan = _scan_of(kind, frames_file)
    recipe_file = settings.var_dir / "demo_recipe.json"
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    recipe_file.write_text(json.dumps(scan.recipe, indent=1))
    # Runs of earlier demonstrations are not to be taken up with the recipe of this one.
    settings = settings.model_copy(update={"recipe_file": recipe_file, "catch_up_s": 0.0})
    with Server(settings) as server:
        _print_addresses(server, console)
        with httpx.Client(base_url=server.url, headers={"X-API-Key": server.key}, timeout=60) as client:
            _wait_until_ready(client, console)
            uid = scan.write(server.app.state.service.settings, console)
            record = _follow(client, uid, console)
            failures = show(client, record, scan, console)
        if once:
            return 1 if failures else 0
        _print_addresses(server, console)
        console.print("Ctrl-C ends the demonstration.")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            console.print("Ending.")
    return 0


def _scan_of(kind: str, frames_file: Path | None) -> Scan:
    if kind == "frames":
        if frames_file is not None:
            raise ValueError("--frames names measured frames for kind xpcs; denoise a file with twotime process FILE.")
        return Scan(*transition_series())
    return simulated_scan() if frames_file is None else measured_scan(frames_file)


def simulated_scan() -> Scan:
    """A simulated colloid, whose truth is known."""
    model = demo_model()

    def write(settings: Settings, console: Console) -> str:
        with console.status("simulating a scan"):
            frames = demo_frames(model)
        return write_simulated(settings, model, frames, console=console)

    def truth(q: float) -> float:
        return float(model.rate(q))

    return _dynamics({"rois": [RINGS]}, write, truth, lambda fits, _: check_against_truth(fits, model))


def measured_scan(path: Path) -> Scan:
    """Measured frames from a file; the ring values are checked where the file is one that we know.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    frames, geometry = read_frames_file(path)
    known = KNOWN_FILES.get(hashlib.sha256(path.read_bytes()).hexdigest())

    def write(settings: Settings, console: Console) -> str:
        with opened_root(settings) as root, ProgressBar(console) as bar:
            raw = raw_catalog(root, settings)
            return write_run(
                raw,
                frames,
                geometry,
                detector_folder(settings),
                detector="measured",
                sample=path.stem,
                scan_id=next_scan_id(raw),
                progress=lambda fraction: bar("writing frames and documents", fraction),
            )

    if known is None:
        return _dynamics({}, write, None, lambda fits, _: check_honesty(fits))
    return _dynamics(known.recipe, write, None, lambda fits, g2: known.check(fits, g2) + check_honesty(fits))


def check_against_truth(fits: pd.DataFrame, model: SpeckleModel) -> list[str]:
    """ROIs inside the trained range whose denoised rate misses the truth by more than 3 errors and more than 15 %."""
    failures = []
    low, high = 0.01 / model.geometry.frame_time_s, 0.15 / model.geometry.frame_time_s
    inside = 0
    for row in fits.to_dict("records"):
        true = float(model.rate(row["q"]))
        if not low <= true <= high:
            continue
        inside += 1
        rate, error = row["denoised_relaxation_rate"], row["denoised_relaxation_rate_error"]
        if not (abs(rate - true) <= SIGMAS * error or abs(rate - true) <= TOLERANCE * true):
            failures.append(f"ROI {row['roi']}: denoised Γ is {rate:.3g} ± {error:.2g} 1/s, the truth {true:.3g} 1/s.")
    if inside == 0:
        failures.append("No ROI lies inside the trained range of rates.")
    return failures


def check_honesty(fits: pd.DataFrame) -> list[str]:
    """Fits that look trusted although a number or its error is missing."""
    return [
        f"ROI {row['roi']} is trusted without a finite rate and error."
        for row in fits.to_dict("records")
        if row["trusted"] and not np.isfinite([row["relaxation_rate"], row["relaxation_rate_error"]]).all()
    ]


@dataclass(frozen=True)
class KnownFile:
    """A measured series whose ring values were computed apart from this software.

    Attributes
    ----------
    recipe : rings and mask for which they hold
    n_pixels, lag_one : of each ring
    """

    recipe: dict[str, Any]
    n_pixels: tuple[int, ...]
    lag_one: tuple[float, ...]

    def check(self, fits: pd.DataFrame, g2: pd.DataFrame) -> list[str]:
        """Ring values that differ, and decays that are not called incomplete."""
        failures = []
        found = g2[g2["lag_frames"] == 1]["g2_raw"].to_numpy()
        if fits["n_pixels"].tolist() != list(self.n_pixels):
            failures.append(f"The rings hold {fits['n_pixels'].tolist()} pixels, expected {list(self.n_pixels)}.")
        elif not np.allclose(found, self.lag_one, rtol=0, atol=5e-4):
            failures.append(f"Lag 1 is {found.round(4).tolist()}, expected {list(self.lag_one)}.")
        failures += [
            f"ROI {row['roi']}: the fit does not say that the decay is incomplete."
            for row in fits.to_dict("records")
            if "decay is incomplete" not in row["raw_reason"]
        ]
        return failures


KNOWN_FILES = {
    "d1b7aedb34b8dee0ee568c4e6d20c062142e4ebb2e3d74226d9539123372d35f": KnownFile(
        recipe={
            "masks": {"from_data": False, "hot_above_counts": 200, "dark_below_mean": 0.3},
            "rois": [{"unit": "1/A", "inner_radius": 0.0018, "width": 0.0004, "num_rings": 4}],
        },
        n_pixels=(404, 513, 618, 713),
        lag_one=(1.2585, 1.2645, 1.2592, 1.2141),
    )
}
"""By sha256: a colloid on a Maxipix, 100 frames; the decay is longer than the series."""


def _wait_until_ready(client: httpx.Client, console: Console) -> None:
    with console.status("starting Tiled and the service") as status:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer = client.get("/readyz")
            if answer.is_success:
                return
            status.update(f"starting: {answer.json().get('detail', 'not ready')}")
            time.sleep(0.3)
    raise TwotimeError("The service did not become ready; its log says why.")


def _follow(client: httpx.Client, uid: str, console: Console) -> dict[str, Any]:
    """Wait for the analysis that the stop document sets off."""
    deadline = time.monotonic() + PATIENCE_S
    with ProgressBar(console) as bar:
        while time.monotonic() < deadline:
            found = client.get("/api/v1/analyses", params={"raw_uid": uid}).raise_for_status().json()["analyses"]
            if found:
                record: dict[str, Any] = found[0]
                bar(record["stage"] or record["status"], record["progress"])
                if record["status"] in ("done", "failed", "cancelled"):
                    if record["status"] == "done":
                        return record
                    raise TwotimeError(f"The analysis is {record['status']}: {record['error']}")
            else:
                bar("finding the finished run", 0.0)
            time.sleep(0.3)
    raise TwotimeError(f"No analysis of run {uid[:8]} was done within {PATIENCE_S:.0f} s.")


def show(client: httpx.Client, record: dict[str, Any], scan: Scan, console: Console) -> list[str]:
    """Print a finished analysis; returns what does not fit to what is known of the scan."""
    console.print()
    failures = scan.show(client, record, console)
    console.print()
    for warning in record["warnings"]:
        console.print(f"- {warning}", style="dim", highlight=False)
    for failure in failures:
        console.print(failure, style="red", highlight=False)
    if not failures:
        console.print("The result fits what is known of this scan.", style="green")
    console.print(f"Analysis {record['id']} of run {record['raw_uid']}", highlight=False)
    return failures


def _dynamics(
    recipe: dict[str, Any],
    write: Callable[[Settings, Console], str],
    truth: Callable[[float], float] | None,
    check: Callable[[pd.DataFrame, pd.DataFrame], list[str]],
) -> Scan:
    """A scan whose dynamics are shown.

    Parameters
    ----------
    truth : relaxation rate at a momentum transfer (1/Å), 1/s; None where nobody knows it
    check : failures of a finished analysis, as sentences; given its tables ``fits`` and ``g2``
    """

    def shown(client: httpx.Client, record: dict[str, Any], console: Console) -> list[str]:
        fits, g2 = (_table(client, record["id"], name) for name in ("fits", "g2"))
        known = None if truth is None else {int(r): truth(q) for r, q in fits[["roi", "q"]].values}
        console.print(fits_text(fits, known))
        return check(fits, g2)

    return Scan(recipe, write, shown)


def _table(client: httpx.Client, analysis_id: str, name: str) -> pd.DataFrame:
    answer = client.get(f"/api/v1/analyses/{analysis_id}/{name}", params={"format": "csv"}).raise_for_status()
    return pd.read_csv(StringIO(answer.text), keep_default_na=False, na_values=["", "nan", "NaN"]).fillna(
        dict.fromkeys(("flag", *(f"{kind}_{end}" for kind in KINDS for end in ("reason", "on_bound"))), "")
    )


def _print_addresses(server: Server, console: Console) -> None:
    console.print(f"API   {server.url}/docs", highlight=False, soft_wrap=True)
    console.print(f"page  {server.url}/?api_key={server.key}", highlight=False, soft_wrap=True)
