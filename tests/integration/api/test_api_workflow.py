"""The beamline's end-of-run flow against the real service, without Prefect and, where it is installed, with it."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from twotime.api.server import Server

PLACE = Path(__file__).parents[3] / "deploy" / "prefect" / "end_of_run_workflow.py"


@pytest.fixture
def workflow(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The flow, told where the service is."""
    monkeypatch.setenv("XPCS_SERVICE_URL", server.url)
    monkeypatch.setenv("TWOTIME_API_KEY", server.key)
    spec = importlib.util.spec_from_file_location("end_of_run_workflow", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("end_of_run_workflow", None)


def test_run_is_analysed_and_every_roi_reported(workflow: ModuleType, write: Callable[..., str]) -> None:
    uid = write(60, scan_id=901)

    planned = workflow.end_of_run_workflow({"run_start": uid, "exit_status": "success"}, dry_run=True)
    ended = workflow.end_of_run_workflow({"run_start": uid, "exit_status": "success"})

    assert planned["status"] == "planned"
    assert planned["lines"][0] == "60 frames of eiger4m_single_image, 10 ROIs"
    assert (ended["status"], ended["analysis_id"]) == ("done", planned["analysis_id"])
    assert len(ended["lines"]) >= 5
    assert all(line.startswith("ROI ") and "Γ = " in line and "±" in line for line in ended["lines"])


def test_run_that_cannot_be_analysed_is_left_alone_with_the_reason(
    workflow: ModuleType, write_documents: Callable[..., str]
) -> None:
    uid = write_documents(scan_id=902)

    refused = workflow.end_of_run_workflow({"run_start": uid, "exit_status": "success"})
    aborted = workflow.end_of_run_workflow({"run_start": uid, "exit_status": "abort"})

    assert refused["status"] == aborted["status"] == "skipped"
    assert "has no area detector" in refused["lines"][0]
    assert aborted["lines"] == ["exit status abort"]


def test_analysis_that_fails_fails_the_flow(workflow: ModuleType, write: Callable[..., str]) -> None:
    uid = write(60, scan_id=903, dark=True)

    with pytest.raises(RuntimeError, match=r"failed: All 60 frames of run .* are zero"):
        workflow.end_of_run_workflow({"run_start": uid, "exit_status": "success"})


def test_wrong_key_fails_the_flow(workflow: ModuleType, write: Callable[..., str]) -> None:
    uid = write(60, scan_id=904)

    with pytest.raises(PermissionError, match="key"):
        workflow.end_of_run_workflow({"run_start": uid, "exit_status": "success"}, api_key="wrong")


def test_service_that_is_gone_is_an_error(workflow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPCS_SERVICE_URL", "http://127.0.0.1:9")

    with pytest.raises(httpx.ConnectError):
        workflow.end_of_run_workflow({"run_start": "0" * 36, "exit_status": "success"})


@pytest.mark.skipif(importlib.util.find_spec("prefect") is None, reason="Prefect is not installed here")
def test_flow_runs_under_prefect(workflow: ModuleType, write: Callable[..., str]) -> None:
    state = workflow.end_of_run_workflow(
        {"run_start": write(60, scan_id=905), "exit_status": "success"}, return_state=True
    )

    assert state.is_completed()
