"""The files of the deployment fit each other, the service and the tools that read them."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.debian import install

from twotime.cli import app
from twotime.metrics import Metrics
from twotime.settings import PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
EXAMPLE = dict(re.findall(r"^(?:# )?(\w+)=(.*)$", (DEPLOY / "env.example").read_text(), re.M))
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "twotime.json").read_text())
SECRETS = sorted(name for name in EXAMPLE if name.endswith(("_KEY", "_PASSWORD")))
KNOWN = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    """What docker-compose makes of its file; it needs no docker for that."""
    if shutil.which("docker-compose") is None:
        install(["docker-compose"])
    command = ["docker-compose", "--env-file", str(env_file), "--profile", "monitoring", "--profile", "dask", "config"]
    return subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)


def filled_in(folder: Path) -> Path:
    """A file .env with made-up secrets."""
    path = folder / "env"
    path.write_text("".join(f"{name}={value or f'made-up-{name}'}\n" for name, value in EXAMPLE.items()))
    return path


def test_every_variable_of_the_compose_file_stands_in_the_example() -> None:
    assert set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", COMPOSE)) == set(EXAMPLE)


def test_example_holds_no_secret() -> None:
    assert {EXAMPLE[name] for name in SECRETS} == {""}


@pytest.mark.parametrize("name", [*SECRETS, "DETECTOR_DIR"])
def test_compose_file_demands_what_has_no_default(name: str) -> None:
    assert f"${{{name}:?Set {name} in .env" in COMPOSE


def test_no_service_comes_with_a_secret_of_its_own() -> None:
    secret = re.compile(r"(KEY|PASSWORD|AUTH)$")
    given = {
        f"{service}.{name}": value
        for service, what in SERVICES.items()
        for name, value in what.get("environment", {}).items()
        if secret.search(name)
    }

    assert len(given) >= 6
    assert [name for name, value in given.items() if not value.startswith("${")] == []


@pytest.mark.slow
def test_docker_compose_fills_in_every_secret(tmp_path: Path) -> None:
    done = compose_config(filled_in(tmp_path))

    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(done.stdout)["services"]
    assert made["twotime"]["environment"]["TWOTIME_TILED_API_KEY"] == "made-up-TWOTIME_TILED_API_KEY"
    assert made["tiled"]["environment"]["TILED_SINGLE_USER_API_KEY"] == "made-up-TWOTIME_TILED_API_KEY"
    assert "${" not in done.stdout


def test_docker_compose_refuses_the_example_as_it_is() -> None:
    done = compose_config(DEPLOY / "env.example")

    assert done.returncode != 0
    assert re.search(r"Set \w+ in \.env as deploy/README.md says", done.stderr)


def test_line_of_the_runbook_fills_in_every_secret_with_another_one(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (line,) = re.findall(r"^ +(sed .*env\.example > \.env)$", (DEPLOY / "README.md").read_text(), re.M)
    command = line.replace("> .env", f"> {tmp_path}/.env")

    subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=True, timeout=30)

    made = dict(re.findall(r"^(\w+)=(.*)$", (tmp_path / ".env").read_text(), re.M))
    assert len({made[name] for name in SECRETS}) == len(SECRETS)
    assert all(re.fullmatch("[0-9a-f]{48}", made[name]) for name in SECRETS)
    assert made["DETECTOR_DIR"] == EXAMPLE["DETECTOR_DIR"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_pinned_checked_limited_and_started_again(name: str) -> None:
    service = SERVICES[name]

    assert re.search(r":v?\d+(\.\d+)+(-\w+)?$", service["image"])
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["healthcheck"]["test"]


def test_compose_file_passes_on_what_a_site_may_set_and_may_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SERVICES["twotime"]["environment"]
    for name in ("TWOTIME_TILED_KEYS", "TWOTIME_WEBHOOK_SECRET"):
        (variable, default) = re.fullmatch(r"\$\{(\w+):-(\w*)\}", given[name]).groups()  # type: ignore[union-attr]
        assert variable == name
        monkeypatch.setenv(name, default)

    settings = load_settings(tiled_uri="http://tiled:8000")

    assert (settings.tiled_keys, settings.webhook_secret) == (False, None)


def test_folders_that_the_compose_file_mounts_exist() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]

    assert [mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()] == []
    named = {mount for mount in mounts if re.fullmatch(r"\w+", mount)}
    assert named == set(yaml.safe_load(COMPOSE)["volumes"])


def test_image_is_built_apart_and_runs_without_rights() -> None:
    stages = (DEPLOY / "Containerfile").read_text().split("\nFROM ")[1:]

    assert len(stages) == 2
    assert all(re.match(r"python:\d+\.\d+\.\d+-slim-\w+\b", stage) for stage in stages)
    assert "pip install" not in stages[-1]
    assert re.search(r"^USER twotime$", stages[-1], re.M)


def test_prometheus_asks_the_service_with_the_key_that_its_container_writes() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]

    assert job["static_configs"][0]["targets"] == ["twotime:8060"]
    (command,) = SERVICES["prometheus"]["command"]
    assert f"> {job['authorization']['credentials_file']};" in command


def test_dashboard_shows_numbers_that_the_service_counts() -> None:
    metrics = Metrics()
    metrics.analysis_ended("failed", {"correlate": 1.0})
    metrics.requests.labels("GET", "200").inc()
    counted = set(re.findall(r"^(\w+)[{ ]", metrics.text(), re.M))
    shown = {one for panel in DASHBOARD["panels"] for target in panel["targets"] for one in _names(target["expr"])}

    assert shown <= counted
    assert {"twotime_queue_length", "twotime_running", "twotime_tiled_up", "twotime_http_requests_total"} <= shown
    assert "twotime_stage_seconds_sum" in shown


def test_panels_have_numbers_and_places_of_their_own() -> None:
    places = [tuple(panel["gridPos"][edge] for edge in "xywh") for panel in DASHBOARD["panels"]]
    cells = [(x + i, y + j) for x, y, w, h in places for i in range(w) for j in range(h)]

    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "twotime.yml").read_text())["providers"]

    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {source["uid"]}
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in SERVICES["grafana"]["volumes"])
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == (
        f"{provider['options']['path']}/twotime.json"
    )


def test_unit_of_systemd_starts_a_command_that_exists_with_settings_that_exist() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd tells Capitals from capitals
    unit.read(DEPLOY / "systemd" / "twotime.service")
    service = unit["Service"]
    program, command = service["ExecStart"].split()

    assert Path(program).name == "twotime"
    assert command in {one.callback.__name__ for one in app.registered_commands if one.callback is not None}
    assert set(re.findall(r"TWOTIME_\w+", service["Environment"])) <= KNOWN
    assert service["User"] != "root"
    assert service["Restart"] == "always"


def _names(expression: str) -> set[str]:
    return set(re.findall(r"\btwotime_\w+", expression))
