"""What the documentation names exists, and what exists is documented."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import cnn_ed
from twotime import xpcs
from twotime.cli import app
from twotime.recipe import FrameRecipe, Recipe, parse_recipe
from twotime.recipe.regions import FRAME_REGIONS, KINDS, Angles
from twotime.results import NODES
from twotime.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "deploy" / "README.md").read_text()
ROUTE = (ROOT / "service" / "README.md").read_text()
MATHS = (ROOT / "service" / "MATHS.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:twotime|cnn_ed|frame_denoiser)(?:\.\w+)+)`", MATHS)))
COMMANDS = {command.callback.__name__ for command in app.registered_commands if command.callback is not None}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_runbook(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in RUNBOOK


def test_no_setting_is_named_that_does_not_exist() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    compose = (ROOT / "docker-compose.yml").read_text() + (ROOT / "deploy" / "Containerfile").read_text()

    assert set(re.findall(r"TWOTIME_[A-Z_]+", README + RUNBOOK + compose)) <= known


def test_commands_of_the_readme_exist() -> None:
    assert set(re.findall(r"twotime (serve|demo|process|simulate|doctor|\w+)\b", README)) & COMMANDS >= {
        "doctor",
        "process",
        "serve",
        "picture",
        "collect",
        "train",
        "calibrate",
    }
    assert {
        "serve",
        "demo",
        "process",
        "simulate",
        "evaluate",
        "train",
        "doctor",
        "picture",
        "collect",
        "calibrate",
        "key",
        "plan_capacity",
    } <= COMMANDS


def test_recipes_of_the_readme_are_recipes() -> None:
    frames, dynamics = (parse_recipe(yaml.safe_load(one)) for one in re.findall(r"```yaml\n(.*?)```", README, re.S))

    assert isinstance(frames, FrameRecipe)
    assert frames.frames.sum == 5
    assert isinstance(dynamics, Recipe)
    assert dynamics.rois[0].num_rings == 8


def test_changelog_begins_with_the_version_of_the_software() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (heading,) = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[:1]

    assert heading == version


def test_defaults_of_a_recipe_are_those_of_its_readme() -> None:
    readme = (ROOT / "service" / "twotime" / "recipe" / "README.md").read_text()
    example, _ = re.findall(r"```yaml\n(.*?)```", readme, re.S)
    (paragraph,) = re.findall(r"\*\*Defaults\.\*\* (.*?)\n\n", readme, re.S)
    shown, defaults = flat(yaml.safe_load(example)), flat(Recipe().model_dump(mode="json"))

    named = re.findall(r"`([\w.]+)`", paragraph)
    assert {name: defaults[name] for name in named} == {name: shown[name] for name in named}
    empty = (None, [], {})
    assert {name for name, value in defaults.items() if value not in empty} == set(named)


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by dotted name; parts that hold nothing are values."""
    values: dict[str, Any] = {}
    for name, value in document.items():
        inner = isinstance(value, dict) and value
        values |= flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return values


def test_links_of_the_readmes_lead_somewhere() -> None:
    pages = (
        "README.md",
        "deploy/README.md",
        "deploy/TROUBLES.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "service/README.md",
        "service/MATHS.md",
        "service/twotime/recipe/README.md",
        "models/cnn_ed/MODEL_CARD.md",
    )
    for page in (ROOT / name for name in pages):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", NAMED)
def test_functions_of_the_maths_page_exist_and_explain_themselves(name: str) -> None:
    parts = name.split(".")
    length = next(k for k in range(len(parts), 0, -1) if (ROOT / _source(parts[:k])).exists())
    found = importlib.import_module(".".join(parts[:length]))
    for part in parts[length:]:
        found = getattr(found, part)

    assert found.__doc__


def _source(module: list[str]) -> str:
    folder = "service" if module[0] == "twotime" else "models"
    return f"{folder}/{'/'.join(module)}.py"


def test_maths_page_covers_the_numerical_core() -> None:
    modules = {name.split(".")[2] for name in NAMED if name.startswith("twotime.xpcs.")}

    # Orientation, ROI pixels, types and compilation hold no equation.
    left_out = {"__init__", "compiled", "orientation", "pixels", "types"}
    assert modules == {path.stem for path in (ROOT / "service" / "twotime" / "xpcs").glob("*.py")} - left_out


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_every_node_says_what_it_is(node: object) -> None:
    assert node.description.endswith(".")  # type: ignore[attr-defined]  # a Node


def test_nodes_of_the_route_exist() -> None:
    assert set(re.findall(r"`final/(\w+)`", ROUTE)) <= {node.name for node in NODES}


def test_public_names_are_there_and_documented() -> None:
    for module in (xpcs, cnn_ed):
        assert module.__all__ == sorted(module.__all__)
        assert [name for name in module.__all__ if not getattr(module, name).__doc__] == []


def test_compose_starts_what_the_runbook_names() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    assert set(services) == {"twotime", "tiled", "postgres", "redis", "prometheus", "grafana", "scheduler", "worker"}
    assert all("healthcheck" in service for service in services.values())


def test_torch_is_pinned_exactly() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert "torch==2.13.0" in pins
    assert all("==" in pin for pin in pins if pin)
    assert any(one.startswith("torch>=") for one in project["dependencies"])


def test_recipe_page_names_every_field_and_every_kind_of_roi() -> None:
    page = (ROOT / "service" / "twotime" / "recipe" / "README.md").read_text()
    text, _ = re.findall(r"```yaml\n(.*?)```", page, re.S)
    recipe = parse_recipe(yaml.safe_load(text))

    assert {region.kind for region in recipe.rois} == set(KINDS)
    documents = [Recipe, *(type(getattr(recipe, name)) for name in ("geometry", "masks", "frames", "denoise", "fit"))]
    for document in (*documents, *(type(region) for region in recipe.rois), Angles):
        for name in document.model_fields:
            assert re.search(rf"\b{name}:", text), f"{document.__name__}.{name} is missing"


def test_recipe_page_names_every_field_of_denoised_frames_with_its_default() -> None:
    page = (ROOT / "service" / "twotime" / "recipe" / "README.md").read_text()
    _, text = re.findall(r"```yaml\n(.*?)```", page, re.S)
    recipe = parse_recipe(yaml.safe_load(text))

    assert isinstance(recipe, FrameRecipe)
    assert {region.kind for region in recipe.regions} == set(FRAME_REGIONS)
    for document in (recipe, recipe.masks, recipe.frames, recipe.peaks):
        for name in type(document).model_fields:
            assert re.search(rf"\b{name}:", text), f"{type(document).__name__}.{name} is missing"
    assert recipe.peaks == FrameRecipe(kind="frames").peaks
