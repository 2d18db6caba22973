"""What a site sets, once, at entry; nothing here changes a number (that is the recipe's part)."""

import difflib
import ipaddress
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TWOTIME_"
_SECRETS = "/run/secrets"
SHORTEST_KEY = 12
"""Longer than what people and examples put where a key is still to be filled in."""


class Settings(BaseSettings):
    """Settings of the service, each read from ``TWOTIME_<NAME>``; unknown names are refused."""

    # Errors without the input: it would be a key, in the log of the service.
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    tiled_uri: AnyHttpUrl | None = Field(
        None, description="Tiled server to read from and publish to; none: start the embedded one"
    )
    tiled_api_key: SecretStr | None = Field(None, description="API key for that Tiled server")
    tiled_wait_s: float = Field(60.0, ge=0, description="how long to wait for Tiled at start, s")
    raw_path: str = Field("raw", description="container of the raw runs in Tiled")
    results_path: str = Field("processed", description="container of the analyses in Tiled")
    var_dir: Path = Field(Path("var"), description="folder of the embedded Tiled server and the keys made here")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8060, ge=0, le=65535, description="port to listen on; 0: any free one")
    api_key: SecretStr | None = Field(
        None, description="key that may do everything; none: one is made and kept in var_dir"
    )
    trusted_proxies: list[str] = Field(
        [],
        description="addresses or networks of the proxies in front, whose X-Forwarded-For and X-Forwarded-Proto say "
        "who asks and by which scheme; none: nobody is believed",
    )
    frame_ancestors: list[str] = Field(
        [],
        description="origins of pages that may show the page of this service in a frame, such as a wall of screens; "
        "none: no page may",
    )
    keys_file: Path | None = Field(
        None, description="digests and scopes of further keys (YAML or JSON), written by `twotime key`"
    )
    tiled_keys: bool = Field(
        False, description="let callers show their own key of Tiled, which then decides what each of them sees"
    )
    read_in_place: bool = Field(True, description="read frames from their HDF5 files when these can be reached")
    detector_dirs: list[Path] = Field(
        [],
        description="folders whose files are read in place, as they are here; none: all frames come over HTTP, but for "
        "those that the embedded Tiled may read",
    )
    path_map: dict[str, str] = Field(
        {},
        description='prefixes of file paths as Tiled names them, and where they are here: {"/there": "/here"}',
    )
    masks_path: str = Field(
        "", description="container of the mask registry in Tiled, such as chx/sandbox; none: no registry"
    )
    mask_dir: Path | None = Field(
        None, description="folder of the masks, label arrays and qmap files that recipes may name; none: no files"
    )
    memory_gib: float = Field(
        8.0, gt=0, description="for the two-time correlation functions of one analysis, GiB; more frames are added up"
    )
    cache_gib: float = Field(
        4.0, ge=0, description="for ROI pixels of the last runs in var_dir, so that a changed fit reads no frames, GiB"
    )
    readable_storage: list[Path] = Field([], description="further folders the embedded Tiled may read frames from")
    automatic: bool = Field(True, description="analyse finished runs without being asked")
    live: bool = Field(True, description="follow scans while they run, where the automatic mode would analyse them")
    live_scans: int = Field(
        2, ge=1, le=16, description="scans of one instrument followed at the same time; further ones wait"
    )
    live_patience_s: float = Field(
        600.0,
        gt=0,
        description="how long to wait for the next frame of a scan, or until Tiled holds a run that documents tell of, "
        "before it is given up, s",
    )
    documents_address: str = Field(
        "",
        description="where bluesky's 0MQ proxy publishes documents, as host:port; none: only Tiled tells of runs",
    )
    catch_up_s: float = Field(
        7 * 86400.0, ge=0, description="how far back to look at start for finished runs without analysis, s"
    )
    webhook_secret: SecretStr | None = Field(
        None, description="what a webhook of Tiled signs with that names finished runs; none: no deliveries are taken"
    )
    reconcile_s: float = Field(30.0, gt=0, description="how often to look for runs that no message announced, s")
    recipe_file: Path | None = Field(None, description="recipe (JSON or YAML) for automatic analyses")
    rules_file: Path | None = Field(
        None,
        description="rules (YAML or JSON) for automatic analyses: which runs get which recipe, which are left alone",
    )
    ensemble: Path | None = Field(
        None, description="folder of models trained here by `twotime train`; none: the shipped ones"
    )
    frame_denoiser: Path | None = Field(
        None, description="folder of another frame denoiser than the shipped one; none: the shipped one"
    )
    most_body_mib: float = Field(16.0, gt=0, description="longest body of a request, MiB")
    shares: list[str] = Field(
        ["beamline_id", "data_session"],
        max_length=4,
        description="fields of the start document (a.b for inner ones) between whose values the workers are shared "
        "evenly, coarse first, such as instrument and proposal; []: first come, first served",
    )
    most_queued: int = Field(
        1000, ge=1, description="analyses asked for that may wait, of each share; further ones are refused"
    )
    workers: int = Field(1, ge=1, le=64, description="analyses at the same time, one process each")
    dask_scheduler: str = Field(
        "",
        description="address of a Dask scheduler whose workers compute, such as tcp://host:8786; local: Dask workers "
        "on this machine; none: worker processes of the service",
    )
    threads_per_worker: int = Field(2, ge=1, le=256, description="threads for linear algebra in each worker")
    log_json: bool = Field(False, description="log as JSON lines instead of text")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severity to log")

    @field_validator("webhook_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, secret: Any) -> Any:
        """A compose file passes on what .env leaves out as empty text, and no secret is safe: nothing is taken then."""
        return None if secret == "" else secret

    @field_validator("api_key", "webhook_secret")
    @classmethod
    def _key_is_one(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(
                f"{PREFIX}{str(info.field_name).upper()} has {len(key.get_secret_value())} characters, but one that "
                f"guards anything has {SHORTEST_KEY} or more; set what `openssl rand -hex 24` prints, or drop it."
            )
        return key

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_have_addresses(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(
                    f"TWOTIME_TRUSTED_PROXIES names {proxy!r}; give addresses or networks, such as "
                    '["127.0.0.1", "172.18.0.0/16"].'
                ) from None
        return proxies

    @field_validator("frame_ancestors")
    @classmethod
    def _frames_have_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not re.fullmatch(r"'self'|https?://[A-Za-z0-9.*-]+(:(\d+|\*))?", origin):
                raise ValueError(
                    f'TWOTIME_FRAME_ANCESTORS names {origin!r}; give origins, such as ["https://screens.example.org"].'
                )
        return origins

    @field_validator("dask_scheduler")
    @classmethod
    def _scheduler_is_one(cls, address: str) -> str:
        if address in ("", "local"):
            return address
        if not re.fullmatch(r"(tcp|tls|ws|wss)://[^\s/]+:\d+", address):
            raise ValueError(
                f"TWOTIME_DASK_SCHEDULER is {address!r}; give an address such as tcp://host:8786, or local, or drop it."
            )
        return address

    @model_validator(mode="after")
    def _dask_is_installed(self) -> Self:
        if self.dask_scheduler and find_spec("distributed") is None:
            raise ValueError(
                "TWOTIME_DASK_SCHEDULER is set but Dask is not installed; pip install 'twotime[dask]', or drop it."
            )
        return self

    @field_validator("documents_address")
    @classmethod
    def _documents_have_an_address(cls, address: str) -> str:
        if address and not re.fullmatch(r"[^\s/:]+:\d+", address):
            raise ValueError(
                f"TWOTIME_DOCUMENTS_ADDRESS is {address!r}; give host and port of the 0MQ proxy, such as "
                "localhost:5578, or drop it."
            )
        return address

    @model_validator(mode="after")
    def _zmq_is_installed(self) -> Self:
        if self.documents_address and find_spec("zmq") is None:
            raise ValueError(
                "TWOTIME_DOCUMENTS_ADDRESS is set but pyzmq is not installed; pip install 'twotime[documents]', or "
                "drop it."
            )
        return self

    @model_validator(mode="after")
    def _documents_have_a_reader(self) -> Self:
        if self.documents_address and not self.automatic:
            raise ValueError(
                "TWOTIME_DOCUMENTS_ADDRESS is set but TWOTIME_AUTOMATIC is false, so nobody would act upon documents; "
                "drop one of the two."
            )
        return self

    @model_validator(mode="after")
    def _key_needs_server(self) -> Self:
        if self.tiled_api_key is not None and self.tiled_uri is None:
            raise ValueError(
                "TWOTIME_TILED_API_KEY is set but TWOTIME_TILED_URI is not; name the server, or drop the key."
            )
        if self.tiled_keys and self.tiled_uri is None:
            raise ValueError(
                "TWOTIME_TILED_KEYS is true but TWOTIME_TILED_URI is not set, and the embedded Tiled knows no users; "
                "name a server that does, or drop it."
            )
        return self


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment, and secrets also from files; `overrides` win, then the environment.

    A file ``twotime_api_key`` holds what ``TWOTIME_API_KEY`` would, and so on for every setting, in the folder where
    containers (``/run/secrets``) or systemd (``CREDENTIALS_DIRECTORY``) put secrets.

    Raises
    ------
    ValueError
        On a variable that begins with ``TWOTIME_`` and is no setting, or on a value out of range.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {"TWOTIME_MEASURED_DATA"}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"settings are {', '.join(sorted(known))}."
            raise ValueError(f"{name} is set in the environment but is no setting of twotime; {hint}")
    folders = [Path(folder) for folder in (_SECRETS, os.environ.get("CREDENTIALS_DIRECTORY", "")) if folder]
    there = [folder for folder in folders if folder.is_dir()]
    given = {name: value for name, value in overrides.items() if value is not None}
    return Settings(_secrets_dir=there or None, **given)
