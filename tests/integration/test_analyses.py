"""The state of analyses in a real Tiled server: one winner per claim, nothing lost, nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.asking import request, run_facts

from twotime.catalog.results.analysis_record import CANCELLED, MAX_ATTEMPTS, ClaimLost, plain
from twotime.catalog.results.analysis_store import AnalysisStore
from twotime.errors import AnalysisNotFound


@pytest.fixture
def store(results):
    return AnalysisStore(results)


@pytest.fixture
def queued(store):
    return request(store, run_facts())


def at_once(number, function):
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(function, range(number)))


def test_new_request_is_queued_with_all_that_was_asked(store):
    facts = run_facts(scan_id=7, sample="silica")
    record = request(store, facts)
    assert record.id.startswith(facts.uid.split("-")[0] + "-")
    assert (record.status, record.attempt, record.raw_uid) == ("queued", 1, facts.uid)
    assert (record.scan_id, record.sample) == (7, "silica")
    assert record.request == {}
    assert record.recipe["geometry"]["distance_m"] == 5.0
    assert record.sources["geometry.distance_m"] == "descriptor configuration"
    assert record.parents == (facts.uid,)


def test_same_request_six_times_at_once_makes_one_analysis(store):
    facts = run_facts()
    records = at_once(6, lambda _: request(store, facts))
    assert len({(record.id, record.created_time) for record in records}) == 1
    assert store.search(raw_uid=facts.uid)[1] == 1


def test_one_of_six_claims_wins(store, queued):
    claims = at_once(6, lambda i: store.claim(queued.id, f"process {i}", 0))
    (winner,) = [record for record in claims if record is not None]
    assert winner.status == "running"
    assert store.get(queued.id).owner == winner.owner == store.newest_claim(queued.id).owner


def test_claim_of_a_dead_attempt_is_won_once_and_the_old_holder_learns_it(store, queued):
    first = store.claim(queued.id, "dead", 0)
    claims = at_once(4, lambda i: store.claim(queued.id, f"process {i}", 1))
    (second,) = [record for record in claims if record is not None]
    assert second.attempt == 2
    assert store.claim_state(first) == "lost"
    assert store.claim_state(second) == "held"


def test_last_attempt_that_dies_fails_the_analysis_and_says_so(store, queued):
    for attempt in range(MAX_ATTEMPTS):
        assert store.claim(queued.id, f"process {attempt}", attempt) is not None
    assert store.claim(queued.id, "one more", MAX_ATTEMPTS) is None
    record = store.get(queued.id)
    assert record.status == "failed"
    assert "died 3 times" in record.error


def test_waiting_analysis_is_cancelled_at_once_and_never_claimed(store, queued):
    assert store.request_cancel(queued.id, "me").status == "cancelled"
    assert store.claim(queued.id, "late", 0) is None
    assert store.claim(queued.id, "late", 1) is None
    assert store.get(queued.id).error == CANCELLED


def test_running_analysis_learns_that_it_shall_stop(store, queued):
    record = store.claim(queued.id, "process", 0)
    assert store.claim_state(record) == "held"
    assert store.request_cancel(queued.id, "me").status == "running"
    assert store.claim_state(record) == "cancel"
    assert store.cancelled(record).status == "cancelled"


def test_cancel_outlives_the_process_it_was_meant_for(store, queued):
    store.claim(queued.id, "dies", 0)
    store.request_cancel(queued.id, "me")
    assert store.claim(queued.id, "next", 1) is None
    assert store.get(queued.id).status == "cancelled"


def test_cancel_leaves_an_ended_analysis_alone(store, queued):
    record = store.claim(queued.id, "process", 0)
    store.done(record, timings_s={"reading": 1.0}, warnings=["one"], facts={"n_frames": 100})
    ended = store.request_cancel(queued.id, "me")
    assert (ended.status, ended.progress, ended.warnings) == ("done", 1.0, ("one",))


def test_progress_after_the_end_changes_nothing(store, queued):
    record = store.claim(queued.id, "process", 0)
    store.progress(record, "reading", 0.5)
    assert (store.get(queued.id).stage, store.get(queued.id).progress) == ("reading", 0.5)
    store.failed(record, "It broke; mend it.")
    store.progress(record, "reading", 0.9)
    assert store.get(queued.id).status == "failed"


def test_force_queues_an_ended_analysis_again_and_nothing_else(store):
    facts = run_facts()
    record = request(store, facts)
    assert request(store, facts, force=True).attempt == 1
    store.failed(store.claim(record.id, "process", 0), "It broke; mend it.")
    assert request(store, facts).status == "failed"
    again = request(store, facts, force=True)
    assert (again.status, again.attempt, again.error) == ("queued", 2, None)
    assert store.claim(record.id, "process", 1).attempt == 2


def test_attempt_that_is_handed_back_does_not_count_as_one_that_died(store, queued):
    for attempt in range(2 * MAX_ATTEMPTS):
        record = store.claim(queued.id, "stops in order", attempt)
        assert record is not None
        assert store.release(record).status == "queued"


def test_attempts_that_died_with_their_service_do_not_count_against_the_analysis(store, queued):
    for attempt in range(2 * MAX_ATTEMPTS):
        assert store.claim(queued.id, "killed", attempt, service_died=attempt > 0) is not None
    assert store.claim(queued.id, "next", 2 * MAX_ATTEMPTS) is not None


def test_analysis_that_takes_every_service_with_it_fails_in_the_end(store, queued, monkeypatch):
    monkeypatch.setattr("twotime.catalog.results.analysis_store.MAX_SERVICE_DEATHS", 4)
    attempts = [store.claim(queued.id, "killed", attempt, service_died=True) for attempt in range(5)]
    assert [one is None for one in attempts] == [False, False, False, True, True]
    assert store.get(queued.id).status == "failed"


def test_search_filters_counts_and_sorts_newest_first(store):
    facts = [run_facts(scan_id=number, sample="gold" if number % 2 else "silica") for number in range(8100, 8105)]
    ids = [request(store, one).id for one in facts]
    store.claim(ids[0], "process", 0)
    gold, total = store.search(sample="gold", status="queued")
    assert [record.scan_id for record in gold if record.id in ids] == [8103, 8101]
    assert total >= 2
    assert [record.id for record in store.search(scan_id=8102)[0]] == [ids[2]]
    assert [record.id for record in store.search(raw_uid=facts[0].uid[:13], status="running")[0]] == [ids[0]]
    newest, _ = store.search(raw_uid=[one.uid for one in facts], limit=2, offset=1)
    assert [record.id for record in newest] == [ids[3], ids[2]]
    assert store.search(status="done", scan_id=8102) == ([], 0)


@pytest.mark.parametrize("key", ["nothing-0123456789", "../raw", "a/b", "", "runs"])
def test_what_is_no_analysis_is_not_found(store, key):
    with pytest.raises(AnalysisNotFound, match="No analysis has the id"):
        store.get(key)


def test_metadata_never_hold_what_tiled_would_lose(store, queued):
    record = store.claim(queued.id, "process", 0)
    facts = plain({"rate": float("nan"), "edges": (1.0, float("inf"))})
    ended = store.done(record, timings_s={}, warnings=[], facts=facts)
    assert ended.facts == {"rate": None, "edges": [1.0, None]}


def test_attempt_that_was_taken_over_can_no_longer_write_its_end(store, queued):
    hung = store.claim(queued.id, "hung", 0)
    taker = store.claim(queued.id, "taker", 1)
    for give_up in (
        lambda: store.done(hung, timings_s={}, warnings=[], facts={}),
        lambda: store.failed(hung, "It broke; mend it."),
        lambda: store.cancelled(hung),
    ):
        with pytest.raises(ClaimLost, match="taken over by another process"):
            give_up()
    assert store.get(queued.id).status == "running"
    assert store.done(taker, timings_s={}, warnings=[], facts={}).status == "done"
