"""The newest result as EPICS process variables, for screens and archivers of the control system.

Needs the optional package caproto, and of twotime only the client: it asks ``GET /api/v1/latest`` like any other.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from twotime.client import Client, ServiceError
from twotime.errors import InputError

MOST_ROIS = 256
LONGEST_TEXT = 256
LONGEST_VERDICT = 1024
_NO_RESULT = 409


def pv_values(latest: dict[str, Any]) -> dict[str, Any]:
    """Values of the process variables, by the end of their names; a number that is not known is NaN, a scan -1.

    Parameters
    ----------
    latest : answer of ``GET /api/v1/latest``

    Examples
    --------
    >>> answer = {"q": [0.0045], "relaxation_rate": [12.3], "relaxation_rate_error": [None], "trusted": [True],
    ...           "diffusion": 6.1e5, "diffusion_error": None, "scan_id": None, "sample": "silica",
    ...           "finished_time": 1795000000.0}
    >>> found = pv_values(answer)
    >>> found["GAMMA"], found["GAMMA_ERR"], found["TRUSTED"], found["SCAN"]
    ([12.3], [nan], [1], -1)
    """
    scan = latest["scan_id"]
    return {
        "Q": _numbers(latest["q"]),
        "GAMMA": _numbers(latest["relaxation_rate"]),
        "GAMMA_ERR": _numbers(latest["relaxation_rate_error"]),
        "TRUSTED": [int(one) for one in latest["trusted"]][:MOST_ROIS] or [0],
        "D": _number(latest["diffusion"]),
        "D_ERR": _number(latest["diffusion_error"]),
        "SCAN": -1 if scan is None else int(scan),
        "SAMPLE": _text(latest["sample"] or ""),
        "TIME": _number(latest["finished_time"]),
        "VERDICT": _text(latest.get("verdict", ""), LONGEST_VERDICT),
    }


async def serve(client: Client, prefix: str, every_s: float, told: Callable[[str], None]) -> None:
    """Serve the process variables until cancelled; where the service is away, STATUS says so and is in alarm.

    Parameters
    ----------
    client : of the service
    prefix : before each name, such as ``CHX:TWOTIME:``
    every_s : between two questions to the service
    told : gets STATUS whenever it changes

    Raises
    ------
    InputError
        If caproto is not installed.
    """
    variables = _variables()
    from caproto.asyncio.server import start_server

    asked = asyncio.create_task(_follow(client, variables, every_s, told))
    try:
        await start_server({f"{prefix}{name}": variable for name, variable in variables.items()})
    finally:
        asked.cancel()


async def _follow(client: Client, variables: dict[str, Any], every_s: float, told: Callable[[str], None]) -> None:
    from caproto import AlarmSeverity, AlarmStatus

    said = ""
    while True:
        try:
            values = pv_values(await asyncio.to_thread(client.latest))
            status, alarm = "ok", {"status": AlarmStatus.NO_ALARM, "severity": AlarmSeverity.NO_ALARM}
            for name, value in values.items():
                await variables[name].write(value)
        except ServiceError as error:
            # Without any result there is nothing wrong; else the numbers stay, and STATUS says that they may be old.
            away = error.status != _NO_RESULT
            status = _text(str(error))
            severity = AlarmSeverity.MAJOR_ALARM if away else AlarmSeverity.NO_ALARM
            alarm = {"status": AlarmStatus.COMM if away else AlarmStatus.NO_ALARM, "severity": severity}
        if status != said:
            await variables["STATUS"].write(status, **alarm)
            told(status)
            said = status
        await asyncio.sleep(every_s)


def _variables() -> dict[str, Any]:
    """Process variables that clients may read but not write, by the end of their names."""
    try:
        from caproto import AccessRights, ChannelChar, ChannelDouble, ChannelInteger
    except ImportError as error:
        raise InputError(
            "EPICS needs the package caproto, which is not installed; pip install 'twotime[epics]' brings it."
        ) from error

    def readable(kind: Any, **given: Any) -> Any:
        class Readable(kind):  # type: ignore[misc]  # caproto is not typed
            def check_access(self, _hostname: str, _username: str) -> Any:
                return AccessRights.READ

        return Readable(**given)

    def numbers(units: str, length: int | None = MOST_ROIS) -> Any:
        start = math.nan if length is None else [math.nan]
        return readable(ChannelDouble, value=start, max_length=length or 1, units=units, precision=5)

    def text(longest: int = LONGEST_TEXT) -> Any:
        return readable(ChannelChar, value="", max_length=longest, string_encoding="utf-8")

    return {
        "Q": numbers("1/A"),
        "GAMMA": numbers("1/s"),
        "GAMMA_ERR": numbers("1/s"),
        "TRUSTED": readable(ChannelInteger, value=[0], max_length=MOST_ROIS),
        "D": numbers("A^2/s", None),
        "D_ERR": numbers("A^2/s", None),
        "SCAN": readable(ChannelInteger, value=-1),
        "SAMPLE": text(),
        "TIME": numbers("s", None),
        "VERDICT": text(LONGEST_VERDICT),
        "STATUS": text(),
    }


def _numbers(values: list[float | None]) -> list[float]:
    return [_number(one) for one in values[:MOST_ROIS]] or [math.nan]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _text(value: str, longest: int = LONGEST_TEXT) -> str:
    """As much of a text as fits, cut between characters."""
    return value.encode()[: longest - 1].decode(errors="ignore")
