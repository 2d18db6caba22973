"""The rules of a site: the first that fits decides, and what is wrong with them is said in a sentence."""

from pathlib import Path

import pytest

from twotime.errors import RecipeError
from twotime.jobs.requests.site_rules import SiteRules, load_site_rules

EIGER = ["eiger4m_single_image"]
RULES = """
rules:
  - {name: calibration, where: {sample: "AgBeh*"}, skip: silver behenate has no dynamics}
  - {name: gels, where: {sample: "*gel*", detectors: "eiger4m*"}, recipe: gels.yml}
  - {name: slow, where: {"acquire period": 1.0, "md.user.group": 7}, recipe: slow.yml}
  - {name: dark, where: {XPCS_data: false}, skip: dark frames}
"""


@pytest.fixture
def rules(tmp_path: Path) -> SiteRules:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "gels.yml").write_text("fit: {ages: 20}")
    (tmp_path / "slow.yml").write_text("frames: {stride: 2}")
    return load_site_rules(tmp_path / "rules.yml")


def test_rules_say_which_kinds_of_analysis_their_recipes_ask_for(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("rules: [{name: weak, where: {plan_name: scan}, recipe: frames.yml}]")
    (tmp_path / "frames.yml").write_text("{kind: frames, frames: {sum: 5}}")
    found = load_site_rules(tmp_path / "rules.yml")
    _, recipe = found.of({"plan_name": "scan"}, EIGER)

    assert found.kinds == {"frames"}
    assert recipe is not None
    assert recipe.kind == "frames"
    assert SiteRules().kinds == set()


@pytest.mark.parametrize(
    ("start", "name"),
    [
        ({"sample": "AgBeh 10 keV gel"}, "calibration"),
        ({"sample": "silica GEL 3"}, "gels"),
        ({"acquire period": "1.00", "md": {"user": {"group": "7"}}}, "slow"),
        ({"XPCS_data": False}, "dark"),
        ({"XPCS_data": 0}, None),
        ({"sample": "latex"}, None),
        ({}, None),
    ],
)
def test_first_rule_that_fits_decides(rules: SiteRules, start: dict[str, object], name: str | None) -> None:
    rule, _ = rules.of(start, EIGER)

    assert (rule.name if rule else None) == name


def test_rule_brings_its_recipe_and_its_detector_counts(rules: SiteRules) -> None:
    rule, recipe = rules.of({"sample": "gel"}, EIGER)
    assert rule is not None
    assert recipe is not None
    assert recipe.fit.ages == 20
    assert rules.of({"sample": "gel"}, ["eiger1m_single_image"]) == (None, None)


def test_no_file_has_no_rules() -> None:
    assert load_site_rules(None).of({"sample": "gel"}, EIGER) == (None, None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules: [{where: {}}]", "rules.0.name: Field required"),
        ("rules: [{name: a, recipe: b.yml, skip: c}]", "rule 'a' has a recipe and a reason to skip"),
        ("rules: [{name: a, when: {}}]", "rules.0.when"),
        ("rules: [{name: a, recipe: gone.yml}]", "gone.yml cannot be read"),
        ("rules: [", "cannot be read as YAML or JSON"),
        ("- 1", "cannot be used"),
    ],
)
def test_wrong_rules_are_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "rules.yml").write_text(text)

    with pytest.raises(RecipeError, match=sentence):
        load_site_rules(tmp_path / "rules.yml")
    with pytest.raises(RecipeError, match=r"nowhere\.yml cannot be read"):
        load_site_rules(tmp_path / "nowhere.yml")


def test_rule_may_put_its_runs_last(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("rules: [{name: alignment, where: {plan_name: align}, priority: low}]")
    rule, _ = load_site_rules(tmp_path / "rules.yml").of({"plan_name": "align"}, EIGER)

    assert rule is not None
    assert rule.priority == "low"
