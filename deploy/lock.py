"""Write requirements.lock: every package that an image installs, extras included, with the digests of its files.

    python3.11 deploy/lock.py --extra-index-url https://download.pytorch.org/whl/cpu

To be run with the Python and on the kind of machine that the image has, after constraints.txt has changed; further
arguments go to pip. The image installs nothing whose digest differs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "deploy" / "requirements.lock"
WANTED = (f"{ROOT}[dask,documents,epics]", "hatchling>=1.25")
"""The service with what images add to it, and what builds it."""


def main(options: list[str]) -> None:
    """Resolve, and write the lock."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        given = ["--report", str(report), "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*command, *given, *options, *WANTED], check=True)
        found = json.loads(report.read_text())["install"]
    LOCK.write_text("".join(f"{line}\n" for line in sorted(map(pinned, found)) if line))


def pinned(package: Mapping[str, Any]) -> str:
    """One line of the lock; empty for the service itself."""
    about, archive = package["metadata"], package["download_info"].get("archive_info")
    if archive is None:
        return ""
    digest = archive["hashes"]["sha256"]
    return f"{about['name'].lower().replace('_', '-').replace('.', '-')}=={about['version']} --hash=sha256:{digest}"


if __name__ == "__main__":
    main(sys.argv[1:])
