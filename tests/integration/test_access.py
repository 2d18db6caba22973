"""Who sees what is written of a run: Tiled decides by its access tags, and a Tiled that keeps none decides nothing."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from tests.asking import request, run_facts
from tests.guarded import ALICE, BEAMLINE, BOB, SERVICE, GuardedTiled

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.catalog.results.live_scans import LiveSink
from twotime.catalog.server.access_tags import access_in_words
from twotime.catalog.server.nodes import create_once
from twotime.catalog.server.tiled_client import open_root, open_with_key, visible_containers
from twotime.errors import TiledRefused, UnusableRun


@pytest.fixture(scope="module")
def tiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedTiled]:
    """A server with two proposals."""
    with GuardedTiled(tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture(scope="module")
def root_of(tiled: GuardedTiled) -> Iterator[Callable[[str], Any]]:
    """The whole server as a user sees it."""
    roots = {user: open_root(tiled.settings(user)) for user in tiled.keys}
    yield roots.__getitem__
    for root in roots.values():
        root.context.close()


@pytest.fixture
def store(root_of: Callable[[str], Any]) -> AnalysisStore:
    """The analyses, as the service sees them."""
    return AnalysisStore(root_of(SERVICE)["processed"])


def ask(store: AnalysisStore, *access_tags: str, force: bool = False, **changes: Any) -> AnalysisRecord:
    """Queue an analysis of a run that has these tags."""
    return request(store, run_facts(access_tags=access_tags, **changes), force=force)


def test_user_of_the_proposal_sees_its_analysis_and_nobody_else(
    store: AnalysisStore, root_of: Callable[[str], Any]
) -> None:
    key = ask(store, "proposal_b").id

    assert [key in root_of(user)["processed"] for user in (BOB, SERVICE, ALICE)] == [True, True, False]


def test_results_of_a_run_without_tags_are_seen_by_the_service_only(
    store: AnalysisStore, root_of: Callable[[str], Any]
) -> None:
    key = ask(store).id

    assert list(store.node(key).access_tags) == [f"user:{SERVICE}"]
    assert [key in root_of(user)["processed"] for user in (ALICE, BOB)] == [False, False]


@pytest.mark.parametrize("tag", ["not_ours", "nowhere_defined", "public"])
def test_run_with_tags_that_the_service_may_not_give_is_refused_in_words(store: AnalysisStore, tag: str) -> None:
    before = len(store.results)

    with pytest.raises(UnusableRun, match=f"access tags {tag}, which .* an owner of them"):
        ask(store, tag)
    with pytest.raises(UnusableRun, match=f"access tags {tag}, which"):
        LiveSink(store.results, str(uuid.uuid4()), {}, [tag])
    assert len(store.results) - before <= 1  # the container of live scans


def test_analysis_that_is_repeated_gets_the_tags_that_its_run_has_by_then(
    store: AnalysisStore, root_of: Callable[[str], Any]
) -> None:
    first = ask(store, "proposal_a")
    store.request_cancel(first.id, "test")

    again = ask(store, "proposal_b", uid=first.raw_uid, force=True)

    assert (again.id, again.status) == (first.id, "queued")
    assert [first.id in root_of(user)["processed"] for user in (ALICE, BOB)] == [False, True]


def test_container_whose_tags_cannot_be_given_is_made_for_the_service_alone(root_of: Callable[[str], Any]) -> None:
    root_of(BEAMLINE).create_container("open", access_tags=["public", "everybody"])
    parent = root_of(SERVICE)["open"]

    assert create_once(parent, "runs", {})
    assert list(parent["runs"].access_tags) == [f"user:{SERVICE}"]
    assert not create_once(parent, "runs", {})


def test_who_reaches_the_results_is_said_in_words(root_of: Callable[[str], Any], results: Any) -> None:
    root_of(SERVICE).create_container("hidden")

    assert access_in_words(root_of(SERVICE)["processed"]).endswith("their container has everybody")
    assert "nobody else reaches them" in access_in_words(root_of(SERVICE)["hidden"])
    assert "Tiled keeps no access tags" in access_in_words(results)


def test_caller_is_asked_for_with_his_own_key_whatever_the_environment_holds(
    tiled: GuardedTiled, store: AnalysisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ask(store, "proposal_a").id
    monkeypatch.setenv("TILED_API_KEY", tiled.keys[BEAMLINE])

    for user, seen in ((ALICE, True), (BOB, False)):
        root = open_with_key(tiled.settings(SERVICE), SecretStr(f"Apikey {tiled.keys[user]}"))
        assert (key in visible_containers(root, tiled.settings(SERVICE))[1]) == seen
        root.context.close()
    with pytest.raises(TiledRefused):
        open_with_key(tiled.settings(SERVICE), SecretStr("Apikey 00"))


def test_tiled_without_an_access_policy_ignores_tags(results: Any) -> None:
    store = AnalysisStore(results)

    record = ask(store, "proposal_a")

    assert list(store.node(record.id).access_tags) == []
    assert ask(store, "proposal_a", uid=record.raw_uid).id == record.id
