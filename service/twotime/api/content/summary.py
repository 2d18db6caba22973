"""The headline numbers of an analysis, from its published tables."""

import math
from typing import Any

import pandas as pd

from twotime.api import schemas
from twotime.api.content.table_responses import number
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.columns import unit_of
from twotime.export.flags import flags, sentences
from twotime.recipe import DECAY_PARAMETERS


def summary(
    record: AnalysisRecord, fits: pd.DataFrame, q_fit: pd.DataFrame, n_frames: int, frame_time_s: float
) -> schemas.Result:
    """One object per ROI, and the dependence of Γ on q."""
    return schemas.Result(
        id=record.id,
        raw_uid=record.raw_uid,
        scan_id=record.scan_id,
        sample=record.sample,
        n_frames=n_frames,
        frame_time_s=number(frame_time_s),
        rois=[roi_result(row) for row in fits.to_dict("records")],
        flags=roi_flags(fits.to_dict("records")),
        q_dependence=[q_dependence(row) for row in q_fit.to_dict("records")],
        warnings=list(record.warnings),
        versions=record.versions,
    )


def roi_flags(rows: list[dict[Any, Any]]) -> list[schemas.Flag]:
    """Flags of the rows of the table `fits`, each once."""
    found = flags({row["roi"]: row["flag"] for row in rows})
    return [schemas.Flag(mark=one.mark, sentence=one.sentence, rois=list(one.rois)) for one in found]


def roi_result(row: dict[Any, Any]) -> schemas.RoiResult:
    """One row of the table `fits`."""
    was_denoised = row["denoised_stride"] > 0
    return schemas.RoiResult(
        roi=row["roi"],
        q=number(row["q"]),
        q_inner=number(row["q_inner"]),
        q_outer=number(row["q_outer"]),
        phi=number(row.get("phi", math.nan)),
        n_pixels=row["n_pixels"],
        mean_counts=number(row["mean_counts"]),
        contrast=_quantity(row, "contrast"),
        headline=row["headline"],
        trusted=bool(row["trusted"]),
        flag=row["flag"],
        estimate=estimate(row),
        raw=dynamics(row, "raw"),
        denoised=dynamics(row, "denoised") if was_denoised else None,
        denoised_stride=row["denoised_stride"] if was_denoised else None,
    )


def estimate(row: dict[Any, Any]) -> schemas.Dynamics | None:
    """The estimate in a row of `fits` or `fits_age`; None in older results and for scans that are too short."""
    known = row.get("estimate_reason", "not estimated") != "not estimated"
    return dynamics(row, "estimate") if known else None


def dynamics(row: dict[Any, Any], kind: str) -> schemas.Dynamics:
    """Columns of one kind, estimate, raw or denoised, in a row of `fits` or `fits_age`."""
    values = {name: _quantity(row, f"{kind}_{name}") for name in (*DECAY_PARAMETERS, "relaxation_rate_per_frame")}
    return schemas.Dynamics(
        **values,
        chi2=number(row[f"{kind}_chi2"]),
        on_bound=[name for name in row[f"{kind}_on_bound"].split(", ") if name],
        trusted=bool(row[f"{kind}_trusted"]),
        reason="; ".join(sentences(row[f"{kind}_reason"])),
    )


def q_dependence(row: dict[Any, Any]) -> schemas.QDependence:
    """One row of the table `q_fit`."""
    return schemas.QDependence(
        kind=row["kind"],
        n_rois=row["n_rois"],
        diffusion=_quantity(row, "diffusion", "q_fit"),
        chi2=number(row["diffusion_chi2"]),
        exponent=_quantity(row, "exponent", "q_fit"),
        amplitude=_quantity(row, "amplitude", "q_fit"),
        reason=row["reason"],
    )


def _quantity(row: dict[Any, Any], name: str, table: str = "fits") -> schemas.Quantity:
    return schemas.Quantity(value=number(row[name]), error=number(row[f"{name}_error"]), unit=unit_of(table, name))
