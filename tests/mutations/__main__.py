"""Which one-line errors the unit tests catch: ``make mutations``.

The sources are copied to a temporary folder, one error at a time is written into the copy, and the unit tests run
there. Prints a table; exits 1 if an error survived.

    python -m tests.mutations                 all errors
    python -m tests.mutations age recipe      those whose name holds one of these words
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.errors import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "var", "shared", "dist", "build")
UNIT = "tests/unit"
MARKED = "not long and not slow"
"""What `make test-unit` runs."""


def main(words: list[str]) -> int:
    """Try the errors whose name holds one of the words, all without words; 1 if one survived, else 0."""
    chosen = [one for one in MUTATIONS if not words or any(word in one.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder) / "twotime"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        named = sorted({f"{UNIT}/{name}" for one in chosen for name in one.tests})
        if caught_by(copy, named) is not None:
            print("The tests fail without any error in the sources; mend them first.")
            return 1
        survived = 0
        for one in chosen:
            start = time.monotonic()
            with written(one, copy):
                test = caught_by(copy, [f"{UNIT}/{name}" for name in one.tests]) or caught_by(copy, [UNIT])
            survived += test is None
            print(f"{'SURVIVED' if test is None else 'caught':9}{time.monotonic() - start:4.0f} s  {one.name}")
            print(f"{'':17}{test or 'no test failed'}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} caught.")
    return 1 if survived else 0


@contextmanager
def written(one: Mutation, folder: Path) -> Iterator[None]:
    """The error stands in the sources in `folder` meanwhile.

    Raises
    ------
    ValueError
        If the line is not there exactly once.
    """
    path = folder / one.path
    text, times = path.read_text(), path.stat()
    if text.count(one.line) != 1:
        raise ValueError(f"{one.path} holds {one.line!r} {text.count(one.line)} times, expected once.")
    path.write_text(text.replace(one.line, one.wrong))
    try:
        yield
    finally:
        path.write_text(text)
        # Compiled kernels are kept by the time of their source: with the old time they need not be compiled again.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def caught_by(folder: Path, tests: list[str]) -> str | None:
    """First test that fails with the sources in `folder`; None if all pass."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "--no-header",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-m",
        MARKED,
        *tests,
    ]
    # The sources of the copy come before those that are installed; no .pyc, since a changed file may keep its length.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(folder / part) for part in ("service", "models", "")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else f"pytest ended with {run.returncode}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
