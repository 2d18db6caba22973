"""What each scope lets a key do, route by route, as deploy/README.md promises it."""

import asyncio
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from twotime.api.app import create_app
from twotime.api.security.auth import COOKIE, OPEN_PATHS, SIGNED_PATHS, KeyGuard, scope_needed
from twotime.api.security.keys import SCOPES, KeyRing, add_key, load_keys
from twotime.settings import Settings

CHANGES = {
    ("POST", "/api/v1/analyses"): "submit",
    ("POST", "/api/v1/analyses/many"): "submit",
    ("POST", "/api/v1/analyses/{analysis_id}/cancel"): "submit",
    ("POST", "/api/v1/analyses/{analysis_id}/first"): "submit",
    ("POST", "/api/v1/analyses/{analysis_id}/mark"): "submit",
    ("POST", "/api/v1/plans"): "read",
    ("POST", "/api/v1/plans/rois.png"): "read",
    ("POST", "/api/v1/queue/pause"): "admin",
    ("POST", "/api/v1/queue/resume"): "admin",
}
"""Scope of every route that is no GET; one that is new needs a line here and one in deploy/README.md."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(Settings(var_dir=tmp_path_factory.mktemp("var")))


def test_every_route_takes_the_scope_that_is_promised(app: FastAPI) -> None:
    found = {
        (method.upper(), path): scope_needed(method.upper(), path.replace("{analysis_id}", "1a2b3c4d-0123456789"))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if path not in SIGNED_PATHS
    }

    assert {route: scope for route, scope in found.items() if route[0] != "GET"} == CHANGES
    assert {scope for (method, _), scope in found.items() if method == "GET"} == {"read"}
    assert len(found) > 30


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PUT", "POST"])
def test_what_no_route_answers_takes_admin(method: str) -> None:
    assert scope_needed(method, "/api/v1/anything") == "admin"


def test_paths_open_to_all_are_health_and_signed_deliveries() -> None:
    assert set(OPEN_PATHS) == {"/healthz", "/readyz"}
    assert set(SIGNED_PATHS) == {"/api/v1/hooks/tiled"}


class Guarded:
    """An application behind the guard that answers every request, and a key for each scope."""

    def __init__(self, folder: Path) -> None:
        file = folder / "keys.yml"
        self.keys = {scope: add_key(file, scope, [scope]) for scope in SCOPES}
        self.ring = KeyRing("own", load_keys(file))
        answers = Route("/{path:path}", lambda _: PlainTextResponse("let through"), methods=["GET", "POST"])
        self.app = KeyGuard(Starlette(routes=[answers]), self.ring)

    def status(self, method: str, path: str, headers: dict[str, str]) -> int:
        async def ask() -> int:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as client:
                return (await client.request(method, path, headers=headers)).status_code

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    return Guarded(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize(("route", "needed"), [*CHANGES.items(), (("GET", "/api/v1/analyses"), "read")])
def test_key_with_another_scope_is_refused(guarded: Guarded, route: tuple[str, str], needed: str) -> None:
    method, path = route[0], route[1].replace("{analysis_id}", "1a2b3c4d-0123456789")

    for scope, key in guarded.keys.items():
        assert guarded.status(method, path, {"X-API-Key": key}) == (200 if scope == needed else 403)
    assert guarded.status(method, path, {"X-API-Key": "own"}) == 200
    assert guarded.status(method, path, {}) == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://test"}, 200),
        ({"Origin": "http://other"}, 403),
        ({}, 200),
    ],
)
def test_cookie_acts_for_pages_of_this_site_only(guarded: Guarded, headers: dict[str, str], status: int) -> None:
    key = guarded.ring.of(guarded.keys["submit"])
    assert key is not None
    cookie = {"Cookie": f"{COOKIE}={guarded.ring.session(key)}"}

    assert guarded.status("POST", "/api/v1/analyses", cookie | headers) == status
