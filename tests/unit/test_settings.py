"""Settings: read once from the environment, misspellings refused."""

import asyncio
from pathlib import Path

import httpx
import pytest

from twotime.api.app import create_app
from twotime.settings import Settings, load_settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_PORT", "9001")
    monkeypatch.setenv("TWOTIME_PATH_MAP", '{"/there": "/here"}')

    settings = load_settings()

    assert settings.port == 9001
    assert settings.path_map == {"/there": "/here"}


def test_overrides_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_PORT", "9001")

    assert load_settings(port=9002).port == 9002


def test_misspelt_variable_is_refused_with_the_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_TILED_URL", "http://localhost:8000")

    with pytest.raises(ValueError, match="did you mean TWOTIME_TILED_URI"):
        load_settings()


def test_a_tiled_key_without_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_TILED_API_KEY", "secret")

    with pytest.raises(ValueError, match="TWOTIME_TILED_URI is not"):
        load_settings()


def test_keys_of_tiled_need_a_tiled_that_has_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_TILED_KEYS", "true")

    with pytest.raises(ValueError, match="TWOTIME_TILED_KEYS is true but TWOTIME_TILED_URI is not"):
        load_settings()
    assert load_settings(tiled_uri="http://localhost:8000").tiled_keys


def test_webhook_secret_that_a_compose_file_leaves_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_WEBHOOK_SECRET", "")

    assert load_settings().webhook_secret is None


def test_keys_do_not_show_in_the_representation() -> None:
    settings = Settings(api_key="quite topsecret")  # type: ignore[arg-type]  # pydantic turns the text into a secret

    assert "topsecret" not in repr(settings)


@pytest.mark.parametrize("key", ["", "secret", "changeme", "password"])
def test_empty_and_default_keys_are_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TWOTIME_API_KEY", key)

    with pytest.raises(ValueError, match=r"TWOTIME_API_KEY has .*openssl rand -hex 24"):
        load_settings()


def test_keys_do_not_show_in_what_is_said_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_TILED_API_KEY", "topsecret")

    with pytest.raises(ValueError, match="TWOTIME_TILED_API_KEY") as refused:
        load_settings()
    assert "topsecret" not in str(refused.value)


def test_no_file_is_read_in_place_before_a_folder_is_named() -> None:
    assert Settings().detector_dirs == []


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_webhook_secret_that_guards_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_WEBHOOK_SECRET", "secret")

    with pytest.raises(ValueError, match="TWOTIME_WEBHOOK_SECRET has 6 characters"):
        load_settings()


@pytest.mark.parametrize("address", ["host:8786", "http://host:8786", "tcp://host", "here"])
def test_address_that_no_dask_scheduler_has_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TWOTIME_DASK_SCHEDULER", address)

    with pytest.raises(ValueError, match=r"such as tcp://host:8786, or local"):
        load_settings()


@pytest.mark.parametrize("origin", ["screens.example.org", "https://a.example; script-src *", "*", "javascript:x"])
def test_origin_that_no_page_has_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="TWOTIME_FRAME_ANCESTORS names"):
        Settings(frame_ancestors=[origin])


def test_pages_of_named_origins_may_frame_the_service(tmp_path: Path) -> None:
    origins = ["'self'", "https://screens.example.org", "http://wall.example.org:8080"]
    app = create_app(Settings(var_dir=tmp_path, frame_ancestors=origins))

    async def ask() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return (await client.get("/")).headers["content-security-policy"]

    assert asyncio.run(ask()).endswith(f"; frame-ancestors {' '.join(origins)}")


def test_secrets_may_be_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twotime_api_key").write_text("a key in a file\n")
    (tmp_path / "of_another_program").write_text("nothing of ours")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert load_settings().api_key.get_secret_value() == "a key in a file"

    monkeypatch.setenv("TWOTIME_API_KEY", "a key in the environment")
    assert load_settings().api_key.get_secret_value() == "a key in the environment"

    monkeypatch.delenv("TWOTIME_API_KEY")
    (tmp_path / "twotime_api_key").write_text("short")
    with pytest.raises(ValueError, match="TWOTIME_API_KEY has 5 characters"):
        load_settings()


def test_more_levels_of_shares_than_any_site_has_are_refused() -> None:
    assert Settings(shares=["beamline_id"]).shares == ["beamline_id"]
    with pytest.raises(ValueError, match="shares"):
        Settings(shares=["a", "b", "c", "d", "e"])
