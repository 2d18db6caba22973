"""Programs of Debian's packages that tests need, installed where the tests may."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

INSTALL_S = 300.0


def install(packages: list[str]) -> None:
    """Install packages; skips the test that asks, with the reason, where they cannot be installed.

    One process at a time: tests run side by side, and apt-get fails where another one is at work.
    """
    with (Path(tempfile.gettempdir()) / f"twotime-apt-{os.getuid()}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            _apt(command, packages)


def _apt(command: list[str], packages: list[str]) -> None:
    words = f"{' and '.join(packages)} are not installed, and apt-get does not install them"
    if os.environ.get("NO_APT"):
        pytest.skip(f"{words}: NO_APT is set")
    if os.geteuid() != 0:
        pytest.skip(f"{' and '.join(packages)} are not installed, and only root may: sudo apt-get install them once")
    try:
        done = subprocess.run(
            ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={INSTALL_S:.0f}", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{words}: {error}")
    if done.returncode != 0:
        pytest.skip(f"{words}: {' '.join(done.stderr.split())[:300]}")
