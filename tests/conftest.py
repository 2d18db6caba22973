"""A real Tiled server for all tests of a session, and the clients to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import Loop

from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog, results_container
from twotime.settings import Settings

COMPILE = "from cnn_ed import Ensemble; from twotime.pipeline.one_roi import warm_up; warm_up(Ensemble.load())"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile once what all processes of the tests, and the services they start, would compile at the same time."""
    if not hasattr(session.config, "workerinput") and session.config.getoption("numprocesses", None):
        subprocess.run([sys.executable, "-c", COMPILE], check=True)


@pytest.fixture(scope="session")
def tiled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTiled]:
    """The embedded server, on a fresh catalog."""
    server = EmbeddedTiled(tmp_path_factory.mktemp("var"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def settings(tiled_server: EmbeddedTiled) -> Settings:
    """Settings of a service that uses that server."""
    return Settings(
        tiled_uri=tiled_server.uri,  # type: ignore[arg-type]  # pydantic turns text into an address
        tiled_api_key=tiled_server.api_key,  # type: ignore[arg-type]  # and into a secret
        var_dir=tiled_server.folder.parent,
        reconcile_s=2.0,
        detector_dirs=[tiled_server.detector_folder],
    )


@pytest.fixture(scope="session")
def detector_folder(tiled_server: EmbeddedTiled) -> Path:
    """A folder for detector files that the server may read."""
    return tiled_server.detector_folder


@pytest.fixture(scope="session")
def root(settings: Settings) -> Iterator[Any]:
    """Client of the whole server."""
    client = open_root(settings)
    yield client
    client.context.close()


@pytest.fixture(scope="session")
def raw(root: Any, settings: Settings) -> Any:
    """Catalog of the raw runs."""
    return raw_catalog(root, settings)


@pytest.fixture(scope="session")
def results(root: Any, settings: Settings) -> Any:
    """Container of the analyses."""
    return results_container(root, settings)


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """Folder of the measured data; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("TWOTIME_MEASURED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "id10_maxipix_frames.h5").is_file():
        pytest.skip(f"measured data are not in {folder}; set TWOTIME_MEASURED_DATA to their folder")
    return folder


@pytest.fixture(scope="module")
def call() -> Iterator[Loop]:
    """Runs coroutines in a loop that lives on between them."""
    loop = Loop()
    yield loop
    loop.close()
