"""A record of an analysis without content, to be changed with `dataclasses.replace`."""

from twotime.catalog.results.analysis_record import AnalysisRecord

RECORD = AnalysisRecord(
    id="6a1f3c2b-0123456789",
    raw_uid="6a1f3c2b",
    scan_id=None,
    sample=None,
    status="queued",
    attempt=1,
    first_attempt=1,
    stage="queued",
    progress=0.0,
    request={},
    recipe={},
    sources={},
    digest="",
    versions={},
    created_time=0.0,
    updated_time=0.0,
)
