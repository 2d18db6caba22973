"""The errors of `make mutations` stand where the sources are today."""

from pathlib import Path

import pytest
from tests.mutations.errors import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.name)
def test_line_of_a_mutation_occurs_once(one: Mutation) -> None:
    assert (ROOT / one.path).read_text().count(one.line) == 1
    assert one.wrong != one.line
    assert all((ROOT / "tests" / "unit" / name).is_file() for name in one.tests)
