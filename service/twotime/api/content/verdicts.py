"""The verdict of a finished analysis: as it was published, or made now of results older than verdicts."""

import asyncio
from typing import Any

from twotime.api import schemas
from twotime.api.content.frame_time import frame_time_s
from twotime.catalog.results.analysis_record import AnalysisRecord, plain
from twotime.jobs import ScopedService
from twotime.verdict import Evidence, verdict
from twotime.verdict.evidence import ARRAYS, TABLES


async def verdict_of(record: AnalysisRecord, service: ScopedService) -> schemas.Verdict:
    """The statements of an analysis that is done."""
    published = record.facts.get("verdict")
    if published is None:
        published = await _made(record, service)
    statements = [schemas.Statement.model_validate(one) for one in published]
    return schemas.Verdict(id=record.id, text=" ".join(one.sentence for one in statements), statements=statements)


async def _made(record: AnalysisRecord, service: ScopedService) -> list[dict[str, Any]]:
    tables = {name: await service.read_table(record.id, name) for name in TABLES}
    arrays = {name: await service.read_array(record.id, name) for name in ARRAYS}
    evidence = Evidence.read(tables.__getitem__, arrays.__getitem__, frame_time_s(record))
    found: list[dict[str, Any]] = plain((await asyncio.to_thread(verdict, evidence)).document())
    return found
