"""The key, health, the page, and the OpenAPI document."""

import stat

import httpx
import pytest
from tests.waiting import until

from twotime.api.server import Server

GUARDED = ["/", "/api/v1/analyses", "/api/v1/events", "/metrics", "/openapi.json", "/docs", "/page/main.js", "/nowhere"]


@pytest.mark.parametrize("path", GUARDED)
def test_nothing_without_the_key(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 401


def test_refusal_says_how_to_show_the_key(stranger: httpx.Client) -> None:
    answer = stranger.get("/api/v1/analyses")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "X-API-Key" in answer.json()["detail"]
    wrong = stranger.get("/api/v1/analyses", headers={"X-API-Key": "wrong ü".encode()})
    assert wrong.status_code == 401
    assert "is not a key of this service" in wrong.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": "{}"}, {"Authorization": "Apikey {}"}, {"Authorization": "Bearer {}"}],
    ids=["header", "apikey", "bearer"],
)
def test_key_in_each_header(server: Server, stranger: httpx.Client, headers: dict[str, str]) -> None:
    shown = {name: value.format(server.key) for name, value in headers.items()}
    assert stranger.get("/api/v1/analyses", headers=shown).status_code == 200


def test_key_is_kept_in_a_file_for_its_owner_only(server: Server) -> None:
    path = server.settings.var_dir / "api_key"
    assert path.read_text().strip() == server.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_key_in_the_address_of_the_page_becomes_a_cookie(server: Server, stranger: httpx.Client) -> None:
    answer = stranger.get("/", params={"api_key": server.key})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert server.key not in cookie
    page = stranger.get("/")
    assert page.status_code == 200
    assert "<title>twotime</title>" in page.text
    assert stranger.get("/api/v1/analyses").status_code == 200


def test_key_can_be_typed_in(server: Server, stranger: httpx.Client) -> None:
    assert 'name="api_key"' in stranger.get("/").text
    wrong = stranger.post("/session", data={"api_key": "wrong"})
    assert wrong.status_code == 401
    assert "This key does not fit." in wrong.text
    assert stranger.post("/session", data={"api_key": server.key}).status_code == 303
    assert stranger.get("/").status_code == 200


def test_wrong_key_wins_over_a_good_cookie(server: Server, stranger: httpx.Client) -> None:
    stranger.post("/session", data={"api_key": server.key})
    assert stranger.get("/api/v1/analyses", headers={"X-API-Key": "wrong"}).status_code == 401


def test_health_needs_no_key(stranger: httpx.Client) -> None:
    alive = stranger.get("/healthz")
    assert alive.status_code == 200
    assert alive.json()["status"] == "alive"
    ready = stranger.get("/readyz")
    assert ready.status_code == 200
    assert {check["name"] for check in ready.json()["checks"]} == {"tiled", "watcher", "workers", "weights"}


@pytest.mark.usefixtures("done")
def test_metrics_count_analyses_and_requests(server: Server, client: httpx.Client) -> None:
    def text() -> str:
        return client.get(f"{server.url}/metrics").text

    # The analysis is done before its worker has said so.
    until(lambda: 'twotime_analyses_total{status="done"}' in text(), text)
    until(lambda: "twotime_tiled_up 1.0" in text(), text)
    assert 'twotime_http_requests_total{method="GET",status="200"}' in text()
    assert 'twotime_stage_seconds_bucket{le="+Inf",stage="reading"}' in text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("page.css", "text/css"), ("icon.svg", "image/svg"), ("plotly.min.js", "text/ja")],
)
def test_page_gets_all_its_parts_from_here(server: Server, client: httpx.Client, name: str, kind: str) -> None:
    answer = client.get(f"{server.url}/page/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


def test_page_names_no_other_host(server: Server, client: httpx.Client) -> None:
    answer = client.get(f"{server.url}/")
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_openapi_shows_an_example_of_every_body(server: Server, client: httpx.Client) -> None:
    document = client.get(f"{server.url}/openapi.json").json()
    schemas = document["components"]["schemas"]
    without = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["tags"], path
            assert operation["description"], path
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for body in [*bodies, *operation["responses"].values()]:
                for kind, content in body.get("content", {}).items():
                    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                    if name and "examples" not in schemas[name]:
                        without.append(f"{method} {path} {kind} {name}")
    assert without == []
