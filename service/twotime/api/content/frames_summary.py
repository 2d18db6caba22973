"""What an analysis of denoised frames holds, from its record."""

from twotime.api import schemas
from twotime.catalog.results.analysis_record import AnalysisRecord


def frames_summary(record: AnalysisRecord) -> schemas.FramesSummary:
    """Number and size of the frames, scan variable, regions, model and warnings."""
    facts = record.facts
    variable = facts.get("scan_variable")
    return schemas.FramesSummary(
        id=record.id,
        raw_uid=record.raw_uid,
        scan_id=record.scan_id,
        sample=record.sample,
        detector=facts["detector"],
        n_frames=facts["published_frames"],
        frames_summed=record.recipe["frames"]["sum"],
        shape=facts["published_shape"],
        scan_variable=None if variable is None else schemas.ScanVariable.model_validate(variable),
        frame_time_s=facts.get("frame_time_s"),
        regions=[schemas.RegionPixels(region=row["roi"], n_pixels=row["n_pixels"]) for row in facts["rois"]],
        significance=record.recipe["peaks"]["significance"],
        warnings=list(record.warnings),
        versions=record.versions,
    )
