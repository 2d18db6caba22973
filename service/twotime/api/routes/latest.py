"""What Γ is now: one small object for screens that poll."""

from typing import Annotated

from fastapi import APIRouter, Query

from twotime.api import schemas
from twotime.api.dependencies import TheService, frame_time_s, n_frames
from twotime.api.summary import summary
from twotime.errors import NotReady

router = APIRouter(tags=["results"])


@router.get("/latest", response_model=schemas.Latest)
async def latest(
    service: TheService,
    sample: Annotated[str | None, Query(min_length=1, description="of this sample only")] = None,
) -> schemas.Latest:
    """The headline numbers of the newest finished analysis, flat, for control-room screens."""
    records, _ = await service.analyses(status="done", sample=sample, limit=1)
    if not records:
        of_sample = f" of sample {sample!r}" if sample else ""
        raise NotReady(f"No analysis{of_sample} has ended yet; look at GET /api/v1/analyses.")
    record = records[0]
    fits = await service.read_table(record.id, "fits")
    q_fit = await service.read_table(record.id, "q_fit")
    result = summary(record, fits, q_fit, n_frames(record), frame_time_s(record))
    rates = [roi.raw.relaxation_rate if roi.headline == "raw" else _denoised(roi) for roi in result.rois]
    headline = next((one for one in result.q_dependence if one.kind == "headline"), None)
    return schemas.Latest(
        id=record.id,
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
    )


def _denoised(roi: schemas.RoiResult) -> schemas.Quantity:
    assert roi.denoised is not None
    return roi.denoised.relaxation_rate
