"""Which runs the automatic mode analyses, and the reason why it skips the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twotime.recipe import AnalysisKind


@dataclass(frozen=True)
class Verdict:
    """Decision of the automatic mode about a run.

    Attributes
    ----------
    taken : whether the run is analysed
    reason : in words
    """

    taken: bool
    reason: str


def judge(
    start: Mapping[str, Any], stop: Mapping[str, Any] | None, detectors: Sequence[str], kind: AnalysisKind = "xpcs"
) -> Verdict:
    """Decide whether a run is analysed automatically.

    Parameters
    ----------
    start, stop : documents of the run; `stop` is None while the run goes on
    detectors : image keys of the area detectors found in its streams
    kind : of the analysis that its recipe asks for

    Returns
    -------
    Verdict
        Taken if the run ended with success, holds frames of an area detector, and its start document does not exclude
        XPCS where that is asked for: ``XPCS_data`` false, or motors that moved while it counted (unless ``XPCS_data``
        is true).

    Examples
    --------
    >>> judge({"XPCS_data": False}, {"exit_status": "success"}, ["eiger4m_single_image"]).reason
    'its start document says XPCS_data: False'
    >>> judge({}, {"exit_status": "success"}, ["eiger4m_single_image"])
    Verdict(taken=True, reason='ended with success and holds frames of eiger4m_single_image')
    """
    if stop is None:
        return Verdict(False, "it is still running")
    if stop.get("exit_status") != "success":
        return Verdict(False, _unsuccessful(stop))
    against = _reason_against(start)
    if against is not None and kind == "xpcs":
        return Verdict(False, against)
    if not detectors:
        return Verdict(False, "it holds no frames of an area detector")
    return Verdict(True, f"ended with success and holds frames of {detectors[0]}")


def judge_beginning(start: Mapping[str, Any], kind: str = "xpcs") -> Verdict:
    """Decide whether a run that has just started is followed live; `judge` without stop document and frames.

    Examples
    --------
    >>> judge_beginning({"motors": ["th"]}).reason
    'it moves th while counting; XPCS_data: True would select it'
    >>> judge_beginning({"motors": ["temperature"]}, "frames").taken
    True
    """
    against = _reason_against(start, moved="moves") if kind == "xpcs" else None
    return Verdict(against is None, against or "it has begun")


def _reason_against(start: Mapping[str, Any], moved: str = "moved") -> str | None:
    """The reason against XPCS in the start document, if there is one."""
    marked = start.get("XPCS_data")
    if marked is not None and not marked:
        return f"its start document says XPCS_data: {marked}"
    motors = start.get("motors") or ()
    if motors and not marked:
        named = ", ".join(map(str, motors)) if isinstance(motors, list | tuple) else str(motors)
        return f"it {moved} {named} while counting; XPCS_data: True would select it"
    return None


def _unsuccessful(stop: Mapping[str, Any]) -> str:
    status = stop.get("exit_status") or "not recorded"
    reason = stop.get("reason")
    return f"its exit status is {status}" + (f" ({reason})" if reason else "")
