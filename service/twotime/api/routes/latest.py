"""The newest Γ as one small object, for screens that poll."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from twotime.api import schemas
from twotime.api.content.frame_time import frame_time_s, n_frames
from twotime.api.content.summary import summary
from twotime.api.content.verdicts import verdict_of
from twotime.api.dependencies import SampleName, TheService
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.live_scans import LiveScan
from twotime.errors import NotReady

router = APIRouter(tags=["results"])


@router.get("/latest", response_model=schemas.Latest)
async def latest(
    service: TheService,
    sample: SampleName = None,
    live: Annotated[bool, Query(description="a scan that runs goes before analyses that have ended")] = False,
) -> schemas.Latest:
    """The headline numbers of the newest finished analysis, or of a scan that runs, flat, for control-room screens."""
    if live:
        scans = [one for one in await service.live_scans() if one.metadata.get("state") == "running"]
        scan = next((one for one in scans if one.metadata.get("fits") and _is_of(one, sample)), None)
        if scan is not None:
            return _of_live(scan)
    record = await _newest(service, sample)
    if record is None:
        of_sample = f" of sample {sample!r}" if sample else ""
        raise NotReady(f"No analysis{of_sample} has ended yet; look at GET /api/v1/analyses.")
    fits = await service.read_table(record.id, "fits")
    q_fit = await service.read_table(record.id, "q_fit")
    result = summary(record, fits, q_fit, n_frames(record), frame_time_s(record))
    rates = [_leading(roi).relaxation_rate for roi in result.rois]
    headline = next((one for one in result.q_dependence if one.kind == "headline"), None)
    return schemas.Latest(
        id=record.id,
        state="done",
        raw_uid=record.raw_uid,
        scan_id=record.scan_id,
        sample=record.sample,
        finished_time=record.finished_time,
        q=[roi.q for roi in result.rois],
        relaxation_rate=[rate.value for rate in rates],
        relaxation_rate_error=[rate.error for rate in rates],
        trusted=[roi.trusted for roi in result.rois],
        diffusion=None if headline is None else headline.diffusion.value,
        diffusion_error=None if headline is None else headline.diffusion.error,
        verdict=(await verdict_of(record, service)).text,
    )


async def _newest(service: TheService, sample: str | None) -> AnalysisRecord | None:
    """The newest finished analysis of correlation functions; None if there is none."""
    records, _ = await service.analyses(status="done", sample=sample, kind="xpcs", limit=1)
    return records[0] if records else None


def _is_of(scan: LiveScan, sample: str | None) -> bool:
    return sample is None or scan.metadata.get("sample") == sample


def _of_live(scan: LiveScan) -> schemas.Latest:
    known = scan.metadata
    fits = known["fits"]
    law: dict[str, Any] = next((one for one in known.get("q_fit") or [] if one["kind"] == "headline"), {})
    return schemas.Latest(
        id=None,
        state="running",
        raw_uid=scan.uid,
        scan_id=known.get("scan_id"),
        sample=known.get("sample"),
        finished_time=None,
        q=[row["q"] for row in fits],
        relaxation_rate=[row["relaxation_rate"] for row in fits],
        relaxation_rate_error=[row["relaxation_rate_error"] for row in fits],
        trusted=[row["trusted"] for row in fits],
        diffusion=law.get("diffusion"),
        diffusion_error=law.get("diffusion_error"),
    )


def _leading(roi: schemas.RoiResult) -> schemas.Dynamics:
    leading: schemas.Dynamics | None = getattr(roi, roi.headline)
    return roi.raw if leading is None else leading
