"""``twotime doctor``: says in plain words what is missing."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from tiled.client.container import Container

from twotime.catalog.runs.run_facts import run_facts
from twotime.catalog.runs.search import find_run
from twotime.catalog.runs.tiled_frames import TiledFrames
from twotime.catalog.server.access_tags import access_in_words
from twotime.catalog.server.tiled_client import opened_root, raw_catalog, results_container
from twotime.cli.tiled import tiled_of
from twotime.errors import RunNotFound, TwotimeError
from twotime.settings import Settings
from twotime.weights import load_ensemble, load_frame_denoiser


def doctor(settings: Settings, console: Console) -> bool:
    """Look at everything the service needs; True where nothing is wrong."""
    well = True
    for name, check in _checks_here(settings):
        well &= _report(name, check, console)
    try:
        with (
            tiled_of(settings.model_copy(update={"tiled_wait_s": 0.0}), console) as reached,
            opened_root(reached) as root,
        ):
            for name, check in _checks_in_tiled(root, reached):
                well &= _report(name, check, console)
    except TwotimeError as error:
        _say("Tiled", str(error), False, console)
        return False
    return well


def _checks_here(settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "Python", lambda: f"{sys.version.split()[0]}, {os.cpu_count()} cores"
    yield "ensemble", lambda: _ensemble(settings)
    yield "frame denoiser", lambda: f"version {load_frame_denoiser(settings.frame_denoiser).version}"
    yield "folder", lambda: _folder(settings)
    yield "port", lambda: _port(settings)
    if settings.documents_address:
        yield "documents", lambda: _documents(settings)


def _checks_in_tiled(root: Container, settings: Settings) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "Tiled", lambda: f"{settings.tiled_uri} answers and accepts the key"
    yield "raw runs", lambda: f"{len(raw_catalog(root, settings))} in {settings.raw_path!r}"
    yield "results", lambda: f"{len(results_container(root, settings))} nodes in {settings.results_path!r}"
    yield "access", lambda: access_in_words(results_container(root, settings))
    yield "newest run", lambda: _newest_run(root, settings)


def _ensemble(settings: Settings) -> str:
    ensemble = load_ensemble(settings.ensemble)
    return f"version {ensemble.version}, {len(ensemble.card['files'])} models, checksums right"


def _folder(settings: Settings) -> str:
    try:
        settings.var_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.var_dir / f".doctor-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"{settings.var_dir} cannot be written ({error.strerror}); set TWOTIME_VAR_DIR.") from None
    return f"{settings.var_dir.resolve()} can be written"


def _port(settings: Settings) -> str:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ValueError(
                f"{settings.host}:{settings.port} is taken ({error.strerror}); is twotime serving already? "
                "Else set TWOTIME_PORT."
            ) from None
    return f"{settings.host}:{settings.port} is free"


def _documents(settings: Settings) -> str:
    from twotime.live.document_listener import find_proxy

    asyncio.run(find_proxy(settings.documents_address))
    return f"a 0MQ proxy answers at {settings.documents_address}"


def _newest_run(root: Container, settings: Settings) -> str:
    try:
        run = find_run(raw_catalog(root, settings), -1)
    except RunNotFound:
        return "there is none yet"
    facts = run_facts(run, direct=settings.read_in_place, path_map=settings.path_map, folders=settings.detector_dirs)
    source = TiledFrames(
        run, facts, direct=settings.read_in_place, path_map=settings.path_map, folders=settings.detector_dirs
    )
    way = (
        "in place from its files"
        if source.route == "file"
        else "over HTTP (its files cannot be reached from here, or lie outside TWOTIME_DETECTOR_DIRS)"
    )
    missing = sorted(
        {"beam_center_y", "beam_center_x", "distance_m", "wavelength_angstrom", "pixel_size_m", "frame_time_s"}
        - set(facts.geometry)
    )
    if missing:
        raise ValueError(f"run {facts.uid[:8]} does not record {', '.join(missing)}; give them in the recipe.")
    return f"{facts.uid[:8]}: {facts.shape[0]} frames of {facts.detector}, read {way}"


def _report(name: str, check: Callable[[], str], console: Console) -> bool:
    try:
        _say(name, check(), True, console)
    except (TwotimeError, ValueError) as error:
        _say(name, str(error), False, console)
        return False
    return True


def _say(name: str, words: str, well: bool, console: Console) -> None:
    mark = "[green]ok [/]" if well else "[red]!! [/]"
    console.print(f"{mark} {name:<15}", end="")
    console.print(words, highlight=False, markup=False)
