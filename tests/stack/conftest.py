"""The services of docker-compose.yml as plain processes: their images, commands, environment and health checks."""

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.debian import install
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PACKAGES = {"redis-server": "redis-server", "curl": "curl", "postgres": "postgresql"}
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


def interpolated(value: Any, env: Mapping[str, str]) -> Any:
    """A value of docker-compose.yml with its ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?sentence}`` filled in."""
    if isinstance(value, dict):
        return {key: interpolated(inner, env) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, env) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if env.get(found["name"]):
            return env[found["name"]]
        if found["kind"] == "-":
            return found["rest"]
        raise ValueError(found["rest"] or f"{found['name']} is not set")

    return _VARIABLE.sub(fill, value)


class Stack:
    """The four services, each in a process of its own, on free ports, with their data in one folder.

    Parameters
    ----------
    folder : for volumes, logs and detector files
    programs : folder of the programs of PostgreSQL

    Attributes
    ----------
    env : what stands in .env; the secrets are made here
    services : of docker-compose.yml, filled in
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.detector_folder = folder / "detector"
        names = ("TWOTIME_TILED_API_KEY", "TWOTIME_API_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD")
        self.env = {name: secrets.token_hex(16) for name in names} | {"DETECTOR_DIR": str(self.detector_folder)}
        self.services = interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), self.env)["services"]
        self.ports = dict(zip(("postgres", "redis", "tiled", "twotime"), _free_ports(4), strict=True))
        self._programs = programs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._places = {
            "postgres:5432": f"127.0.0.1:{self.ports['postgres']}",
            "redis:6379": f"127.0.0.1:{self.ports['redis']}",
            "tiled:8000": f"127.0.0.1:{self.ports['tiled']}",
            "localhost:8000": f"127.0.0.1:{self.ports['tiled']}",
            "localhost:8060": f"127.0.0.1:{self.ports['twotime']}",
            "--host 0.0.0.0 --port 8000": f"--host 127.0.0.1 --port {self.ports['tiled']}",
            "redis-cli": f"redis-cli -p {self.ports['redis']}",
            "/deploy/tiled/config.yml": str(folder / "config.yml"),
            "file:///storage": f"file://{folder / 'storage'}",
            "/var/lib/twotime": str(folder / "var"),
        }

    @property
    def url(self) -> str:
        """Address of twotime."""
        return f"http://127.0.0.1:{self.ports['twotime']}"

    def prepare(self) -> None:
        """Make volumes and the database cluster, as the images do at their first start."""
        for name in ("storage", "var", "detector", "redis", "sockets"):
            (self.folder / name).mkdir()
        (self.folder / "config.yml").write_text(self.here((ROOT / "deploy" / "tiled" / "config.yml").read_text()))
        self.folder.chmod(0o711)
        database = self.services["postgres"]["environment"]
        (self.folder / "password").write_text(database["POSTGRES_PASSWORD"])
        (self.folder / "database").mkdir()
        for name in ("database", "sockets", "password"):
            shutil.chown(self.folder / name, self._database_user() or os.getuid())
        self._as_database_user(
            f"{self._programs}/initdb --pgdata={self.folder}/database --username={database['POSTGRES_USER']} "
            f"--pwfile={self.folder}/password --auth-local=trust --auth-host=scram-sha-256"
        )

    def create_databases(self) -> None:
        """Run what the image of PostgreSQL runs once, after its first start."""
        subprocess.run(
            ["/bin/sh", ROOT / "deploy" / "tiled" / "create-databases.sh"],
            env=self.environment("postgres"),
            check=True,
            capture_output=True,
            timeout=30,
        )

    def start(self, name: str) -> None:
        """Start a service and wait until its health check succeeds."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self.command(name),
                env=self.environment(name),
                cwd=self.folder / "var",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._database_user() if name == "postgres" else None,
            )
        until(lambda: self.is_healthy(name), lambda: f"{name} is not healthy\n{self.log(name)}")

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a service and wait until it has ended; one that does not want to is ended the hard way."""
        process = self._running.pop(name)
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End all that runs, those first that need the others."""
        for name in reversed(list(self._running)):
            # SIGINT is the fast stop of PostgreSQL, which else waits for its clients.
            self.kill(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)

    def is_running(self, name: str) -> bool:
        """Whether the process lives."""
        return self._running[name].poll() is None

    def is_healthy(self, name: str) -> bool:
        """What the health check of docker-compose.yml says."""
        assert self.is_running(name), f"{name} has ended\n{self.log(name)}"
        return self.run(name, self.services[name]["healthcheck"]["test"]).returncode == 0

    def run(self, name: str, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command line beside a service, as `docker compose exec` does."""
        env = self.environment(name) | environment
        return subprocess.run(
            ["/bin/sh", "-c", self.here(command)], env=env, capture_output=True, text=True, timeout=30, check=False
        )

    def ask_database(self, query: str) -> str:
        """What PostgreSQL answers to its owner, without headings."""
        command = f"psql --username tiled --dbname postgres --tuples-only --no-align --command '{query}'"
        return self.run("postgres", command).stdout

    def log(self, name: str) -> str:
        """The last words of a service."""
        return (self.folder / f"{name}.log").read_text()[-4000:]

    def here(self, text: str) -> str:
        """A text of the deployment with addresses and folders of containers replaced by those of this machine."""
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def command(self, name: str) -> list[str]:
        """What docker-compose.yml, else the image, starts."""
        if name == "postgres":
            where = (
                f"-p {self.ports[name]} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}/sockets"
            )
            return shlex.split(f"{self._programs}/postgres -D {self.folder}/database {where}")
        command = self.services[name].get("command")
        if isinstance(command, list):
            words = [self.here(word) for word in command]
        else:
            words = _image_command() if command is None else shlex.split(self.here(command))
        if name == "redis":
            words += shlex.split(f"--port {self.ports[name]} --bind 127.0.0.1 --dir {self.folder}/redis")
        return words

    def environment(self, name: str) -> dict[str, str]:
        """What docker-compose.yml and the image set, and where programs and modules are here."""
        here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.folder)}
        here |= {key: os.environ[key] for key in ("PYTHONPATH", "LANG") if key in os.environ}
        given = _image_environment() if "build" in self.services[name] else {}
        # What was compiled on this machine serves here too; an empty folder would cost half a minute.
        given = {key: value for key, value in given.items() if key not in ("PATH", "NUMBA_CACHE_DIR")}
        given |= self.services[name]["environment"]
        if name == "postgres":
            here |= {"PGHOST": f"{self.folder}/sockets", "PGPORT": str(self.ports[name])}
        if name == "twotime":
            here |= {"TWOTIME_PORT": str(self.ports[name])}
        return here | {key: self.here(value).replace("0.0.0.0", "127.0.0.1") for key, value in given.items()}

    def _as_database_user(self, command: str) -> None:
        done = subprocess.run(
            shlex.split(command), user=self._database_user(), cwd="/", capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def _database_user() -> str | None:
        """PostgreSQL refuses to run as root."""
        return "postgres" if os.getuid() == 0 else None


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of the programs of PostgreSQL; it, Redis and curl are installed where this machine lets us."""
    missing = [package for program, package in PACKAGES.items() if _program(program) is None]
    if missing and os.getuid() != 0:
        pytest.skip(f"{' and '.join(missing)} are not installed, and only root may install them")
    if missing:
        install(missing)
    found = _program("postgres")
    assert found is not None
    return found.resolve().parent


@pytest.fixture(scope="session")
def stack(programs: Path) -> Iterator[Stack]:
    """The running stack, each service healthy, begun in the order that docker-compose.yml asks for."""
    # Not below the folder of pytest, which only its owner may enter, and short, as addresses of sockets must be.
    folder = Path(tempfile.mkdtemp(prefix="twotime-stack-"))
    made = Stack(folder, programs)
    try:
        made.prepare()
        made.start("postgres")
        made.create_databases()
        for name in ("redis", "tiled", "twotime"):
            made.start(name)
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path | None:
    if name == "postgres":
        # Debian keeps them beside each other by version, and out of the path.
        return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
    found = shutil.which(name)
    return None if found is None else Path(found)


def _image_environment() -> dict[str, str]:
    """ENV of the image that is run, not of the one that it was built in."""
    last = (ROOT / "deploy" / "Containerfile").read_text().rpartition("\nFROM ")[2]
    pairs = [pair for line in re.findall(r"^ENV (.*)", last, re.M) for pair in shlex.split(line)]
    return dict(pair.split("=", 1) for pair in pairs)


def _image_command() -> list[str]:
    (command,) = re.findall(r"^CMD (.*)", (ROOT / "deploy" / "Containerfile").read_text(), re.M)
    words: list[str] = json.loads(command)
    return words


def _free_ports(number: int) -> list[int]:
    """Ports that are free just now, all different."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
