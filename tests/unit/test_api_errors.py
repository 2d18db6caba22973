"""Every error has a status, a title and a place in the one map."""

import pytest

from twotime import errors
from twotime.api.errors import STATUS, status_and_title


def family(kind: type[errors.TwotimeError]) -> list[type[errors.TwotimeError]]:
    return [
        kind,
        *(one for child in kind.__subclasses__() if child.__module__ == errors.__name__ for one in family(child)),
    ]


@pytest.mark.parametrize("kind", family(errors.TwotimeError))
def test_every_error_of_the_tree_is_mapped_by_its_own_name(kind: type[errors.TwotimeError]) -> None:
    assert kind in STATUS
    status, title = status_and_title(kind("a sentence."))
    assert 400 <= status < 600
    assert title


def test_what_the_client_did_wrong_is_4xx_and_the_rest_5xx_but_for_cancelled() -> None:
    for kind, (status, _) in STATUS.items():
        wrong_input = issubclass(kind, errors.InputError | errors.Cancelled)
        assert (status < 500) == wrong_input, kind
