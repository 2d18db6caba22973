"""The notebook beside the client does what it says, against the real service."""

import json
from pathlib import Path
from typing import Any

import pytest

from twotime.api.server import Server

NOTEBOOK = Path(__file__).parents[3] / "service" / "notebooks" / "first_look.ipynb"
RECIPE = {
    "rois": [{"unit": "pixel", "edges": [[30, 40], [45, 55]]}],
    "masks": {"from_data": False},
    "fit": {"ages": 2},
}


def test_notebook_runs_from_the_first_cell_to_the_last(
    server: Server, done: dict[str, Any], run_uid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Its last cell writes a report beside it.
    parameters, *cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    given: dict[str, Any] = {"url": server.url, "api_key": server.key, "run": run_uid, "recipe": RECIPE}
    names: dict[str, Any] = {}

    exec("".join(parameters["source"]), names)
    assert set(given) == set(names) - {"__builtins__"}
    names |= given
    for cell in cells:
        exec("".join(cell["source"]), names)
    names["client"].close()

    assert names["analysis"].id == done["id"]
    assert names["fits"]["roi"].tolist() == [1, 2]
    assert names["c2"].dims == ("t1", "t2")
    assert len(names["figure"].axes) >= 3
    assert len(names["ages"]) == 2
    assert "How to cite" in (tmp_path / f"{done['id']}.html").read_text("utf-8")


def test_notebook_was_saved_without_results() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]

    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
