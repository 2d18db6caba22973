"""Whatever is asked, every answer is one that the OpenAPI document announces."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from twotime.api.server import Server

pytestmark = pytest.mark.long

CHECKS = [content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
"""Of each operation; make hostile asks for more."""
FUZZ_S = int(os.environ.get("FUZZ_S", "60"))
"""For the phases that schemathesis runs by itself; make hostile gives ten minutes."""
ENDLESS = ("/api/v1/events", "/api/v1/analyses/{analysis_id}/events")
"""Streams of events do not end by themselves; test_api_events reads them."""


@pytest.fixture(scope="module")
def schema(server: Server, client: httpx.Client) -> Any:
    document = client.get(f"{server.url}/openapi.json").json()
    return schemathesis.openapi.from_dict(document).exclude(path=list(ENDLESS))


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind(client: httpx.Client, run_uid: str) -> Iterator[None]:
    """Recipes that happen to fit break nothing and are not computed to the end."""
    yield
    failed = client.get("/analyses", params={"status": "failed", "raw_uid": run_uid, "limit": 500}).json()["analyses"]
    assert [one["error"] for one in failed if one["error"].startswith("Unexpected")] == []
    for status in ("queued", "running"):
        for analysis in client.get("/analyses", params={"status": status, "limit": 500}).json()["analyses"]:
            client.post(f"/analyses/{analysis['id']}/cancel")


@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_announced(
    schema: Any, server: Server, done: dict[str, Any], run_uid: str, subtests: pytest.Subtests, mode: GenerationMode
) -> None:
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body and not list(operation.iter_parameters()):
            continue  # There is nothing in it to get wrong.

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def answers(case: Any, known: bool) -> None:
            if known and "analysis_id" in (case.path_parameters or {}):
                case.path_parameters["analysis_id"] = done["id"]
            if known and isinstance(case.body, dict) and "uid" in case.body:
                case.body["uid"] = run_uid
            headers = {"X-API-Key": server.key}
            response = case.call(base_url=server.url, headers=headers, timeout=60)
            assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"
            case.validate_response(response, checks=CHECKS, headers=headers)

        with subtests.test(operation.label):
            answers()


@pytest.mark.timeout(FUZZ_S + 600)
def test_every_border_and_every_sequence_is_answered(
    server: Server, done: dict[str, Any], run_uid: str, tmp_path: Path
) -> None:
    """Values at the borders of every schema, and sequences of requests, with ids of a run and of its analysis."""
    known = {"path.analysis_id": done["id"], "path.uid": run_uid}
    lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in known.items()]
    config = tmp_path / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]", *lines, ""]))
    excluded = [option for path in ENDLESS for option in ("--exclude-path", path)]
    command = [
        Path(sys.executable).parent / "schemathesis",
        "--config-file",
        config,
        "run",
        f"{server.url}/openapi.json",
    ]
    options = ["--phases", "coverage,stateful", "--max-time", str(FUZZ_S), "--request-timeout", "60", "--no-color"]
    checks = ["--checks", ",".join(["not_a_server_error", *(check.__name__ for check in CHECKS)])]

    fuzzed = subprocess.run(
        [*command, *options, *checks, *excluded, "--header", f"X-API-Key: {server.key}", "--seed", "7"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=FUZZ_S + 500,
    )

    print(fuzzed.stdout[-1500:])
    assert fuzzed.returncode == 0, fuzzed.stdout[-8000:] + fuzzed.stderr[-2000:]
