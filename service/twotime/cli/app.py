"""The commands of ``twotime``; each does its work in a module of its own, imported when it is called."""

import functools
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from twotime.errors import TwotimeError
from twotime.settings import Settings, load_settings

P = ParamSpec("P")

app = typer.Typer(
    help="X-ray photon correlation spectroscopy: from detector frames in Tiled to denoised dynamics in Tiled.\n\n"
    "Settings come from the environment (TWOTIME_TILED_URI, TWOTIME_TILED_API_KEY, ...); without TWOTIME_TILED_URI a "
    "Tiled server of our own is started in ./var.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
if not console.is_terminal:
    console = Console(width=150)  # Logs and pipes have no width; tables need one.

TiledUri = Annotated[str | None, typer.Option("--tiled", help="address of the Tiled server; default TWOTIME_TILED_URI")]
VarDir = Annotated[Path | None, typer.Option("--var", help="folder of the embedded Tiled; default ./var")]
Threads = Annotated[int | None, typer.Option(min=1, help="groups of models trained at a time; default: one per core")]
Port = Annotated[int | None, typer.Option(help="port of the service; 0: any free one; default 8060")]


class Layout(StrEnum):
    """Shape of the image node of a simulated run."""

    BURST = "burst"
    FRAMES = "frames"
    EVENTS = "events"


class Kind(StrEnum):
    """Kinds of analysis."""

    XPCS = "xpcs"
    FRAMES = "frames"


class FrameImage(StrEnum):
    """What there is of each denoised frame, as in `twotime.results`, which is too slow to import for help."""

    RAW = "raw"
    RATE = "rate"
    ERROR = "error"
    RESIDUAL = "residual"


class Dialect(StrEnum):
    """Programs whose files `export` writes, as in `twotime.export.files`, which is too slow to import for help."""

    PYCHX = "pychx"


def says_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print what went wrong as a sentence and leave with 1, instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (TwotimeError, ValueError) as error:
            Console(stderr=True).print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
            sys.exit(1)

    return wrapped


@app.command()
@says_errors
def serve(port: Port = None, tiled: TiledUri = None, var: VarDir = None) -> None:
    """Run the service: analyses of finished runs, REST, the page. Ctrl-C ends it; nothing is lost."""
    from twotime.api.server import Server
    from twotime.logs import configure_logs

    settings = _settings(port=port, tiled_uri=tiled, var_dir=var)
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    server = Server(settings)
    # A key that was made here is told; one that was set is known, and has no place in the log of a container.
    shown = "" if settings.api_key else f"?api_key={server.key}"
    console.print(f"API   {server.url}/docs\npage  {server.url}/{shown}", highlight=False, soft_wrap=True)
    server.run()


@app.command()
@says_errors
def demo(
    once: Annotated[bool, typer.Option("--once", help="check the result against the truth, then exit 0 or 1")] = False,
    frames: Annotated[Path | None, typer.Option(help="HDF5 file of measured frames instead of a simulation")] = None,
    kind: Annotated[Kind, typer.Option(help="dynamics of speckle, or frames of weak diffraction")] = Kind.XPCS,
    port: Port = None,
    var: VarDir = None,
) -> None:
    """Show the whole route: a scan lands in Tiled, is found, analysed, published, and read back over REST."""
    from twotime.cli.demo import demonstrate

    sys.exit(demonstrate(_settings(port=port, var_dir=var), frames, kind=kind.value, once=once, console=console))


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a run, not an option
@says_errors
def process(
    run: Annotated[str, typer.Argument(help="uid, its beginning, scan_id, -1 for the newest run, or a file of frames")],
    recipe: Annotated[Path | None, typer.Option(help="recipe as JSON or YAML; default: all from the run")] = None,
    out: Annotated[Path | None, typer.Option(help="file for the result of a file of frames: .nxs or .h5")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show geometry, sources and ROIs")] = False,
    force: Annotated[bool, typer.Option("--force", help="compute again what is there already")] = False,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Analyse one run now, with a progress bar, and publish the result; or a file of frames, without Tiled."""
    from twotime.cli.process import process as run_process
    from twotime.cli.process_file import process_file
    from twotime.logs import configure_logs

    settings = _settings(tiled_uri=tiled, var_dir=var, log_level="WARNING")
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    if Path(run).exists() or "/" in run:
        process_file(settings, Path(run), recipe, out, dry_run=dry_run, console=console)
        return
    run_process(settings, run, recipe, dry_run=dry_run, force=force, console=console)


@app.command()
@says_errors
def simulate(
    n_frames: Annotated[int, typer.Option("--frames", min=1, help="number of frames")] = 300,
    diffusion: Annotated[float | None, typer.Option(help="D of Γ = D q², Å²/s")] = None,
    contrast: Annotated[float | None, typer.Option(help="speckle contrast β")] = None,
    baseline: Annotated[float | None, typer.Option(help="C∞, 1 or above")] = None,
    alpha: Annotated[float | None, typer.Option(help="stretching exponent, up to 2")] = None,
    mean_counts: Annotated[float | None, typer.Option(help="photons per pixel and frame")] = None,
    ageing: Annotated[float | None, typer.Option(help="slowing down: Γ / (1 + ageing t), 1/s")] = None,
    seed: Annotated[int | None, typer.Option(help="of all random numbers")] = None,
    frame_rate: Annotated[float | None, typer.Option(help="frames per second, in real time; default: at once")] = None,
    layout: Annotated[Layout, typer.Option(help="shape of the image node")] = Layout.BURST,
    perfect: Annotated[bool, typer.Option("--perfect", help="no gaps, bad pixels or bad frames")] = False,
    sample: Annotated[str, typer.Option(help="name of the sample")] = "simulated colloid",
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Write a simulated scan with known dynamics into Tiled, as a beamline would."""
    from twotime.cli.simulate import simulate as run_simulate

    given = {
        "diffusion": diffusion,
        "contrast": contrast,
        "baseline": baseline,
        "alpha": alpha,
        "mean_counts": mean_counts,
        "ageing": ageing,
        "seed": seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    run_simulate(
        _settings(tiled_uri=tiled, var_dir=var),
        changes,
        n_frames=n_frames,
        frame_rate=frame_rate,
        layout=layout.value,
        perfect=perfect,
        sample=sample,
        console=console,
    )


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a run, not an option
@says_errors
def replay(
    run: Annotated[str, typer.Argument(help="uid, its beginning, scan_id, or -1 for the newest run")],
    speed: Annotated[float, typer.Option(min=0.001, help="2: twice as fast as it was measured")] = 1.0,
    folder: Annotated[Path | None, typer.Option(help="for the detector files; Tiled must be able to read it")] = None,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Play a finished run again as if it were being measured: to see the live view, or to try a recipe on it."""
    from twotime.cli.replay import replay as run_replay

    run_replay(_settings(tiled_uri=tiled, var_dir=var), run, speed=speed, folder=folder, console=console)


@app.command()
@says_errors
def doctor(tiled: TiledUri = None, var: VarDir = None) -> None:
    """Say in plain words what is missing; exit 1 if anything is."""
    from twotime.cli.doctor import doctor as examine

    sys.exit(0 if examine(_settings(tiled_uri=tiled, var_dir=var), console) else 1)


@app.command()
@says_errors
def plan_capacity(
    frames: Annotated[int, typer.Option(min=50, max=10**7, help="frames of a scan")],
    frame_rate: Annotated[float, typer.Option(min=1e-3, max=1e7, help="frames per second")],
    scans_per_day: Annotated[float, typer.Option(min=0, max=1e6, help="scans that are analysed")],
    pixels: Annotated[int, typer.Option(min=1, max=10**8, help="of a frame; default: an Eiger 4M")] = 2167 * 2070,
    rois: Annotated[int, typer.Option(min=1, max=1000, help="ROIs of an analysis")] = 20,
    pixels_per_roi: Annotated[int, typer.Option(min=2, max=10**8)] = 5000,
    measurement: Annotated[Path | None, typer.Option(help="costs as --save wrote them; default: measure now")] = None,
    save: Annotated[Path | None, typer.Option(help="file for the costs that were measured")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say how many cores and how much memory and disk the scans of a beamline take, from costs measured here."""
    from twotime.cli.capacity import plan_capacity as run_plan
    from twotime.pipeline.capacity import Demand

    demand = Demand(pixels, frame_rate, frames, scans_per_day, rois, pixels_per_roi)
    run_plan(_settings(), demand, console, measurement=measurement, save=save, as_json=as_json)


@app.command()
@says_errors
def key(
    name: Annotated[str, typer.Argument(help="whose it is, or what for")],
    scope: Annotated[list[str] | None, typer.Option(help="read, submit or admin; may be repeated")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="take the key of that name back")] = False,
) -> None:
    """Make a key with scopes, printed once, or take one back; a service that runs goes by the file as it is now."""
    from twotime.api.security.keys import add_key, remove_key

    file = _settings().keys_file
    if file is None:
        raise ValueError("No file holds the digests of keys; set TWOTIME_KEYS_FILE.")
    if remove == bool(scope):
        raise ValueError("A key is made with --scope, or taken back with --remove; give one of the two.")
    if remove:
        remove_key(file, name)
    else:
        print(add_key(file, name, scope or []))


@app.command()
@says_errors
def picture(
    analysis: Annotated[str, typer.Argument(help="id of a finished analysis")],
    out: Annotated[Path, typer.Argument(help="PNG file to write")],
    roi: Annotated[int, typer.Option(min=1, help="number of the ROI")] = 1,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Draw a two-time correlation function before and after denoising."""
    from twotime.cli.picture import draw

    draw(_settings(tiled_uri=tiled, var_dir=var), analysis, roi, out, console)


@app.command()
@says_errors
def export(
    analysis: Annotated[str, typer.Argument(help="id of a finished analysis")],
    out: Annotated[
        Path,
        typer.Argument(
            help="file to write: .nxs for NeXus (NXxpcs), .h5 for one dataset per node, .html or .pdf for a "
            "report with pictures, .txt for its numbers, .tif or .edf for denoised frames"
        ),
    ],
    dialect: Annotated[
        Dialect | None, typer.Option("--as", help="names of another program: into a .h5 file, or a folder with CSV too")
    ] = None,
    image: Annotated[
        FrameImage | None,
        typer.Option(help="which quantity of denoised frames a .tif or .edf file holds; default rate"),
    ] = None,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Write a finished analysis into one file that other tools and people open."""
    from twotime.cli.export import export as write
    from twotime.export.files import Dialect as Dialects

    chosen = None if dialect is None else Dialects(dialect.value)
    shown = None if image is None else image.value
    write(_settings(tiled_uri=tiled, var_dir=var), analysis, out, chosen, shown, console)


@app.command()
@says_errors
def prune(
    older_than: Annotated[
        float | None, typer.Option(min=0, help="days since the analysis ended; older ones are deleted")
    ] = None,
    keep_gib: Annotated[
        float | None, typer.Option(min=0, help="GiB on disk; the oldest are deleted until the rest takes less")
    ] = None,
    marked_bad: Annotated[bool, typer.Option("--marked-bad", help="also scans that are marked as bad")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="do it; without, only say what would be deleted")] = False,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Delete old analyses, never raw data; marked scans stay, and what recipes of others name."""
    from twotime.catalog.results.retention import RetentionRules
    from twotime.cli.prune import prune as run_prune
    from twotime.logs import configure_logs

    settings = _settings(tiled_uri=tiled, var_dir=var, log_level="WARNING")
    configure_logs(as_json=settings.log_json, level=settings.log_level)
    rules = RetentionRules(
        older_than_s=None if older_than is None else older_than * 86400,
        keep_bytes=None if keep_gib is None else keep_gib * 2**30,
        youngest_s=settings.catch_up_s if settings.automatic else 0.0,
        bad_too=marked_bad,
    )
    run_prune(settings, rules, console, delete=delete)


@app.command()
@says_errors
def epics(
    prefix: Annotated[str, typer.Option(help="before the name of each process variable")] = "TWOTIME:",
    url: Annotated[str, typer.Option(help="address of the running service")] = "http://localhost:8060",
    every: Annotated[float, typer.Option(min=0.1, help="seconds between two questions to the service")] = 2.0,
) -> None:
    """Serve the newest result as EPICS process variables, until Ctrl-C."""
    from twotime.cli.epics import epics as serve_variables

    serve_variables(url, prefix, every, console)


@app.command()
@says_errors
def collect(
    out: Annotated[Path, typer.Argument(help="folder for the training and the validation file")],
    window: Annotated[int, typer.Option(min=10, help="frames of a window")] = 50,
    validation: Annotated[float, typer.Option(min=0, max=1, help="share of the runs for validation")] = 0.25,
    sample: Annotated[list[str] | None, typer.Option(help="only runs of this sample; may be repeated")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="uid of a run to leave out; may be repeated")] = None,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Make training examples of the analyses in Tiled, to train an ensemble for one's own samples."""
    from twotime.cli.collect import collect as collect_examples

    settings = _settings(tiled_uri=tiled, var_dir=var)
    collect_examples(
        settings,
        out,
        window=window,
        validation=validation,
        samples=sample or [],
        excluded=exclude or [],
        console=console,
    )


@app.command()
@says_errors
def train(
    data: Annotated[Path, typer.Argument(help="folder with cnn_ed_training.npz and cnn_ed_validation.npz")],
    out: Annotated[Path, typer.Argument(help="folder for checkpoint and models; its name is the version")],
    models: Annotated[int, typer.Option(min=10, help="initialisations; the best ten are kept")] = 100,
    trial: Annotated[int, typer.Option(min=1, help="epochs after which only the finalists go on")] = 3,
    finalists: Annotated[int, typer.Option(min=10)] = 24,
    epochs: Annotated[int, typer.Option(min=1)] = 22,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    learning_rate: Annotated[float, typer.Option(help="of Adam")] = 1.5e-3,
    decay: Annotated[float, typer.Option(help="factor on the learning rate after each epoch")] = 0.88,
    window: Annotated[int, typer.Option(min=10, help="frames of a window")] = 50,
    latent: Annotated[int, typer.Option(min=1, help="numbers that a window is reduced to")] = 8,
    seed: Annotated[int, typer.Option()] = 20210721,
    threads: Threads = None,
) -> None:
    """Train an ensemble on measured windows; goes on where it was stopped."""
    from cnn_ed.network import Architecture
    from cnn_ed.schedule import Schedule
    from twotime.cli.training import train_version

    schedule = Schedule(
        models=models,
        trial=trial,
        finalists=finalists,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        decay=decay,
        seed=seed,
    )
    train_version(data, out, schedule, Architecture(window=window, latent=latent), threads, console)


@app.command()
@says_errors
def train_estimate(
    data: Annotated[Path, typer.Argument(help="folder with cnn_ed_training.npz")],
    out: Annotated[Path, typer.Argument(help="folder for samples and networks; its name is the version")],
    samples: Annotated[int, typer.Option(min=1000, help="simulated samples, several scans each")] = 12_000,
    seed: Annotated[int, typer.Option()] = 1_000_000,
) -> None:
    """Train the networks that estimate Γ, β, C∞ and α; simulated samples that are there already are used again."""
    from twotime.cli.estimates import train_estimator

    train_estimator(data, out, samples, seed, console)


@app.command()
@says_errors
def calibrate(
    data: Annotated[Path, typer.Argument(help="the folder that the version was trained on")],
    folder: Annotated[Path, typer.Argument(help="folder of the version")],
    models: Annotated[int, typer.Option(min=2, help="in the ensemble of each fifth")] = 8,
    epochs: Annotated[int, typer.Option(min=1)] = 12,
    threads: Threads = None,
) -> None:
    """Measure, on experiments left out of a training, how wrong denoised fits are; goes on where it was stopped."""
    from cnn_ed.schedule import Schedule
    from twotime.cli.training import calibrate_version

    schedule = Schedule(models=models, finalists=models, epochs=epochs)
    calibrate_version(data, folder, schedule, threads, console)


@app.command()
@says_errors
def evaluate(
    data: Annotated[Path | None, typer.Argument(help="file of measured windows, such as cnn_ed_validation.npz")] = None,
    version: Annotated[Path | None, typer.Option(help="folder of other weights than the shipped ones")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    report: Annotated[Path | None, typer.Option(help="folder for tables and figures")] = None,
    simulated: Annotated[int, typer.Option(min=0, help="instead of a file: so many simulated scans")] = 0,
    seed: Annotated[int, typer.Option(help="of simulated scans")] = 20261124,
) -> None:
    """Measure how well dynamics are recovered from windows or simulated scans whose truth is known."""
    from twotime.cli.training import evaluate_file

    if simulated:
        from twotime.cli.estimates import evaluate_simulated

        evaluate_simulated(simulated, seed, as_json, report, console)
        return
    if data is None:
        raise typer.BadParameter("Give a file of measured windows, or --simulated with a number of scans.")
    evaluate_file(data, version, as_json, report, console)


def _settings(**given: object) -> Settings:
    return load_settings(**given)
