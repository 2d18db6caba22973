"""Requests that mean harm: refused in a sentence, at once, and nobody else waits meanwhile."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.waiting import until

from twotime.api.security.auth import COOKIE
from twotime.api.security.keys import SESSION_S, KeyRing, KeysFile, add_key, load_keys, remove_key
from twotime.api.server import STALLED_S, Server
from twotime.settings import Settings

ANALYSES = "/api/v1/analyses"
LONG = "x" * 2_000_000
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/api/v1/plans", {"uid": LONG}),
    ("/api/v1/analyses", {"uid": LONG}),
    ("/api/v1/plans/rois.png", {"uid": "-1", "size": 10**30}),
    ("/api/v1/analyses/many", {"sample": LONG}),
    ("/api/v1/analyses/many", {"first_scan_id": 10**25}),
    ("/api/v1/plans", {"uid": "a\nb"}),
]
QUERIES = [
    (ANALYSES, {"scan_id": "9" * 25}),
    (ANALYSES, {"scan_id": "9" * 5000}),
    (ANALYSES, {"offset": "9" * 25}),
    (ANALYSES, {"sample": "x" * 5000}),
    (ANALYSES, {"raw_uid": "x" * 5000}),
    ("/api/v1/latest", {"sample": "x" * 5000}),
    ("/api/v1/runs", {"limit": "9" * 25}),
    ("/api/v1/runs/-1/frame.png", {"frame": "9" * 25}),
    ("/api/v1/runs/-1/frame.png", {"detector": "a\x00b"}),
]
CONTROL = ["a%00b", "a%0ab", "%7f", "a%1fb"]
"""What no address can hold, as clients write it."""


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.yml"
    add_key(path, "first", ["read"])
    return path


@pytest.fixture(scope="module")
def server(settings: Settings, keys_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that trusts no proxy."""
    own = {"port": 0, "results_path": "processed_hostile", "automatic": False, "keys_file": keys_file}
    with Server(settings.model_copy(update={**own, "var_dir": tmp_path_factory.mktemp("service")})) as running:
        with httpx.Client(base_url=running.url) as client:
            until(lambda: client.get("/readyz").status_code == 200, lambda: client.get("/readyz").text)
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.key}, timeout=30) as one:
        yield one


@pytest.fixture
def browser(server: Server) -> Iterator[httpx.Client]:
    """Somebody who opened the page."""
    with httpx.Client(base_url=server.url, timeout=30) as one:
        assert one.post("/session", data={"api_key": server.key}).status_code == 303
        yield one


@pytest.mark.parametrize(("path", "body"), BODIES)
def test_body_without_bounds_is_refused_at_once(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    began = time.monotonic()
    answer = client.post(path, json=body)

    assert answer.status_code == 422, answer.text[:500]
    assert len(answer.text) < 10_000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("path", "query"), QUERIES)
def test_query_without_bounds_is_refused_at_once(client: httpx.Client, path: str, query: dict[str, str]) -> None:
    began = time.monotonic()
    answer = client.get(path, params=query)

    assert answer.status_code == 422, answer.text[:500]
    assert len(answer.text) < 10_000
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", CONTROL)
def test_no_name_makes_an_address_that_fails(client: httpx.Client, name: str) -> None:
    document = client.get("/openapi.json").json()
    named = [path for path in document["paths"] if "{uid}" in path or "{analysis_id}" in path]
    assert len(named) > 15

    for path in named:
        address = path.replace("{uid}", name).replace("{analysis_id}", name).replace("{ending}", "txt")
        address = address.replace("{roi}", "1")
        for method, operation in document["paths"][path].items():
            answer = client.request(method, address)
            assert answer.status_code in (404, 422), f"{method} {address}: {answer.text}"
            assert str(answer.status_code) in operation["responses"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_other_sites_change_nothing_with_the_cookie(browser: httpx.Client, headers: dict[str, str]) -> None:
    answer = browser.post("/api/v1/queue/pause", headers=headers)

    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]
    assert browser.get("/api/v1/queue").json()["paused"] is False


def test_own_page_and_programs_may_change_what_their_key_may(browser: httpx.Client, client: httpx.Client) -> None:
    origin = str(browser.base_url).rstrip("/")
    for headers in ({"Origin": origin}, {"Origin": origin, "Sec-Fetch-Site": "same-origin"}, {}):
        assert browser.post("/api/v1/queue/resume", headers=headers).status_code == 200
    assert client.post("/api/v1/queue/resume", headers={"Origin": "https://elsewhere.example"}).status_code == 200


def test_session_ends_after_a_week_and_cannot_be_made_longer() -> None:
    now = [1e9]
    ring = KeyRing("the key of the service", clock=lambda: now[0])
    key = ring.of("the key of the service")
    assert key is not None
    shown = ring.session(key)
    ends, _, signature = shown.partition(".")
    assert ring.of_session(shown) == key

    for forged in (f"{int(ends) + 1}.{signature}", f"{'9' * 40}.{signature}", f".{signature}", signature, f"-1.{ends}"):
        assert ring.of_session(forged) is None
    now[0] += SESSION_S
    assert ring.of_session(shown) is None


def test_key_that_is_taken_back_ends_its_sessions_while_the_service_runs(server: Server, keys_file: Path) -> None:
    made = add_key(keys_file, "guest", ["read"])
    with httpx.Client(base_url=server.url) as guest:
        assert guest.post("/session", data={"api_key": made}).status_code == 303
        assert guest.get(ANALYSES).status_code == 200

        remove_key(keys_file, "guest")

        assert guest.get(ANALYSES).status_code == 401
        assert guest.get(ANALYSES, headers={"X-API-Key": made}).status_code == 401


def test_stream_of_events_ends_with_the_key_that_opened_it(
    server: Server, keys_file: Path, client: httpx.Client
) -> None:
    made = add_key(keys_file, "listener", ["read"])
    with httpx.stream("GET", f"{server.url}/api/v1/events", headers={"X-API-Key": made}, timeout=60) as events:
        lines = events.iter_lines()
        for paused in ("pause", "resume"):
            assert client.post(f"/api/v1/queue/{paused}").status_code == 200
            assert until(lambda: next(lines).startswith("event: queue"))
        remove_key(keys_file, "listener")

        client.post("/api/v1/queue/resume")

        assert [line for line in lines if line.startswith("event")] == []


def test_damaged_keys_file_leaves_the_keys_that_were(tmp_path: Path) -> None:
    path = tmp_path / "keys.yml"
    key = add_key(path, "one", ["read"])
    ring = KeyRing("own", KeysFile(path))
    good = path.read_text()

    path.write_text("- {")
    assert ring.of(key) is not None
    path.write_text(good.replace("read", "submit"))
    assert ring.of(key).scopes == ("submit",)
    path.unlink()
    assert ring.of(key) is None
    with pytest.raises(ValueError, match="no key named 'two'; it has none"):
        remove_key(path, "two")
    assert load_keys(path) if path.exists() else True


def test_forwarded_address_of_a_stranger_does_not_loosen_the_brake(server: Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        answers = [
            stranger.get(ANALYSES, headers={"X-API-Key": "wrong", "X-Forwarded-For": f"192.0.2.{number}"}).status_code
            for number in range(7)
        ]

    assert answers[-1] == 429
    assert answers.count(401) <= 5


def test_every_address_answers_head_as_get_without_a_body(client: httpx.Client) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/page/main.js", ANALYSES):
        shown, asked = client.get(path), client.head(path)
        assert (asked.status_code, asked.content) == (shown.status_code, b""), path
        assert asked.headers["content-type"] == shown.headers["content-type"]
    began = time.monotonic()
    assert client.head("/api/v1/events").status_code == 200
    assert time.monotonic() - began < 5


def test_every_answer_forbids_to_guess_its_kind(client: httpx.Client, server: Server) -> None:
    for path in ("/", "/healthz", "/page/main.js", ANALYSES, "/nowhere"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"
    assert httpx.get(f"{server.url}{ANALYSES}").headers["x-content-type-options"] == "nosniff"


def test_no_answer_lets_code_of_its_own_run_or_is_framed(client: httpx.Client, server: Server) -> None:
    for path in ("/", "/docs", "/healthz", "/page/main.js", "/page/icon.svg", ANALYSES, "/nowhere"):
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        code = policy.get("script-src", policy["default-src"])
        assert code in ("'none'", "'self'"), path
        assert policy["frame-ancestors"] == "'none'"
        assert headers["referrer-policy"] == "no-referrer"
    asks = httpx.get(server.url)
    assert asks.status_code == 401
    assert "unsafe-inline" not in asks.headers["content-security-policy"]


def connected(server: Server) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((place.hostname, place.port), timeout=90)


def closed_after_s(connection: socket.socket, drip: bytes = b"") -> float:
    """Seconds until the other side closes, while a byte now and then is sent."""
    began = time.monotonic()
    connection.settimeout(0.5)
    while time.monotonic() - began < 80:
        try:
            if drip:
                connection.sendall(drip)
            if not connection.recv(65536):
                return time.monotonic() - began
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - began
    raise AssertionError("the connection is held for ever")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_head_that_does_not_end_is_not_waited_for(server: Server, client: httpx.Client, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        assert closed_after_s(connection, b"x" if sent else b"") < 40
    assert client.get("/healthz").status_code == 200


def test_head_without_end_is_not_kept(server: Server) -> None:
    with connected(server) as connection:
        assert closed_after_s(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000) < 10


@pytest.mark.long
def test_body_that_does_not_end_is_not_waited_for(server: Server, client: httpx.Client) -> None:
    head = f"POST /api/v1/plans HTTP/1.1\r\nHost: x\r\nX-API-Key: {server.key}\r\nContent-Type: application/json\r\n"
    with connected(server) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        began = time.monotonic()
        connection.settimeout(80)
        answer = connection.recv(65536)

    assert b" 408 " in answer.split(b"\r\n")[0]
    assert 50 < time.monotonic() - began < 75
    assert client.get("/healthz").status_code == 200


@pytest.mark.long
def test_answer_that_is_not_taken_is_not_kept(server: Server, client: httpx.Client) -> None:
    asked = f"GET /page/plotly.min.js HTTP/1.1\r\nHost: x\r\nX-API-Key: {server.key}\r\n\r\n".encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        place = urlsplit(server.url)
        connection.connect((place.hostname, place.port))
        connection.sendall(asked * 8)
        own = connection.getsockname()

        def held() -> bool:
            return any(other.client == own for other in server.connections)

        began = time.monotonic()
        assert until(held)
        until(lambda: not held(), longest_s=150)

    assert STALLED_S - 5 < time.monotonic() - began < 2 * STALLED_S + 30
    assert client.get("/healthz").status_code == 200


def test_form_with_the_key_is_not_waited_for(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\napi_key=")
        connection.settimeout(30)
        answer = connection.recv(65536)

    assert answer.split(b" ")[1] in (b"401", b"429")


def test_cookie_of_another_service_opens_nothing(server: Server) -> None:
    ring = KeyRing("another key")
    key = ring.of("another key")
    assert key is not None
    answer = httpx.get(f"{server.url}{ANALYSES}", headers={"Cookie": f"{COOKIE}={ring.session(key)}"})

    assert answer.status_code == 401
