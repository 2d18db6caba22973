"""What is too long is refused with a sentence, before it is in memory."""

from collections.abc import Iterator

import httpx
import pytest

from twotime.api.server import Server

PIECE = b" " * 2**20
MOST = 16


@pytest.mark.parametrize("in_pieces", [False, True])
def test_body_beyond_the_limit_is_refused(client: httpx.Client, in_pieces: bool) -> None:
    body: Iterator[bytes] | bytes = iter([PIECE] * (MOST + 1)) if in_pieces else PIECE * (MOST + 1)

    answer = client.post("/plans", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "longer than 16 MiB" in answer.json()["detail"]
    assert answer.json()["title"] == "Body too long"
    assert client.get("/analyses").status_code == 200


def test_body_of_just_the_limit_is_read(client: httpx.Client) -> None:
    answer = client.post("/plans", content=PIECE * MOST, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert "not JSON" in answer.json()["detail"]


def test_nothing_is_read_of_a_stranger(stranger: httpx.Client, server: Server) -> None:
    answer = stranger.post("/api/v1/plans", content=PIECE * (MOST + 1))

    assert answer.status_code == 401
    assert server.settings.most_body_mib == MOST
