"""Results as pyCHX writes them, for the notebooks that read its files."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twotime.export.curves import by_roi, curve_table
from twotime.results import Analysis

FIT_COLUMNS = ("beta", "relaxation_rate", "alpha", "baseline")
HDF5_ENDINGS = (".h5", ".hdf5")


def write_pychx(path: Path, analysis: Analysis) -> None:
    """Write an analysis under the names of pyCHX, each file whole or not at all.

    Parameters
    ----------
    path : ending in .h5, the one HDF5 file; without ending, a folder that gets ``uid=<uid>_Res.h5``,
        ``uid=<uid>_g2.csv``, ``uid=<uid>_g2b.csv`` and ``uid=<uid>_g2b_fit_paras.csv``
    analysis : with all its arrays and tables

    Notes
    -----
    Keys of the file: ``md`` and ``qval_dict`` (attributes of a dataset; the keys of the latter count ROIs from 0),
    ``taus`` and ``g2`` (L, R) of the multi-tau correlator, ``tausb`` and ``g2b`` (L, R) from the two-time functions,
    ``g12b`` (N, N, R), ``avg_img``, ``mask``, ``roi_mask``, ``times_roi``, ``mean_int_sets`` (N, R) and
    ``bad_frame_list``. Lags start at 0 with NaN, because readers of these files drop the first lag as shot noise; a
    curve that ends earlier than others is filled with NaN.

    Columns of the CSV files and their order are those of ``save_g2_general``, and of ``save_g2_fit_para_tocsv`` with
    what ``get_g2_fit_general`` returns, in pyCHX 4.4.2; compared with files that these functions wrote.

    All of it is measured: pyCHX has no place for denoised results. The fits are those of the measured ``g2b``; they
    stand in the CSV only, because pyCHX reads ``g2b_fit_paras`` from HDF5 through PyTables.
    """
    if path.suffix.lower() in HDF5_ENDINGS:
        _write_hdf5(path, analysis)
        return
    stem = f"uid={analysis.resolved.get('raw_uid', '')}"
    _write_hdf5(path / f"{stem}_Res.h5", analysis)
    _write_csv(path / f"{stem}_g2.csv", g2_table(analysis, "g2_multitau", "g2"))
    _write_csv(path / f"{stem}_g2b.csv", g2_table(analysis, "g2", "g2_raw"))
    _write_csv(path / f"{stem}_g2b_fit_paras.csv", fit_table(analysis))


def g2_table(analysis: Analysis, table: str, column: str) -> pd.DataFrame:
    """g2 of a published table: column ``tau`` in s, then one per ROI, named by its q in 1/Å (and φ in degrees)."""
    taus, g2 = _curves(analysis, table, column)
    names = ["_".join(str(one) for one in place) for place in _q_values(analysis)]
    return pd.DataFrame(np.column_stack([taus, g2]), columns=["tau", *names])


def fit_table(analysis: Analysis) -> pd.DataFrame:
    """Fitted values of the measured curves, one row per ROI; relaxation_rate in 1/s."""
    fits = analysis.tables["fits"]
    return pd.DataFrame({name: fits[f"raw_{name}"].to_numpy(float) for name in FIT_COLUMNS})


def _write_hdf5(path: Path, analysis: Analysis) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    with h5py.File(draft, "w") as file:
        _dictionary(file, "md", _metadata(analysis))
        _dictionary(file, "qval_dict", {str(k): place for k, place in enumerate(_q_values(analysis))})
        file["taus"], file["g2"] = _curves(analysis, "g2_multitau", "g2")
        file["tausb"], file["g2b"] = _curves(analysis, "g2", "g2_raw")
        c2 = analysis.arrays["two_time"]
        side = min(1000, c2.shape[1])
        file.create_dataset("g12b", data=np.moveaxis(c2, 0, -1), chunks=(side, side, 1), compression="gzip")
        file["avg_img"] = analysis.arrays["mean_frame"]
        file["mask"] = analysis.arrays["mask"]
        file["roi_mask"] = analysis.arrays["roi_labels"]
        file["mean_int_sets"] = analysis.arrays["intensity"]
        file["times_roi"] = np.arange(c2.shape[1]) * float(analysis.resolved["frame_time_s"])
        file["bad_frame_list"] = analysis.arrays["frame_number"][analysis.arrays["bad_frames"]]
    draft.replace(path)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    draft = path.with_name(f".{path.name}.part")
    table.to_csv(draft)
    draft.replace(path)


def _dictionary(file: h5py.File, name: str, values: dict[str, Any]) -> None:
    kept = file.create_dataset(name, (1,), dtype="i")
    for key, value in values.items():
        kept.attrs[key] = value


def _metadata(analysis: Analysis) -> dict[str, Any]:
    """What the run says, under its own names, and in its own units (m, Å, s, pixel)."""
    resolved = analysis.resolved
    known = {"uid": resolved.get("raw_uid"), "scan_id": resolved.get("scan_id"), "sample": resolved.get("sample")}
    geometry = {row["name"]: float(row["value"]) for row in resolved["geometry"]}
    return {**{name: value for name, value in known.items() if value is not None}, **geometry}


def _q_values(analysis: Analysis) -> list[list[float]]:
    """By ROI, [q], or [q, φ] where the ROIs are sectors."""
    fits = analysis.tables["fits"]
    columns = ["q", "phi"] if fits["phi"].notna().all() else ["q"]
    return [[float(one) for one in row] for row in fits[columns].to_numpy()]


def _curves(analysis: Analysis, table: str, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lags, values = by_roi(curve_table(analysis, table), column)
    taus = lags * float(analysis.resolved["frame_time_s"])
    return np.concatenate([[0.0], taus]), np.vstack([np.full((1, values.shape[1]), np.nan), values])
