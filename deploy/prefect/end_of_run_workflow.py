"""The beamline's end-of-run flow: hand the finished run to twotime, wait, and report what came of it.

Runs as a Prefect 3 flow where Prefect is installed, and as a plain function where it is not. It needs httpx alone, so
that the image of the beamline's workflows needs nothing of twotime.

Environment: ``XPCS_SERVICE_URL`` (default http://localhost:8060), ``TWOTIME_API_KEY``.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

import httpx

try:
    from prefect import flow, get_run_logger, task
except ImportError:  # The same steps without Prefect: in tests, and by hand.

    def _plain(function: Callable[..., Any] | None = None, **_: Any) -> Any:
        return function if function is not None else _plain

    flow = task = _plain

    def get_run_logger() -> logging.Logger:
        """The logger of this module."""
        return logging.getLogger(__name__)


LONGEST_S = 3600.0
POLL_S = 1.0


@task(retries=2, retry_delay_seconds=10)
def submit(uid: str, api_key: str | None = None, dry_run: bool = False) -> dict[str, Any]:
    """Ask for the analysis of a run, or with `dry_run` for its plan; the same request finds the same analysis again.

    Raises
    ------
    ValueError
        If the service refuses the run, with its sentence.
    PermissionError
        If it refuses the key.
    """
    with _client(api_key) as client:
        answer = client.post("/plans" if dry_run else "/analyses", json={"uid": uid})
        if answer.status_code in (401, 403):
            raise PermissionError(answer.json().get("detail", answer.text))
        if 400 <= answer.status_code < 500:
            raise ValueError(answer.json().get("detail", answer.text))
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@task
def wait(analysis_id: str, api_key: str | None = None, longest_s: float = LONGEST_S) -> dict[str, Any]:
    """Wait until an analysis has ended; survives a restart of the service meanwhile.

    Raises
    ------
    TimeoutError
        If it has not ended after `longest_s`.
    """
    deadline = time.monotonic() + longest_s
    logger, stage = get_run_logger(), ""
    with _client(api_key) as client:
        while time.monotonic() < deadline:
            try:
                answer = client.get(f"/analyses/{analysis_id}")
                answer.raise_for_status()
                found: dict[str, Any] = answer.json()
            except httpx.HTTPError as error:
                logger.warning("twotime does not answer (%s); asking again", error)
            else:
                if found["status"] in ("done", "failed", "cancelled"):
                    return found
                if found.get("stage") != stage:
                    stage = found.get("stage") or ""
                    logger.info("%s: %s", analysis_id, stage)
            time.sleep(POLL_S)
    raise TimeoutError(f"Analysis {analysis_id} has not ended after {longest_s:g} s; look at it in twotime.")


@task
def report(analysis_id: str, api_key: str | None = None) -> list[str]:
    """One line for each ROI: Γ with its error, which fit leads, and what to mind."""
    with _client(api_key) as client:
        answer = client.get(f"/analyses/{analysis_id}/result")
        answer.raise_for_status()
    lines = []
    for roi in answer.json()["rois"]:
        rate = (roi["raw"] if roi["headline"] == "raw" else roi["denoised"])["relaxation_rate"]
        value, error = rate["value"], rate["error"]
        told = "no value" if value is None else f"{value:.4g}" + (f" ± {error:.2g}" if error is not None else " ± ?")
        lines.append(
            f"ROI {roi['roi']}, q = {roi['q']:.5f} 1/Å: Γ = {told} 1/s ({roi['headline']})"
            + (f"; {roi['flag']}" if roi["flag"] else "")
        )
    return lines


@flow(name="end-of-run-workflow")
def end_of_run_workflow(stop_doc: dict[str, Any], api_key: str | None = None, dry_run: bool = False) -> dict[str, Any]:
    """Hand the run of a stop document to twotime and report its end.

    Parameters
    ----------
    stop_doc : of the run that ended; its ``run_start`` is the uid
    api_key : for twotime; None: ``TWOTIME_API_KEY``
    dry_run : only look whether the run can be analysed, and with what

    Returns
    -------
    dict
        ``uid``, ``status`` (``done``, ``failed``, ``cancelled``, ``skipped`` or ``planned``), ``analysis_id`` and
        ``lines`` of text.

    Raises
    ------
    RuntimeError
        If the analysis failed, so that the flow counts as failed.
    """
    logger = get_run_logger()
    uid = stop_doc["run_start"]
    if stop_doc.get("exit_status") != "success":
        reason = f"exit status {stop_doc.get('exit_status')}"
        logger.info("%s is left alone: %s", uid, reason)
        return {"uid": uid, "status": "skipped", "analysis_id": None, "lines": [reason]}
    try:
        asked = submit(uid, api_key, dry_run)
    except ValueError as error:
        logger.info("%s is left alone: %s", uid, error)
        return {"uid": uid, "status": "skipped", "analysis_id": None, "lines": [str(error)]}
    if dry_run:
        lines = [f"{asked['n_frames']} frames of {asked['detector']}, {len(asked['rois'])} ROIs", *asked["warnings"]]
        return {"uid": uid, "status": "planned", "analysis_id": asked["analysis_id"], "lines": lines}
    ended = wait(asked["id"], api_key)
    if ended["status"] == "failed":
        raise RuntimeError(f"Analysis {ended['id']} of run {uid} failed: {ended['error']}")
    lines = report(ended["id"], api_key) if ended["status"] == "done" else []
    for line in lines:
        logger.info(line)
    return {"uid": uid, "status": ended["status"], "analysis_id": ended["id"], "lines": lines}


def _client(api_key: str | None) -> httpx.Client:
    key = api_key or os.environ.get("TWOTIME_API_KEY", "")
    url = os.environ.get("XPCS_SERVICE_URL", "http://localhost:8060").rstrip("/")
    return httpx.Client(base_url=f"{url}/api/v1", headers={"X-API-Key": key}, timeout=60.0)
