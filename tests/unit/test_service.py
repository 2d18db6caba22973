"""The parts of a service before it starts."""

import typing
from pathlib import Path

import pytest

from twotime.jobs import Service
from twotime.jobs.access.callers import CallerView
from twotime.jobs.access.tiled_connection import TiledConnection
from twotime.jobs.access.viewer import Viewer
from twotime.jobs.requests.submission import Submission
from twotime.settings import Settings


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(Settings(var_dir=tmp_path))


def test_old_name_of_on_document_still_answers_and_names_the_new_one(service: Service):
    with pytest.warns(DeprecationWarning, match="on_document"):
        service.hear("start", {})


def test_service_and_callers_are_both_viewers_and_only_the_service_is_unrestricted(service: Service):
    assert TiledConnection.unrestricted
    assert not CallerView.unrestricted
    assert service.restricted_to(service._tiled) is not service.unrestricted


@pytest.mark.parametrize("method", [Submission.plan, Submission.labels, Submission.frame])
def test_what_reads_for_somebody_cannot_be_called_without_a_viewer(method):
    assert typing.get_type_hints(method)["viewer"] is Viewer
    with pytest.raises(TypeError, match="viewer"):
        method(None, "-1") if method is Submission.frame else method(None, "-1", None)
