"""Old analyses go, and never one that somebody marked, that another one needs, or that would come back by itself."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records import RECORD

from twotime.catalog.results.analysis_record import AnalysisRecord
from twotime.catalog.results.retention import Pruning, RetentionRules, prune_plan
from twotime.errors import InputError

NOW = 1.7e9
DAY = 86400.0
DONE = replace(RECORD, scan_id=1, sample="gel", status="done", stage="done", progress=1.0)


def analysis(key: str, days: float, **changes: Any) -> AnalysisRecord:
    ended = NOW - days * DAY
    return replace(DONE, **{"id": key, "raw_uid": key, "finished_time": ended, "updated_time": ended, **changes})


def planned(*records: AnalysisRecord, **rules: Any) -> Pruning:
    rules = {"older_than_s": 30 * DAY, **rules}
    return prune_plan(records, RetentionRules(**rules), now=NOW)


def deleted(plan: Pruning) -> list[str]:
    return [record.id for record, _ in plan.delete]


def test_analyses_that_are_too_old_go_oldest_first() -> None:
    plan = planned(analysis("b", 40), analysis("c", 20), analysis("a", 50))
    assert plan.delete[0][1] == "age"
    assert deleted(plan) == ["a", "b"]
    assert (plan.kept, plan.n_analyses, plan.n_bytes, plan.freed_bytes) == ({}, 3, None, None)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_analysis_that_has_not_ended_stays(status: str) -> None:
    plan = planned(analysis("a", 40, status=status))
    assert deleted(plan) == []
    assert plan.kept == {"a": f"it is {status}"}


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_analysis_without_result_goes_as_well(status: str) -> None:
    assert deleted(planned(analysis("a", 40, status=status))) == ["a"]


def planned_by_size(*records: AnalysisRecord, keep: float, **rules: Any) -> Pruning:
    sizes = {record.id: 10 for record in records}
    return prune_plan(records, RetentionRules(keep_bytes=keep, **rules), now=NOW, sizes=sizes)


def test_oldest_go_until_the_rest_fits() -> None:
    records = [analysis(key, days) for key, days in (("a", 50), ("b", 40), ("c", 30), ("d", 20))]
    plan = planned_by_size(*records, keep=25)
    assert deleted(plan) == ["a", "b"]
    assert {reason for _, reason in plan.delete} == {"size"}
    assert (plan.n_bytes, plan.freed_bytes) == (40, 20)
    assert deleted(planned_by_size(*records, keep=40)) == []
    assert deleted(planned_by_size(*records, keep=25, youngest_s=45 * DAY)) == ["a"]


def test_what_the_automatic_mode_would_compute_again_stays() -> None:
    plan = planned_by_size(analysis("a", 6), analysis("b", 8), keep=0, youngest_s=7 * DAY)
    assert deleted(plan) == ["b"]
    assert plan.kept == {"a": "the automatic mode would compute it again"}


def test_both_limits_delete_what_either_does() -> None:
    records = [analysis(key, days) for key, days in (("a", 50), ("b", 40), ("c", 30))]
    plan = planned_by_size(*records, keep=15, older_than_s=45 * DAY)
    assert [(record.id, reason) for record, reason in plan.delete] == [("a", "age"), ("b", "size")]


def test_marked_scans_stay_with_all_their_analyses() -> None:
    plan = planned(
        analysis("a", 50, raw_uid="one"),
        analysis("b", 40, raw_uid="one", mark={"value": "good", "note": ""}),
        analysis("c", 40, mark={"value": None, "note": "see logbook"}),
        analysis("d", 40),
    )
    assert deleted(plan) == ["d"]
    assert plan.kept["a"] == plan.kept["b"] == "its scan is marked: good"
    assert plan.kept["c"] == "its scan is marked: a note"


def test_scans_marked_as_bad_go_only_where_that_is_asked_for() -> None:
    bad = analysis("a", 40, mark={"value": "bad", "note": "beam was off"})
    assert deleted(planned(bad)) == []
    assert deleted(planned(bad, bad_too=True)) == ["a"]


def test_what_a_recipe_names_stays() -> None:
    labels = {"rois": [{"array": "tiled:processed/12ab34cd-0123456789/final/roi_labels"}]}
    old = analysis("12ab34cd-0123456789", 50)
    plan = planned(old, analysis("b", 1, request=labels))
    assert deleted(plan) == []
    assert plan.kept == {old.id: "the recipe of b names it"}
    plan = prune_plan([old], RetentionRules(30 * DAY), now=NOW, named=[str(labels)])
    assert plan.kept == {old.id: "a recipe of the site names it"}


def test_analysis_that_names_itself_does_not_keep_itself() -> None:
    assert deleted(planned(analysis("a", 40, recipe={"rois": "a"}))) == ["a"]


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({}, "Nothing says what to delete; give --older-than, --keep-gib, or both."),
        ({"keep_bytes": 1.0}, "--keep-gib needs the files of the results, which cannot be read here"),
        ({"older_than_s": 2 * DAY, "youngest_s": 7 * DAY}, "--older-than is 2 days, but .* the last 7 days again"),
    ],
)
def test_rules_that_cannot_be_applied_are_refused_in_a_sentence(rules: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        prune_plan([analysis("a", 40)], RetentionRules(**rules), now=NOW)


RECORDS = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.sampled_from(["queued", "running", "done", "failed", "cancelled"]),
        st.sampled_from([None, "good", "bad", "look again"]),
        st.integers(0, 100),
    ),
    max_size=12,
)


@given(RECORDS, st.floats(0, 100), st.integers(0, 600), st.floats(0, 50))
def test_nothing_that_must_stay_is_ever_deleted(
    drawn: list[tuple[float, Any, Any, int]], days: float, keep: int, youngest: float
) -> None:
    records = [
        analysis(f"x{number}", age, status=status, mark=mark and {"value": mark, "note": ""})
        for number, (age, status, mark, _) in enumerate(drawn)
    ]
    sizes = {f"x{number}": size for number, (*_, size) in enumerate(drawn)}
    rules = RetentionRules(max(days, youngest) * DAY, keep, youngest * DAY)
    plan = prune_plan(records, rules, now=NOW, sizes=sizes)
    for record, _ in plan.delete:
        assert record.ended
        assert record.mark is None
        assert NOW - record.updated_time > rules.youngest_s
    assert not {record.id for record, _ in plan.delete} & set(plan.kept)
    assert plan.n_bytes == sum(sizes.values())
    left = sum(sizes.values()) - sum(sizes[record.id] for record, _ in plan.delete)
    assert plan.freed_bytes == sum(sizes.values()) - left
    free_to_go = [one for one in records if one.id not in plan.kept and one.ended and one.mark is None]
    if left > keep:
        assert all(one.id in deleted(plan) or NOW - one.updated_time <= rules.youngest_s for one in free_to_go)
