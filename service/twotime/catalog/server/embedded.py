"""The embedded Tiled server, for sites without one: a child process with an SQLite catalog and a storage folder.

::

    start --> lock on the folder --- held by another process --> use its server, never stop it
                 | ours
                 v
              kill an orphan --> choose port --> launch <--+--> healthy --> containers raw and processed
                                                    |      |
                                                    +------+ launched again 1 s after it dies, until `stop`
"""

import ctypes
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx
import yaml

from twotime.catalog.server.tiled_client import RUNS_SPEC, open_root, suppress_conflict
from twotime.catalog.tiled_adapters import FOLDERS
from twotime.errors import TiledUnavailable
from twotime.settings import Settings

PATIENCE_S = 90.0
_PR_SET_PDEATHSIG = 1


class EmbeddedTiled:
    """A Tiled server that runs as long as this process; its data stay.

    If another process serves the same folder already, its server is used and left running.

    Parameters
    ----------
    var_dir : its files are in ``var_dir/tiled``, simulated detector files in ``var_dir/detector``
    port : 0: any free port; the next start takes the same one if it is still free
    readable_storage : further folders that it may read frames from

    Attributes
    ----------
    uri, api_key : for clients; the key is created at the first start and kept
    readable : folders that it may read frames from
    """

    def __init__(self, var_dir: Path, port: int = 0, readable_storage: Sequence[Path] = ()) -> None:
        self.folder = (var_dir / "tiled").resolve()
        self.detector_folder = (var_dir / "detector").resolve()
        self.readable = [self.detector_folder, *(folder.resolve() for folder in readable_storage)]
        self._wanted_port = port
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock: IO[str] | None = None
        self.api_key = ""

    @property
    def uri(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._port}/api/v1"

    @property
    def pid(self) -> int | None:
        """Process id of the server, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start the server, wait until it answers, create its containers; no effect if it runs already.

        Raises
        ------
        TiledUnavailable
            If the files cannot be written or the server does not answer in time.
        """
        if self.pid is not None:
            return
        self._stopping.clear()
        try:
            self._prepare()
        except OSError as error:
            raise TiledUnavailable(
                f"The embedded Tiled cannot write to {error.filename or self.folder} ({error.strerror}); "
                "set TWOTIME_VAR_DIR to a folder that this user can write to."
            ) from error
        if not self._take_lock():
            self._wait_until_healthy()
            self._make_containers()
            return
        try:
            self._serve()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self._stopping.set()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._watcher is not None:
            self._watcher.join(10)
            self._watcher = None
        self._process = None
        if self._lock is not None:
            (self.folder / "pid").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _prepare(self) -> None:
        for folder in (self.folder / "data", self.detector_folder):
            folder.mkdir(parents=True, exist_ok=True)
        key_file = self.folder / "api_key"
        if not key_file.exists():
            # Written aside and linked into place, so that a process that starts now never reads half a key.
            draft = self.folder / f"api_key.{os.getpid()}.{threading.get_ident()}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32))
            with suppress(FileExistsError):
                os.link(draft, key_file)
            draft.unlink()
        self.api_key = key_file.read_text().strip()

    def _serve(self) -> None:
        self._end_orphan()
        (self.folder / "config.yml").write_text(yaml.safe_dump(self._config()))
        self._port = self._choose_port()
        (self.folder / "port").write_text(str(self._port))
        self._watcher = threading.Thread(target=self._keep_alive, name="embedded tiled", daemon=True)
        self._watcher.start()
        self._wait_until_healthy()
        self._make_containers()

    def _take_lock(self) -> bool:
        """Whether this process serves the folder. The kernel releases the lock of a process that dies."""
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _config(self) -> dict[str, object]:
        return {
            "authentication": {"allow_anonymous_access": False},
            "catalog": {
                "uri": f"sqlite:///{self.folder}/catalog.db",
                # Not DuckDB: Tiled 0.2.20 lets all threads share one connection to it, and every request ends with a
                # roll-back. With eight writers, 6 of 49 tables lost rows without an error; on SQLite none did.
                "writable_storage": [f"file://{self.folder}/data", f"sqlite:///{self.folder}/tables.db"],
                "readable_storage": [*(f"file://{folder}" for folder in self.readable), *self._older_tables()],
                "init_if_not_exists": True,
                "adapters_by_mimetype": {"application/x-hdf5": "twotime.catalog.tiled_adapters:HDF5Inside"},
            },
            # The cache keeps every uploaded payload in memory (12 uploads of 64 MB: 365 MB become 1200 MB). Subscribers
            # catch up within five minutes; the default is an hour.
            "streaming_cache": {"uri": "memory", "data_ttl": 300},
            "expose_raw_assets": False,
            "media_types": {
                "BlueskyRun": {"application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter"}
            },
        }

    def _older_tables(self) -> list[str]:
        """Storage in which earlier versions of this class kept tables."""
        tables = self.folder / "tables.duckdb"
        return [f"duckdb:///{tables}"] if tables.exists() else []

    def _launch(self) -> None:
        command = [sys.executable, "-m", "tiled", "serve", "config", str(self.folder / "config.yml")]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self._port)],
                env={
                    **os.environ,
                    "TILED_SINGLE_USER_API_KEY": self.api_key,
                    FOLDERS: json.dumps([str(folder) for folder in self.readable]),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C must not reach it: the service stops it after its analyses.
                preexec_fn=_die_with_parent,
            )
        (self.folder / "pid").write_text(str(self._process.pid))

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and not self._stopping.is_set():
            if self._lock is None:
                self._port = self._last_port()  # The other process may choose its port just now.
            elif self._process is not None and self._process.poll() is not None:
                break
            try:
                if httpx.get(f"http://127.0.0.1:{self._port}/healthz", timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            self._stopping.wait(0.1)
        raise TiledUnavailable(
            f"The embedded Tiled server did not come up on port {self._port}; {self.folder / 'log'} says why: "
            f"{self._last_log_line()}"
        )

    def _make_containers(self) -> None:
        settings = Settings(tiled_uri=self.uri, tiled_api_key=self.api_key)
        root = open_root(settings, retries_for_s=10)
        present = set(root)
        for key, specs in (("raw", [RUNS_SPEC]), ("processed", [])):
            if key not in present:
                with suppress_conflict():
                    root.create_container(key, specs=specs)
        root.context.close()

    def _keep_alive(self) -> None:
        """Run the server, and launch it again when it dies unasked.

        PR_SET_PDEATHSIG fires when the *thread* that started the process ends, not the process of that thread. This
        thread therefore lives as long as the server.
        """
        while not self._stopping.is_set():
            self._launch()
            assert self._process is not None
            self._process.wait()
            self._stopping.wait(1.0)

    def _end_orphan(self) -> None:
        """Kill a server that a killed parent left behind; two servers on one SQLite file lock each other out."""
        try:
            pid = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        if str(self.folder / "config.yml").encode() in command:
            os.kill(pid, signal.SIGKILL)

    def _choose_port(self) -> int:
        if self._wanted_port == 0:
            return _free_port(self._last_port())
        if _free_port(self._wanted_port) != self._wanted_port:
            raise TiledUnavailable(
                f"Port {self._wanted_port} of 127.0.0.1 is in use; name another one for the embedded Tiled server."
            )
        return self._wanted_port

    def _last_port(self) -> int:
        try:
            return int((self.folder / "port").read_text())
        except (OSError, ValueError):
            return 0

    def _last_log_line(self) -> str:
        """The last line of the log that mentions an error, else the last line."""
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()[-200:]
        complaints = [line for line in lines if "error" in line.lower()]
        return re.sub(r"\x1b\[[0-9;]*m", "", (complaints or lines or ["it is empty."])[-1])


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TiledUnavailable("No port is free on 127.0.0.1 for the embedded Tiled server; end some other server.")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
