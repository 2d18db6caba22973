"""Logs of a service that somebody embeds, without twotime's own configuration of them."""

import subprocess
import sys

FAILING = """
import structlog
from twotime.api.app import create_app
from twotime.settings import Settings

create_app(Settings(var_dir="{folder}"))
secret = "never shown"
try:
    [][0]
except IndexError:
    structlog.get_logger().exception("broke")
"""


def test_traceback_shows_no_local_variables(tmp_path) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", FAILING.format(folder=tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )

    assert "IndexError" in shown.stdout + shown.stderr
    assert "never shown" not in shown.stdout + shown.stderr
