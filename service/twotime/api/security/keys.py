"""API keys with scopes, sessions of the page, and the limit on wrong keys. Only digests of keys are stored."""

import fcntl
import hashlib
import hmac
import math
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from twotime.settings import Settings

log = structlog.get_logger()

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

SESSION_S = 7 * 24 * 3600.0
"""Duration of a session of the page, s."""
_DIGITS = 12
MOST_FAILURES = 5
WITHIN_S = 60.0
MOST_ADDRESSES = 10_000


class Key(BaseModel):
    """A key, stored as its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$", description="whose it is, or what for")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the key, in hexadecimal digits")
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]


_KEYS = TypeAdapter(tuple[Key, ...])


class KeyRing:
    """The keys that a service accepts.

    Parameters
    ----------
    own : the key of the service itself, which may do everything
    others : those of the keys file; a `KeysFile` is looked at with every request
    clock : s since 1970
    """

    def __init__(self, own: str, others: Iterable[Key] = (), clock: Callable[[], float] = time.time) -> None:
        self._own = own.encode()
        self._service = Key(name="service", sha256=_sha256(self._own), scopes=SCOPES)
        self._others = others
        self._clock = clock

    def of(self, shown: str) -> Key | None:
        """The key with this text; None if it is not a key of this service."""
        return self._found(_sha256(shown.encode(errors="replace")), lambda key: key.sha256)

    def of_session(self, shown: str) -> Key | None:
        """The key of a session, from its cookie; None if the session has ended or its key was removed."""
        ends, _, signature = shown.partition(".")
        if not (ends.isascii() and ends.isdecimal() and len(ends) <= _DIGITS and int(ends) > self._clock()):
            return None
        return self._found(
            _sha256(signature.encode(errors="replace")), lambda key: _sha256(self._signature(key, ends).encode())
        )

    def session(self, key: Key) -> str:
        """Content of the session cookie for a key: its expiry time, signed.

        Only the service's own key makes these, so that nobody gets in with what stands in the keys file; with a key
        that is taken back, its sessions end.
        """
        ends = str(int(self._clock() + SESSION_S))
        return f"{ends}.{self._signature(key, ends)}"

    def _signature(self, key: Key, ends: str) -> str:
        return hmac.new(self._own, f"twotime page {key.sha256} {ends}".encode(), hashlib.sha256).hexdigest()

    def _found(self, digest: str, known: Callable[[Key], str]) -> Key | None:
        """Compare with every key, so that the time taken reveals nothing."""
        found = None
        for key in (self._service, *self._others):
            if hmac.compare_digest(digest, known(key)):
                found = key
        return found


class KeysFile:
    """Keys from a file, read again when it changes; while the file is not usable, the last good keys stay valid.

    Raises
    ------
    ValueError
        If the file cannot be used at first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = self._now()
        self._keys = load_keys(path)

    def __iter__(self) -> Iterator[Key]:
        mark = self._now()
        if mark != self._mark:
            self._mark = mark
            try:
                self._keys = load_keys(self._path) if mark else ()
                log.info("keys_read", file=str(self._path), keys=len(self._keys))
            except ValueError as error:
                log.error("keys_file_unusable", detail=str(error))
        return iter(self._keys)

    def _now(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns


class Brake:
    """Rate limit of wrong keys per client address, over the last minute, for a bounded number of addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, address: str) -> int:
        """Count a wrong key; returns the seconds to wait if there were too many before, else 0.

        Examples
        --------
        >>> brake = Brake(clock=lambda: 100.0)
        >>> [brake.failed("192.0.2.1") for _ in range(6)]
        [0, 0, 0, 0, 0, 60]
        >>> brake.failed("192.0.2.2")
        0
        """
        now = self._clock()
        recent = self._recent(address, now)
        wait = _wait_s(recent, now)
        self._failures.pop(address, None)
        self._failures[address] = recent if wait else [*recent, now]
        while len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
        return wait

    def wait_s(self, address: str) -> int:
        """Seconds to wait if there were too many wrong keys, else 0; counts nothing."""
        now = self._clock()
        return _wait_s(self._recent(address, now), now)

    def _recent(self, address: str, now: float) -> list[float]:
        return [then for then in self._failures.get(address, []) if now - then < WITHIN_S]


def key_ring(settings: Settings) -> tuple[str, KeyRing]:
    """The key of the service, and all keys that it accepts.

    Raises
    ------
    ValueError
        If the keys file cannot be read or holds something else than keys.
    """
    own = service_key(settings)
    return own, KeyRing(own, () if settings.keys_file is None else KeysFile(settings.keys_file))


def service_key(settings: Settings) -> str:
    """The key with all scopes: from the settings, else from `var_dir`, created on first use (mode 600)."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = settings.var_dir / "api_key"
    if not path.exists():
        _write_secret(path, secrets.token_hex(24))
    return path.read_text().strip()


def load_keys(path: Path) -> tuple[Key, ...]:
    """Load keys from a YAML or JSON file: a list of name, sha256 and scopes."""
    try:
        return _keys_of(yaml.safe_load(path.read_text()) or [], path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"TWOTIME_KEYS_FILE {path} cannot be read as YAML or JSON: {error}") from None


def add_key(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Create a key, add its digest to a keys file, and return it. The key itself is not stored.

    Raises
    ------
    ValueError
        If the file cannot be used, has a key of that name already, or name or scopes are none.
    """
    secret = secrets.token_urlsafe(32)
    new = {"name": name, "sha256": _sha256(secret.encode()), "scopes": list(dict.fromkeys(scopes))}
    _rewrite(path, lambda known: _keys_of([*(key.model_dump(mode="json") for key in known), new], path))
    return secret


def remove_key(path: Path, name: str) -> None:
    """Remove a key. A running service refuses it and its sessions from now on.

    Raises
    ------
    ValueError
        If the file cannot be used, or has no key of that name.
    """

    def without(known: tuple[Key, ...]) -> tuple[Key, ...]:
        left = tuple(key for key in known if key.name != name)
        if len(left) == len(known):
            names = ", ".join(key.name for key in known) or "none"
            raise ValueError(f"The keys file {path} has no key named {name!r}; it has {names}.")
        return left

    _rewrite(path, without)


def _rewrite(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> None:
    try:
        with _alone(path):
            keys = change(load_keys(path) if path.exists() else ())
            text = yaml.safe_dump([key.model_dump(mode="json") for key in keys], sort_keys=False)
            _draft(path, text).replace(path)
    except OSError as error:
        raise ValueError(f"TWOTIME_KEYS_FILE {path} cannot be written ({error.strerror}).") from None


def _wait_s(recent: list[float], now: float) -> int:
    return math.ceil(recent[0] + WITHIN_S - now) if len(recent) >= MOST_FAILURES else 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file. The kernel releases the lock of a process that dies.

    The lock is on a file beside it, as the file itself is replaced by another one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(f".{path.name}.lock")
    place.touch(mode=0o600)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keys_of(document: Any, path: Path) -> tuple[Key, ...]:
    try:
        keys = _KEYS.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(
            f"The keys file {path} cannot be used: {place}: {first['msg']}; it is a list of name, sha256 and scopes "
            f"({', '.join(SCOPES)})."
        ) from None
    names = [key.name for key in keys]
    twice = next((name for name in ("service", *names) if [*names, "service"].count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"The keys file {path} cannot have two keys named {twice!r}; give another name.")
    return keys


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read, atomically; an existing one stays."""
    draft = _draft(path, secret + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(path: Path, text: str) -> Path:
    """A temporary file beside `path` that only its owner can read, to be moved into its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return draft
