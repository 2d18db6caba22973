"""``twotime demo --kind frames``: a weak satellite that appears below a transition, out of short frames."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import httpx
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from twotime.catalog.server.tiled_client import opened_root, raw_catalog
from twotime.cli.simulate import detector_folder, next_scan_id
from twotime.export.tables import with_error
from twotime.settings import Settings
from twotime.simulate import Scan, TransitionModel
from twotime.simulate.beamline import write_scan
from twotime.xpcs.types import Geometry

HALF_BOX = 8
"""Rows and columns of the region on both sides of the satellite."""
NEAR = 8.0
"""Pixels from the middle of the satellite within which a peak is the satellite."""
BRAGG_REACH = 30.0
"""Pixels from the Bragg peak within which peaks belong to it and its diffuse scattering."""
SIGMAS = 3.0
LARGEST_ERROR_K = 12.0
GEOMETRY = Geometry(
    beam_center_y=-400.0,
    beam_center_x=-300.0,
    distance_m=0.8,
    wavelength_angstrom=1.24,
    pixel_size_m=172e-6,
    frame_time_s=1.0,
)

Show = Callable[[httpx.Client, dict[str, Any], Console], list[str]]
Write = Callable[[Settings, Console], str]


def transition_series(model: TransitionModel | None = None) -> tuple[dict[str, Any], Write, Show]:
    """Recipe, writer and check of a simulated temperature series; see `twotime.cli.demo.Scan`."""
    known = model or TransitionModel()
    row, column = (int(place) for place in known.satellite)
    box = {"rows": [row - HALF_BOX, row + HALF_BOX + 1], "columns": [column - HALF_BOX, column + HALF_BOX + 1]}
    recipe = {"kind": "frames", "regions": [box], "peaks": {"significance": 5}}

    def write(settings: Settings, console: Console) -> str:
        with opened_root(settings) as root, console.status("writing a temperature series"):
            raw = raw_catalog(root, settings)
            scan = Scan(
                "pilatus",
                "simulated charge order",
                next_scan_id(raw),
                layout="frames",
                simulation={"transition_K": known.transition},
                variables={"sample_temperature": ("K", known.temperatures)},
                metadata={"plan_name": "scan", "motors": ["sample_temperature"], "XPCS_data": False},
            )
            return write_scan(raw, known.frames(), GEOMETRY, detector_folder(settings), scan)

    def show(client: httpx.Client, record: dict[str, Any], console: Console) -> list[str]:
        return show_series(client, record, console, known)

    return recipe, write, show


def show_series(client: httpx.Client, record: dict[str, Any], console: Console, model: TransitionModel) -> list[str]:
    """Print satellite and transition of a finished analysis; returns what misses the truth, as sentences."""
    regions, peaks = (_table(client, record["id"], name) for name in ("regions", "peaks"))
    peaks = peaks.assign(
        from_satellite=np.hypot(peaks["row"] - model.satellite[0], peaks["column"] - model.satellite[1]),
        from_bragg=np.hypot(peaks["row"] - model.bragg[0], peaks["column"] - model.bragg[1]),
    )
    brightest = _brightest_pixels(model)
    console.print(_rows(regions, peaks, model, brightest))
    console.print(
        f"In the raw frames no pixel of the satellite holds more than {max(brightest)} counts; "
        f"the background alone reaches {_brightest_background(model)}."
    )
    failures = _check_peaks(peaks, model)
    for name, words in (("counts", "raw counts of the region"), ("counts_denoised", "denoised counts")):
        found, error = fit_transition(*(regions[one].to_numpy(float) for one in ("scan_value", name)))
        console.print(f"Transition from the {words}: {with_error(found, error)} K (true {model.transition:g} K)")
        if abs(found - model.transition) > SIGMAS * error or error > LARGEST_ERROR_K:
            failures.append(
                f"The transition from the {words} is {found:.1f} ± {error:.1f} K, the truth {model.transition:g} K."
            )
    return failures


def fit_transition(temperature: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[float, float]:
    """Temperature at which b + A max(0, 1 - T / transition) has its kink, and its standard error, K.

    Notes
    -----
    Least squares for b and A at every transition of a grid, weighted by the Poisson error of the fitted counts; then
    mean and standard deviation of the transition under exp(-χ² / 2), as its χ² has more than one minimum.
    """
    grid = np.linspace(temperature.min(), temperature.max(), 2000)[1:-1]
    chi2 = _chi2(temperature, counts, grid)
    weight = np.exp(-(chi2 - chi2.min()) / 2)
    found = np.average(grid, weights=weight)
    return float(found), float(np.sqrt(np.average((grid - found) ** 2, weights=weight)))


def _chi2(
    temperature: NDArray[np.float64], counts: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """χ² of the best b and A for each transition of a grid, (G,); weights follow the fitted counts."""
    share = np.maximum(0, 1 - temperature / grid[:, None])
    expected = np.full(share.shape, counts.mean())
    for _ in range(3):
        weight = 1 / np.maximum(expected, 1.0)
        ones, first, second = (np.sum(weight * share**power, axis=1) for power in (0, 1, 2))
        total, slope = np.sum(weight * counts, axis=1), np.sum(weight * share * counts, axis=1)
        amplitude = (ones * slope - first * total) / (ones * second - first**2)
        level = (total - amplitude * first) / ones
        expected = level[:, None] + amplitude[:, None] * share
    chi2: NDArray[np.float64] = ((counts - expected) ** 2 / np.maximum(expected, 1.0)).sum(axis=1)
    return chi2


def _check_peaks(peaks: pd.DataFrame, model: TransitionModel) -> list[str]:
    satellite = peaks["from_satellite"] < NEAR
    above = peaks["scan_value"] >= model.transition
    failures = []
    if not (satellite & ~above).any():
        failures.append("The satellite stands out of no frame below the transition.")
    if (satellite & above).any():
        failures.append("A satellite was found above the transition, where there is none.")
    invented = peaks[~satellite & (peaks["from_bragg"] > BRAGG_REACH)]
    if len(invented):
        failures.append(f"{len(invented)} peaks were found where there are none.")
    return failures


def _rows(regions: pd.DataFrame, peaks: pd.DataFrame, model: TransitionModel, brightest: list[int]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    names = ("T (K)", "true satellite", "raw counts in region", "denoised", "satellite found", "brightest raw pixel")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for row in regions.to_dict("records"):
        own = peaks[(peaks["frame"] == row["frame"]) & (peaks["from_satellite"] < NEAR)]
        peak = own.iloc[0] if len(own) else None
        found = (
            "-" if peak is None else f"{with_error(peak['counts'], peak['counts_error'])}, {peak['significance']:.1f} σ"
        )
        table.add_row(
            f"{row['scan_value']:g}",
            f"{model.satellite_counts * model.satellite_share(row['scan_value']):.1f}",
            with_error(row["counts"], row["counts_error"]),
            with_error(row["counts_denoised"], row["counts_denoised_error"]),
            found,
            str(brightest[int(row["frame"])]),
        )
    return table


def _brightest_pixels(model: TransitionModel) -> list[int]:
    """Largest raw count of a pixel in the region of the satellite, frame by frame."""
    row, column = (int(place) for place in model.satellite)
    box = model.frames()[:, row - HALF_BOX : row + HALF_BOX + 1, column - HALF_BOX : column + HALF_BOX + 1]
    return [int(one) for one in box.max(axis=(1, 2))]


def _brightest_background(model: TransitionModel) -> int:
    """Largest raw count of a pixel of all frames, away from Bragg peak and satellite."""
    row, column = np.ogrid[: model.shape[0], : model.shape[1]]
    away = model.usable.copy()
    for (own_row, own_column), reach in ((model.bragg, 2 * BRAGG_REACH), (model.satellite, 2 * HALF_BOX)):
        away &= np.hypot(row - own_row, column - own_column) > reach
    return int(model.frames()[:, away].max())


def _table(client: httpx.Client, analysis_id: str, name: str) -> pd.DataFrame:
    answer = client.get(f"/api/v1/analyses/{analysis_id}/{name}", params={"format": "csv"}).raise_for_status()
    return pd.read_csv(StringIO(answer.text))
