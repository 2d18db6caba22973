"""A Tiled server with users and an access policy: who sees a node is decided by its tags."""

import asyncio
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from tests.waiting import until
from tiled.access_control.access_tags import AccessTagsCompiler
from tiled.access_control.scopes import ALL_SCOPES
from tiled.server.connection_pool import close_database_connection_pool
from tiled.server.settings import DatabaseSettings

from twotime.catalog.server.tiled_client import RUNS_SPEC, open_root
from twotime.settings import Settings

READ = ["read:metadata", "read:data"]
WORK = [*READ, "create:node", "write:metadata", "write:data", "delete:node", "delete:revision"]
ALICE, BOB, SERVICE, BEAMLINE = "alice", "bob", "twotime", "beamline"
TAGS = {
    "tags": {
        "everybody": {
            "users": [{"name": SERVICE, "scopes": WORK}, *({"name": one, "scopes": READ} for one in (ALICE, BOB))]
        },
        "proposal_a": {"users": [{"name": ALICE, "scopes": READ}, {"name": SERVICE, "scopes": WORK}]},
        "proposal_b": {"users": [{"name": BOB, "scopes": READ}, {"name": SERVICE, "scopes": WORK}]},
        "not_ours": {"users": [{"name": ALICE, "scopes": READ}, {"name": SERVICE, "scopes": READ}]},
    },
    "tag_owners": {tag: {"users": [{"name": SERVICE}]} for tag in ("everybody", "proposal_a", "proposal_b")},
}
"""Alice is of proposal A, Bob of B; twotime works for both. The beamline administers the server."""


class GuardedTiled:
    """Such a server, in a process and a folder of its own, with a container of runs and one of results.

    Attributes
    ----------
    uri, detector_folder : of the server
    keys : an API key of each user
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.detector_folder = folder / "detector"
        self.keys: dict[str, str] = {}
        self._port = _free_port()
        self._passwords = {name: secrets.token_hex(8) for name in (ALICE, BOB, SERVICE, BEAMLINE)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._port}/api/v1"

    def __enter__(self) -> Self:
        self.detector_folder.mkdir()
        (self.folder / "config.yml").write_text(yaml.safe_dump(self._config()))
        command = [sys.executable, "-m", "tiled", "serve", "config", str(self.folder / "config.yml")]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self._port)], stdout=log, stderr=subprocess.STDOUT
            )
        until(self._answers, lambda: (self.folder / "log").read_text()[-4000:])
        define = [sys.executable, "-m", "tests.guarded", f"sqlite:///{self.folder}/catalog.db"]
        subprocess.run(define, check=True, timeout=120, cwd=Path(__file__).parents[1])
        self.keys = {name: self.key_of(name) for name in self._passwords}
        with_tags = open_root(self.settings(BEAMLINE))
        for key, specs in (("raw", [RUNS_SPEC]), ("processed", [])):
            with_tags.create_container(key, specs=specs, access_tags=["everybody"])
        with_tags.context.close()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def settings(self, user: str, **others: Any) -> Settings:
        """Settings with the key of a user."""
        return Settings(tiled_uri=self.uri, tiled_api_key=self.keys[user], **others)  # type: ignore[arg-type]

    def token_of(self, user: str) -> str:
        """Access token of a user who has just logged in."""
        answer = httpx.post(
            f"{self.uri}/auth/provider/toy/token", data={"username": user, "password": self._passwords[user]}
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def key_of(self, user: str, scopes: tuple[str, ...] = ("inherit",)) -> str:
        """A new API key of a user."""
        answer = httpx.post(
            f"{self.uri}/auth/apikey",
            json={"expires_in": 3600, "scopes": list(scopes)},
            headers={"Authorization": f"Bearer {self.token_of(user)}"},
        )
        key: str = answer.raise_for_status().json()["secret"]
        return key

    def revoke(self, key: str) -> None:
        """Take a key back."""
        httpx.delete(
            f"{self.uri}/auth/apikey",
            params={"first_eight": key[:8]},
            headers={"Authorization": f"Apikey {key}"},
        ).raise_for_status()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-4000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/healthz", timeout=2).is_success
        except httpx.TransportError:
            return False

    def _config(self) -> dict[str, Any]:
        authenticator = "tiled.authenticators:DictionaryAuthenticator"
        return {
            "authentication": {
                "providers": [
                    {
                        "provider": "toy",
                        "authenticator": authenticator,
                        "args": {"users_to_passwords": self._passwords},
                    }
                ],
                "tiled_admins": [{"provider": "toy", "id": BEAMLINE}],
                "secret_keys": [secrets.token_hex(32)],
            },
            "database": {"uri": f"sqlite:///{self.folder}/users.db", "init_if_not_exists": True},
            "access_control": {
                "access_policy": "tiled.access_control.access_policies:TagBasedAccessPolicy",
                "args": {"provider": "toy", "access_tags_parser": "tiled.access_control.access_tags:AccessTagsParser"},
            },
            "catalog": {
                "uri": f"sqlite:///{self.folder}/catalog.db",
                "writable_storage": [f"file://{self.folder}/data", f"sqlite:///{self.folder}/tables.db"],
                "readable_storage": [f"file://{self.detector_folder}"],
                "init_if_not_exists": True,
                "top_level_access_tags": ["everybody"],
            },
            "streaming_cache": {"uri": "memory", "data_ttl": 300},
        }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def define_tags(uri: str) -> None:
    """Write the tags into the database of a catalog, as administrators of Tiled do."""
    database = DatabaseSettings(uri=uri)
    compiler = AccessTagsCompiler({scope.value: {} for scope in ALL_SCOPES}, TAGS, database, {}.__getitem__)
    compiler.load_tag_config()
    await compiler.compile()
    await close_database_connection_pool(database)


if __name__ == "__main__":
    asyncio.run(define_tags(sys.argv[1]))
