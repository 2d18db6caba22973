"""What each key may do, and ways of getting in without one that do not work."""

import http.client
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from twotime.api.security.auth import COOKIE
from twotime.api.security.keys import SCOPES, load_keys
from twotime.api.server import Server

ANALYSES = "/api/v1/analyses"
REQUESTS = {
    "read": [("GET", ANALYSES), ("GET", "/metrics"), ("GET", "/docs"), ("POST", "/api/v1/plans")],
    "submit": [("POST", ANALYSES), ("POST", f"{ANALYSES}/none/cancel")],
    "admin": [("DELETE", ANALYSES), ("PUT", f"{ANALYSES}/none"), ("POST", f"{ANALYSES}/"), ("POST", "/nowhere")],
}


@pytest.fixture
def raw_request(server: Server) -> Callable[[bytes], int]:
    """Status of the answer to bytes that no client library would send."""

    def _raw_request(head: bytes) -> int:
        place = urlsplit(server.url)
        with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
            connection.sendall(head + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status

    return _raw_request


@pytest.mark.parametrize("held", SCOPES)
@pytest.mark.parametrize(
    ("needed", "method", "path"), [(scope, *one) for scope, many in REQUESTS.items() for one in many]
)
def test_key_does_what_its_scope_says_and_nothing_else(
    stranger: httpx.Client, keys: dict[str, str], held: str, needed: str, method: str, path: str
) -> None:
    answer = stranger.request(method, path, headers={"X-API-Key": keys[held]}, json={})

    if held == needed:
        assert answer.status_code not in (401, 403, 429)
        return
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"'{needed}'" in answer.json()["detail"]
    assert f"'for-{held}'" in answer.json()["detail"]
    assert keys[held] not in answer.text


def test_cookie_may_do_what_its_key_may(stranger: httpx.Client, keys: dict[str, str]) -> None:
    assert stranger.post("/session", data={"api_key": keys["read"]}).status_code == 303

    assert stranger.get("/").status_code == 200
    assert stranger.get(ANALYSES).status_code == 200
    assert stranger.post(ANALYSES, json={"uid": "-1"}).status_code == 403
    assert keys["read"] not in stranger.cookies[COOKIE]


def test_digest_of_the_keys_file_opens_nothing(stranger: httpx.Client, keys_file: Path) -> None:
    for key in load_keys(keys_file):
        assert stranger.get(ANALYSES, headers={"X-API-Key": key.sha256}).status_code == 401
        assert stranger.get(ANALYSES, headers={"Cookie": f"{COOKIE}={key.sha256}"}).status_code == 401


@pytest.mark.parametrize("cookie", ["", "0" * 64, "ü" * 64, '"', "\\0\\0", "a" * 5000, "None", "'; x=y"])
def test_forged_cookie_is_refused(stranger: httpx.Client, cookie: str) -> None:
    assert stranger.get(ANALYSES, headers={"Cookie": f"{COOKIE}={cookie}".encode()}).status_code == 401


@pytest.mark.parametrize("headers", ["X-API-Key: {}", "Authorization: Apikey {}", "Authorization: Basic {}"])
@pytest.mark.parametrize("value", [b"", b"\x00", b"\xff\xfe", "é".encode(), b"a" * 20_000, b"null", b"*", b"\t"])
def test_odd_header_is_refused(raw_request: Callable[[bytes], int], headers: str, value: bytes) -> None:
    name, _, rest = headers.partition("{}")
    address = f"\r\nX-Forwarded-For: 192.0.2.{len(value) % 250}".encode()
    shown = b"\r\n" + name.encode() + value + rest.encode()

    assert raw_request(b"GET " + ANALYSES.encode() + b" HTTP/1.1" + address + shown) in (400, 401, 429)


def test_key_in_the_address_opens_the_page_only(stranger: httpx.Client, server: Server) -> None:
    for path in (ANALYSES, "/metrics", "/docs", "/page/main.js"):
        assert stranger.get(path, params={"api_key": server.key}).status_code == 401
    assert stranger.post(ANALYSES, params={"api_key": server.key}, json={"uid": "-1"}).status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "//api/v1/analyses",
        "/api/v1/../v1/analyses",
        "/healthz/../api/v1/analyses",
        "/healthz/%2e%2e/api/v1/analyses",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/healthz%2f..%2fapi/v1/analyses",
        "/healthz/",
        "/healthz%00",
        "/HEALTHZ",
        "/api/v1/analyses/",
        "/api/v1/analyses;/healthz",
        "/page/../index.html",
        "/page/%2e%2e/app.py",
        "http://localhost/api/v1/analyses",
        "/api/v1/analyses?/healthz",
        "*",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "PROPFIND"])
def test_no_path_or_method_leads_around_the_key(raw_request: Callable[[bytes], int], method: str, target: str) -> None:
    assert raw_request(f"{method} {target} HTTP/1.1".encode()) in (400, 401)


def test_name_of_the_host_does_not_choose_the_path(server: Server) -> None:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(f"GET {ANALYSES} HTTP/1.1\r\nHost: x/healthz?\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()

        assert answer.status in (400, 401)


def test_only_health_is_open(server: Server, stranger: httpx.Client, client: httpx.Client) -> None:
    paths = client.get(f"{server.url}/openapi.json").json()["paths"]

    opened = [path for path in paths if stranger.get(path.replace("{", "").replace("}", "")).status_code != 401]

    assert opened == ["/healthz", "/readyz"]


def test_websocket_is_refused(server: Server) -> None:
    place = urlsplit(server.url).netloc
    for path in ("/healthz", ANALYSES, "/"):
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://{place}{path}", proxy=None):
            pass
        assert refused.value.response.status_code == 403


def test_wrong_keys_are_slowed_and_right_ones_are_not(stranger: httpx.Client, keys: dict[str, str]) -> None:
    wrong = {"X-API-Key": "wrong"}
    assert [stranger.get(ANALYSES, headers=wrong).status_code for _ in range(6)] == [401] * 5 + [429]

    slowed = stranger.get(ANALYSES, headers=wrong)

    assert 0 < int(slowed.headers["Retry-After"]) <= 60
    assert slowed.headers["content-type"] == "application/problem+json"
    assert "wait" in slowed.json()["detail"]
    assert stranger.post("/session", data={"api_key": "wrong"}).status_code == 429
    assert stranger.get(ANALYSES, headers={"X-API-Key": keys["read"]}).status_code == 200
    assert stranger.get(ANALYSES, headers={"X-Forwarded-For": "192.0.2.251", **wrong}).status_code == 401


def test_other_sites_can_neither_read_nor_ask_first(stranger: httpx.Client, server: Server) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    answer = stranger.get(ANALYSES, headers={"X-API-Key": server.key, **origin})
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = stranger.options(ANALYSES, headers={**origin, **asked})

    assert answer.status_code == 200
    assert preflight.status_code == 401
    for one in (answer, preflight):
        assert not [name for name in one.headers if name.lower().startswith("access-control-")]


def test_no_key_is_ever_logged(stranger: httpx.Client, server: Server, keys: dict[str, str], logs: io.StringIO) -> None:
    for key in ("a-wrong-key-4711", keys["read"], server.key):
        stranger.get(ANALYSES, headers={"X-API-Key": key})
        stranger.get("/", params={"api_key": key})
        stranger.post("/session", data={"api_key": key})
        stranger.post(ANALYSES, headers={"X-API-Key": key}, content=b"{")
        stranger.get("/nowhere", params={"api_key": key})
    stranger.cookies.clear()

    assert "wrong_key" in logs.getvalue()
    assert [key for key in ("a-wrong-key-4711", *keys.values(), server.key) if key in logs.getvalue()] == []


def test_odd_methods_are_counted_as_one(stranger: httpx.Client, client: httpx.Client, server: Server) -> None:
    stranger.request("PROPFIND", ANALYSES)

    assert 'twotime_http_requests_total{method="other",status="401"}' in client.get(f"{server.url}/metrics").text


def test_long_form_is_not_read_to_its_end(stranger: httpx.Client) -> None:
    assert stranger.post("/session", content=(b"x" * 65536 for _ in range(64))).status_code == 401


def test_problem_of_a_refusal_is_whole(stranger: httpx.Client) -> None:
    document = json.loads(stranger.delete("/nowhere").text)

    assert set(document) == {"type", "title", "status", "detail", "instance"}
