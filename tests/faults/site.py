"""A beamline in a folder: a real Tiled server, a real service behind a proxy, scans, and what must be true of them."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from databroker.queries import TimeRange
from pydantic import AnyHttpUrl, SecretStr
from tests.faults.proxy import Proxy
from tests.processes import family
from tests.waiting import until

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import RUNS, run_uid
from twotime.catalog.results.read import read_analysis
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog, results_container
from twotime.errors import TwotimeError
from twotime.results import nodes_of
from twotime.settings import Settings
from twotime.simulate import SpeckleModel, simulate_frames, write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(-20.0, 24.0, 5.0, 1.24, 75e-6, 0.01)
FRAMES = simulate_frames(SpeckleModel((40, 48), GEOMETRY, diffusion=3e6, contrast=0.3, mean_counts=2.0, seed=3), 60)
RECIPE = '{"rois": [{"unit": "pixel", "edges": [[25, 35], [38, 48]]}], "fit": {"ages": 2}}'
KEY = "a_key_for_faults"
LONGEST_S = 900.0
"""After many kills a backlog waits, and the machine may be slow."""


class Site:
    """One beamline; `start` it, write scans, let faults happen, `settle`.

    Parameters
    ----------
    folder : for everything
    settings : further ones of the service, as environment variables without their prefix
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.tiled = EmbeddedTiled(folder / "tiled_site")
        self.uids: list[str] = []
        self.starts = 0
        self._settings = settings
        self._services: list[subprocess.Popen[bytes]] = []
        self._expected: str | None = None
        self._right: set[str] = set()

    def start(self) -> None:
        """Start Tiled, the proxy and the service."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "recipe.json").write_text(RECIPE)
        self.tiled.start()
        self.proxy = Proxy(int(self.tiled.uri.split(":")[2].split("/")[0]))
        self.direct = Settings(
            tiled_uri=AnyHttpUrl(self.tiled.uri), tiled_api_key=SecretStr(self.tiled.api_key), var_dir=self.folder
        )
        self.begin_service()

    def stop(self) -> None:
        """End every process."""
        for service in self._services:
            end(service)
        self.proxy.close()
        self.tiled.stop()

    @property
    def service(self) -> subprocess.Popen[bytes]:
        """The service that was started last."""
        return self._services[-1]

    def begin_service(self) -> None:
        """Start a service; another one may be running."""
        self.starts += 1
        own = {
            "TILED_URI": f"http://127.0.0.1:{self.proxy.port}/api/v1",
            "TILED_API_KEY": self.tiled.api_key,
            "VAR_DIR": str(self.folder / "service"),
            "RECIPE_FILE": str(self.folder / "recipe.json"),
            "API_KEY": KEY,
            "PORT": "0",
            "RECONCILE_S": "5",
            "THREADS_PER_WORKER": "1",
            "LIVE": "false",
            "DETECTOR_DIRS": f'["{self.tiled.detector_folder}"]',
            **self._settings,
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TWOTIME_")}
        with (self.folder / f"service_{self.starts}.log").open("wb") as log:
            self._services.append(
                subprocess.Popen(
                    [Path(sys.executable).parent / "twotime", "serve"],
                    env=clean | {f"TWOTIME_{name}": value for name, value in own.items()},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def address(self) -> str:
        """Where the service answers, once it has said so."""
        log = self.folder / f"service_{self.starts}.log"
        until(lambda: "page" in log.read_text(), log.read_text)
        return next(line.split()[1].removesuffix("/docs") for line in log.read_text().splitlines() if "/docs" in line)

    def kill_service(self) -> None:
        """Kill the service; its workers end with it."""
        service = self._services.pop()
        service.kill()
        service.wait()

    def write_scan(self) -> str:
        """Write a finished scan straight into Tiled, as often as that takes; returns its uid."""

        def written() -> str | None:
            root = None
            try:
                root = open_root(self.direct)
                raw = raw_catalog(root, self.direct)
                return write_run(raw, FRAMES, GEOMETRY, self.tiled.detector_folder, detector="camera")
            except (TwotimeError, httpx.HTTPError, OSError):
                return None
            finally:
                if root is not None:
                    root.context.close()

        uid = until(written)
        self.uids.append(uid)
        return uid

    def settle(self, longest_s: float = LONGEST_S) -> list[AnalysisRecord]:
        """Wait until every run has an analysis that ended; raises `AssertionError` if that never comes."""

        def state() -> str:
            return str([(one.raw_uid[:8], one.status, one.attempt, one.stage, one.error) for one in self.records()])

        def over() -> list[AnalysisRecord] | None:
            found = self.records()
            return found if {one.raw_uid for one in found if one.ended} >= set(self.uids) else None

        return until(over, state, longest_s, every_s=1.0)  # All records of all scans: Tiled has better things to do.

    def records(self) -> list[AnalysisRecord]:
        """All analyses, straight from Tiled."""
        found = self._asked(lambda store: store.search(limit=10_000)[0])
        return [] if found is None else found

    def faults(self, *, again: bool = True) -> list[str]:
        """What is wrong with the analyses of the finished runs, in words; empty where each is done once, and whole.

        Numbers that were right before are read once more only if `again`.
        """
        words = []
        records = self.settle()
        self._expected = self._expected or self.checksum(records[-1].id)
        for uid in self.finished():
            own = [one for one in records if one.raw_uid == uid]
            if len(own) != 1:
                words.append(f"run {uid[:8]} has {len(own)} analyses")
                continue
            if own[0].status != "done":
                words.append(f"run {uid[:8]} is {own[0].status}: {own[0].error}")
            elif (again or uid not in self._right) and (found := self.checksum(own[0].id)) != self._expected:
                words.append(f"run {uid[:8]} has the checksum {found}")
            else:
                self._right.add(uid)
        return words

    def finished(self) -> list[str]:
        """Uids of all runs in Tiled that ended, whoever believes to have written them."""

        def asked(_: AnalysisStore, raw: Any) -> list[str]:
            runs = raw.search(TimeRange(since=0)).values()
            return [run.metadata["start"]["uid"] for run in runs if run.metadata.get("stop")]

        found: list[str] = until(lambda: self._asked(lambda store: store, asked))
        return found

    def checksum(self, analysis_id: str) -> str:
        """Of every number that was published: arrays, tables, and the run that holds the headline."""

        def asked(store: AnalysisStore) -> str:
            analysis = read_analysis(store, analysis_id)
            digest = hashlib.sha256()
            for name in sorted(analysis.arrays):
                array = np.ascontiguousarray(analysis.arrays[name])
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
            for name in sorted(analysis.tables):
                digest.update(f"{name} {analysis.tables[name].to_json(double_precision=9)}".encode())
            run = store.results[RUNS][run_uid(analysis_id)]
            digest.update(run["primary"].read()["relaxation_rate"].values.tobytes())
            assert "stop" in run.metadata
            expected = {node.name for node in nodes_of("xpcs")} - {"fits_variant"}
            assert set(store.node(analysis_id)[store.get(analysis_id).final]) == expected
            return digest.hexdigest()[:16]

        found: str = until(lambda: self._asked(asked))
        return found

    def _asked(self, ask: Callable[[AnalysisStore], Any], also: Callable[..., Any] | None = None) -> Any:
        """What Tiled answers straight; None while it does not."""
        root = None
        try:
            root = open_root(self.direct)
            store = AnalysisStore(results_container(root, self.direct))
            return ask(store) if also is None else also(store, raw_catalog(root, self.direct))
        except (TwotimeError, httpx.HTTPError, OSError):
            return None
        finally:
            if root is not None:
                root.context.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def usage(pid: int) -> tuple[int, int]:
    """Memory in MiB, what several share counted once, and open files of a process and all that it began."""
    memory = files = 0
    for one in family(pid):
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
            memory += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) >> 10
            files += len(list(Path(f"/proc/{one}/fd").iterdir()))
        except OSError:
            continue
    return memory, files


def dice(seed: int) -> random.Random:
    """Chance that comes out the same again."""
    return random.Random(seed)
