"""What runs may have read on this machine: files of the folders that the site names, and no others."""

import os
from pathlib import Path

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from twotime.catalog.runs.detector_files import master_file, reachable_files
from twotime.catalog.runs.run_facts import find_image, run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.embedded import EmbeddedTiled
from twotime.simulate import write_run
from twotime.xpcs.types import Geometry

GEOMETRY = Geometry(10.0, 12.0, 5.0, 1.24, 75e-6, 0.01)
FRAMES = np.random.default_rng(7).integers(0, 60, (12, 20, 24), np.uint16)


@pytest.fixture
def folder(detector_folder: Path, tmp_path: Path) -> Path:
    """A folder of this test alone, named so that no other test has logged it."""
    return detector_folder / tmp_path.name


@pytest.fixture
def run(raw, folder: Path):
    return find_run(raw, write_run(raw, FRAMES, GEOMETRY, folder, shape_style="frames"))


def route(run, *folders: Path) -> str:
    return TiledFrames(run, run_facts(run), folders=folders).route


def test_files_are_read_in_place_from_named_folders_only(run, folder: Path, detector_folder: Path, tmp_path: Path):
    assert route(run, folder) == "file"
    assert route(run, tmp_path, detector_folder) == "file"
    assert route(run) == route(run, tmp_path) == "http"
    assert route(run, folder.with_name(folder.name[:-1])) == "http"

    both = [TiledFrames(run, run_facts(run), folders=folders).blocks(0, 12) for folders in ([folder], [tmp_path])]
    in_place, over_http = (np.concatenate([block for _, block in blocks]) for blocks in both)
    np.testing.assert_array_equal(in_place, over_http)


@pytest.mark.parametrize("there", ["", "/../{name}", "/x/../../{name}"])
def test_links_and_dots_do_not_lead_out_of_a_folder(run, folder: Path, tmp_path: Path, there: str) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "x").mkdir(parents=True)
    (tmp_path / folder.name).symlink_to(folder)
    for file in folder.iterdir():
        (allowed / file.name).symlink_to(file)
    path_map = {str(folder): str(allowed) + there.format(name=folder.name)}
    node = find_image(run).node

    assert reachable_files(node, path_map, [folder]) != []
    assert reachable_files(node, path_map, [allowed]) == []
    assert master_file(node, path_map, [allowed]) is None


def test_master_file_behind_a_link_is_left_alone(run, folder: Path, tmp_path: Path) -> None:
    (master,) = folder.glob("*_master.h5")
    elsewhere = master.rename(tmp_path / master.name)
    master.symlink_to(elsewhere)
    node = find_image(run).node

    assert master_file(node, {}, [folder]) is None
    assert master_file(node, {}, [folder, tmp_path]) == elsewhere


def test_folder_that_nobody_may_enter_is_out_of_reach(run, folder: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may enter every folder")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)

    assert reachable_files(find_image(run).node, {str(folder): str(closed / "in")}, [closed]) == []


def test_folder_to_name_is_logged_once(run, folder: Path) -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        for _ in range(2):
            route(run)

    told = [line for line in logs if line["event"] == "files_not_read_in_place" and line["folder"] == str(folder)]
    assert len(told) == 1
    assert told[0]["log_level"] == "warning"


def test_embedded_server_names_its_own_folders(tmp_path: Path) -> None:
    server = EmbeddedTiled(tmp_path, readable_storage=[tmp_path / "more"])

    assert server.readable == [tmp_path.resolve() / "detector", tmp_path.resolve() / "more"]
