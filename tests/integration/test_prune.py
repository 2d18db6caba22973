"""Deleting analyses from a real Tiled: nodes and files go together, everything else stays."""

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.publishing import publish

from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.publish import run_uid
from twotime.catalog.results.retention import RetentionRules, delete_analysis, disk_bytes
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.catalog.server.tiled_client import open_root, raw_catalog, results_container
from twotime.cli.prune import prune
from twotime.settings import Settings

BINARY = Path(sys.executable).parent / "twotime"
DAY = 86400.0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Settings of a Tiled server that no other test uses."""
    server = EmbeddedTiled(tmp_path_factory.mktemp("site"))
    server.start()
    yield Settings(tiled_uri=server.uri, tiled_api_key=server.api_key, var_dir=server.folder.parent)
    server.stop()


@pytest.fixture
def root(site):
    client = open_root(site)
    yield client
    client.context.close()


@pytest.fixture
def store(site, root):
    return AnalysisStore(results_container(root, site))


def published(site, store, scan_id, days=0.0):
    """Publish an analysis that ended so many days ago; returns its record."""
    key = publish(site, scan_id, 300.0, sample="gel")
    ended = time.time() - days * DAY
    patch = [{"op": "add", "path": f"/{name}", "value": ended} for name in ("finished_time", "updated_time")]
    store.node(key).patch_metadata(metadata_patch=patch)
    return store.get(key)


def files(site, key=""):
    folder = site.var_dir / "tiled" / "data" / site.results_path / key
    return {path for path in folder.rglob("*") if path.is_file()}


def n_rows(site):
    """Rows of all tables that runs are kept in."""
    with closing(sqlite3.connect(site.var_dir / "tiled" / "tables.db")) as tables:
        names = [name for (name,) in tables.execute("select name from sqlite_master where type = 'table'")]
        return sum(tables.execute(f"select count(*) from [{name}]").fetchone()[0] for name in names)


def test_deleted_analysis_leaves_neither_nodes_nor_files_nor_rows_and_its_run_stays(site, store, root):
    kept = published(site, store, 1)
    before, rows = files(site), n_rows(site)
    gone = published(site, store, 2)
    assert files(site, gone.id)
    assert len(files(site)) > len(before)
    assert run_uid(gone.id) in store.results["runs"]

    assert delete_analysis(store, gone)

    assert gone.id not in store.results
    assert list(store.results["runs"]) == [run_uid(kept.id)]
    assert files(site) == before
    baseline = 2  # The run keeps its own.
    assert n_rows(site) == rows + baseline
    assert raw_catalog(root, site)[gone.raw_uid]["baseline"].read()["temperature"].shape == (baseline,)
    assert not delete_analysis(store, gone)


def test_analysis_that_was_marked_meanwhile_stays(site, store):
    record = published(site, store, 3)
    store.mark(record.id, "good", "", by="test")
    assert not delete_analysis(store, record)
    assert store.get(record.id).status == "done"


def test_bytes_are_those_of_the_files(site, store):
    record = published(site, store, 4)
    sizes = disk_bytes(store, [record])
    assert sizes == {record.id: sum(path.stat().st_size for path in files(site, record.id))}
    assert sizes[record.id] > 1000


@pytest.mark.long
def test_command_says_what_it_would_delete_and_does_it_only_when_told(site, store):
    old, marked, young = (published(site, store, scan, days) for scan, days in ((5, 50), (6, 50), (7, 10)))
    store.mark(marked.id, "look again", "", by="test")
    patch = [{"op": "add", "path": f"/{name}", "value": marked.finished_time} for name in ("updated_time",)]
    store.node(marked.id).patch_metadata(metadata_patch=patch)

    said = StringIO()
    prune(site, RetentionRules(older_than_s=30 * DAY), Console(file=said, width=150), delete=False)

    assert old.id in said.getvalue()
    assert f"Stays, because its scan is marked: look again: {marked.id}" in said.getvalue()
    assert young.id not in said.getvalue()
    assert re.search(r"1 of \d+ analyses, 0\.00 of 0\.00 GiB\.\nNothing was deleted; add --delete", said.getvalue())
    assert old.id in store.results

    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWOTIME_")}
    done = subprocess.run(
        [BINARY, "prune", "--older-than", "30", "--delete"],
        env=clean | {"TWOTIME_VAR_DIR": str(site.var_dir)},  # The server runs already, as beside a service.
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Deleted 1 analysis." in done.stdout
    assert old.id not in store.results
    assert {marked.id, young.id} <= set(store.results)
