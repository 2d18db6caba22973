"""Which finished runs the automatic mode takes, and what it says of the others."""

import asyncio
from dataclasses import replace

import pytest
from tests.records import RECORD

from twotime.catalog.results.analysis_record import Claim
from twotime.jobs.event_hub import MOST_WAITING, EventHub
from twotime.jobs.requests.eligibility import judge
from twotime.jobs.scheduling.leases import LEASE_S, LeaseMonitor
from twotime.jobs.scheduling.owner import is_dead, new_owner

SUCCESS = {"exit_status": "success"}
EIGER = ["eiger4m_single_image"]


@pytest.mark.parametrize(
    ("start", "stop", "detectors", "words"),
    [
        ({}, None, EIGER, "still running"),
        ({}, {"exit_status": "abort"}, EIGER, "exit status is abort"),
        ({}, {"exit_status": "fail", "reason": "beam dump"}, EIGER, "beam dump"),
        ({"XPCS_data": False}, SUCCESS, EIGER, "XPCS_data: False"),
        ({}, SUCCESS, [], "no frames of an area detector"),
        ({"motors": ["sample_x"]}, SUCCESS, EIGER, "sample_x"),
    ],
)
def test_skipped_run_is_skipped_with_its_reason(start, stop, detectors, words):
    verdict = judge(start, stop, detectors)
    assert not verdict.taken
    assert words in verdict.reason


def test_frames_are_denoised_of_runs_that_are_no_xpcs():
    for start in ({"XPCS_data": False}, {"motors": ["sample_temperature"]}):
        assert not judge(start, SUCCESS, EIGER).taken
        assert judge(start, SUCCESS, EIGER, "frames").taken
        assert not judge(start, SUCCESS, [], "frames").taken


@pytest.mark.parametrize("start", [{}, {"XPCS_data": True}, {"XPCS_data": True, "motors": ["sample_x"]}])
def test_successful_run_with_frames_is_taken(start):
    verdict = judge(start, SUCCESS, EIGER)
    assert verdict.taken
    assert "eiger4m_single_image" in verdict.reason


def test_slow_listener_loses_the_oldest_events():
    async def listen():
        hub = EventHub()
        listener = hub.subscribe()
        for number in range(MOST_WAITING + 3):
            hub.publish("analysis", number=number)
        return await anext(listener)

    assert asyncio.run(listen())["number"] == 3


def test_own_process_lives_and_a_gone_one_is_dead():
    here = new_owner()
    place, pid, start, _ = here.rsplit("/", 3)
    assert not is_dead(here)
    assert is_dead(f"{place}/{pid}/{int(start) - 1}/a")
    assert is_dead(f"{place}/4194304/1/a")
    assert not is_dead(f"elsewhere/{pid}/{start}/a")


RUNNING = replace(RECORD, status="running", stage="reading", progress=0.1, updated_time=100.0)


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waiting_analysis_that_nobody_claimed_is_free():
    queued = replace(RUNNING, status="queued")
    assert LeaseMonitor(new_owner()).is_claimable(queued, Claim(0, None, False))


def test_attempt_of_another_machine_is_taken_over_only_after_a_lease_without_signs_of_life():
    clock = Clock()
    leases = LeaseMonitor(new_owner(), clock)
    claim = Claim(1, "elsewhere/1/1/a", False)
    assert not leases.is_claimable(RUNNING, claim)
    clock.now = LEASE_S - 1
    assert not leases.is_claimable(RUNNING, claim)
    clock.now = LEASE_S + 1
    assert leases.is_claimable(RUNNING, claim)


def test_sign_of_life_renews_the_lease():
    clock = Clock()
    leases = LeaseMonitor(new_owner(), clock)
    claim = Claim(1, "elsewhere/1/1/a", False)
    leases.is_claimable(RUNNING, claim)
    clock.now = LEASE_S + 1
    assert not leases.is_claimable(replace(RUNNING, updated_time=101.0), claim)


def test_silence_while_tiled_was_away_does_not_count():
    clock = Clock()
    leases = LeaseMonitor(new_owner(), clock)
    claim = Claim(1, "elsewhere/1/1/a", False)
    leases.is_claimable(RUNNING, claim)
    clock.now = LEASE_S + 1
    leases.restart()
    assert not leases.is_claimable(RUNNING, claim)


def test_attempt_of_a_dead_process_on_this_machine_is_free_at_once():
    place = new_owner().rsplit("/", 3)[0]
    assert LeaseMonitor(new_owner()).is_claimable(RUNNING, Claim(1, f"{place}/4194304/1/a", False))
