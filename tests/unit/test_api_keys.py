"""Keys: digests in a file, scopes, and a bounded memory of those who were wrong."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from twotime.api.security.keys import MOST_ADDRESSES, Brake, KeyRing, add_key, load_keys
from twotime.cli import app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keys.yml"


def test_file_holds_digests_for_its_owner_only(file: Path) -> None:
    keys = [add_key(file, "screen", ["read"]), add_key(file, "flow", ["read", "submit"])]

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(key in file.read_text() for key in keys)
    assert {stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()} == {0o600}
    assert sorted(one.name for one in file.parent.iterdir()) == [".keys.yml.lock", "keys.yml"]
    ring = KeyRing("own", load_keys(file))
    assert [ring.of(key).scopes for key in keys] == [("read",), ("read", "submit")]
    assert ring.of("own").scopes == ("read", "submit", "admin")
    assert ring.of("other") is None


def test_keys_made_at_the_same_time_are_all_kept(file: Path) -> None:
    names = [f"screen-{number}" for number in range(4)]
    command = "import sys; from pathlib import Path; from twotime.api.security.keys import add_key\n"
    command += "for turn in range(25): add_key(Path(sys.argv[1]), f'{sys.argv[2]}-{turn}', ['read'])"

    makers = [subprocess.Popen([sys.executable, "-c", command, str(file), name]) for name in names]

    assert [maker.wait(120) for maker in makers] == [0] * len(makers)
    assert {key.name for key in load_keys(file)} == {f"{name}-{turn}" for name in names for turn in range(25)}


def test_session_of_one_key_is_not_that_of_another(file: Path) -> None:
    add_key(file, "one", ["read"])
    add_key(file, "two", ["submit"])
    one, two = load_keys(file)
    ring = KeyRing("own", (one, two))

    assert ring.of_session(ring.session(one)) == one
    assert ring.of_session(ring.session(two)) == two
    assert ring.of_session(KeyRing("another", (one, two)).session(one)) is None


@pytest.mark.parametrize("name", ["screen", "service"])
def test_name_that_exists_is_refused(file: Path, name: str) -> None:
    add_key(file, "screen", ["read"])
    before = file.read_text()

    with pytest.raises(ValueError, match=f"two keys named '{name}'"):
        add_key(file, name, ["read"])
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([{"name": "x", "sha256": "00", "scopes": ["read"]}], "0.sha256"),
        ([{"name": "x", "sha256": "0" * 64, "scopes": ["write"]}], "'read', 'submit' or 'admin'"),
        ([{"name": "x", "sha256": "0" * 64, "scopes": []}], "0.scopes"),
        ([{"name": "x", "key": "plain", "scopes": ["read"]}], "0.sha256"),
        ({"name": "x"}, "a list of name, sha256 and scopes"),
        ("{", "cannot be read as YAML or JSON"),
    ],
)
def test_file_with_something_else_is_refused(file: Path, document: object, words: str) -> None:
    file.parent.mkdir()
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))

    with pytest.raises(ValueError, match=words) as caught:
        load_keys(file)
    assert "plain" not in str(caught.value)


def test_command_prints_a_key_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOTIME_KEYS_FILE", str(file))

    made = CliRunner().invoke(app, ["key", "flow", "--scope", "read", "--scope", "submit"])

    assert made.exit_code == 0
    assert KeyRing("own", load_keys(file)).of(made.output.strip()).scopes == ("read", "submit")
    assert CliRunner().invoke(app, ["key", "flow", "--scope", "read"]).exit_code == 1


def test_command_without_a_file_says_so() -> None:
    told = CliRunner().invoke(app, ["key", "flow", "--scope", "read"])

    assert told.exit_code == 1
    assert "TWOTIME_KEYS_FILE" in told.output


def test_failures_are_forgiven_after_a_minute() -> None:
    times = iter([0, 10, 20, 30, 40, 50, 61])
    brake = Brake(clock=lambda: next(times))

    assert [brake.failed("192.0.2.1") for _ in range(7)] == [0, 0, 0, 0, 0, 10, 0]


def test_asking_how_long_to_wait_counts_as_no_failure() -> None:
    brake = Brake(clock=lambda: 0.0)

    assert [brake.wait_s("192.0.2.1") for _ in range(9)] == [0] * 9
    assert [brake.failed("192.0.2.1") for _ in range(5)] == [0] * 5
    assert brake.wait_s("192.0.2.1") == 60


def test_memory_of_addresses_is_bounded() -> None:
    brake = Brake(clock=lambda: 0.0)
    for number in range(MOST_ADDRESSES + 10):
        brake.failed(str(number))

    assert len(brake) == MOST_ADDRESSES
