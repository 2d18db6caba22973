"""The two routes of a published table: by content negotiation, and as CSV."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Depends, Query, Request, Response

from twotime.api import schemas
from twotime.api.content.table_responses import Format, accepted, table_response
from twotime.api.dependencies import TheService, entity_tag, unchanged
from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.results import NODES

ReadRows = Callable[[TheService, AnalysisRecord, str, int | None], Awaitable[pd.DataFrame]]
"""Rows of the table of a node: all, or those of one ROI or frame."""


def no_units(record: AnalysisRecord) -> Mapping[str, str]:  # noqa: ARG001
    """Units that depend on the run, of tables that have none."""
    return {}


def add_table(
    router: APIRouter,
    path: str,
    node: str,
    *,
    finished: Callable[..., Any],
    only: Callable[..., int | None],
    read: ReadRows,
    example: str,
    units: Callable[[AnalysisRecord], Mapping[str, str]] = no_units,
) -> None:
    """Add the routes of one table.

    Parameters
    ----------
    path : below the analysis
    node : whose table it is
    finished : dependency that gives the record
    only : dependency that gives the number of the ROI or frame whose rows are wanted
    read : see `ReadRows`
    example : the first lines as CSV
    units : of columns whose unit depends on the run
    """
    description = next(one.description for one in NODES if one.name == node)
    record_of, number_of = Annotated[AnalysisRecord, Depends(finished)], Annotated[int | None, Depends(only)]

    async def table(
        request: Request,
        record: record_of,  # type: ignore[valid-type]  # known when the route is added
        service: TheService,
        one: number_of,  # type: ignore[valid-type]
        wanted: Annotated[Format | None, Query(alias="format", description="json or csv; else as Accept says")] = None,
    ) -> Response:
        tag = entity_tag(request, record)
        same = unchanged(request, tag)
        if same is not None:
            return same
        rows = await read(service, record, node, one)
        response = table_response(node, rows, wanted or accepted(request), units(record))
        response.headers["ETag"] = tag
        response.headers["Vary"] = "Accept"
        return response

    async def csv(
        record: record_of,  # type: ignore[valid-type]
        service: TheService,
        one: number_of,  # type: ignore[valid-type]
    ) -> Response:
        return table_response(node, await read(service, record, node, one), "csv")

    content: dict[str, Any] = {"text/csv": {"example": example}}
    shown: dict[int | str, dict[str, Any]] = {200: {"model": schemas.Table, "content": content}}
    router.add_api_route(
        f"/{path}", table, response_class=Response, responses=shown, description=description, name=node
    )
    router.add_api_route(
        f"/{path}.csv",
        csv,
        response_class=Response,
        responses={200: {"content": content}},
        description=f"{description} As CSV.",
        name=f"{node} as CSV",
    )
