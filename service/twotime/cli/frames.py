"""``twotime frames``: train, evaluate and apply the denoiser of detector frames; each works in a module of its own."""

from pathlib import Path
from typing import Annotated

import typer

from twotime.cli.app import console, says_errors

frames = typer.Typer(
    help="Frames of few photons: train, evaluate and apply the denoiser that turns counts into rates with errors.",
    no_args_is_help=True,
)

Version = Annotated[Path | None, typer.Option(help="folder of a network trained here; default: the shipped one")]


@frames.command()
@says_errors
def train(
    out: Annotated[Path, typer.Argument(help="folder for checkpoint, network and card; its name is the version")],
    measured: Annotated[
        Path | None,
        typer.Option("--frames", help="file of measured frames: go on from a network by predicting held-out photons"),
    ] = None,
    version: Annotated[
        Path | None, typer.Option(help="network to go on from; default: a new one, with --frames the shipped one")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="batches; default 5500, with --frames 300")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of weights and frames")] = 20240180,
) -> None:
    """Train a network on simulated frames, or adapt one to measured frames; goes on where it was stopped."""
    from twotime.cli.frames_training import adapt_version, train_version

    if measured is None:
        train_version(out, version, steps or 5500, seed, console)
    else:
        adapt_version(out, measured, version, steps or 300, seed, console)


@frames.command()
@says_errors
def evaluate(
    version: Version = None,
    measured: Annotated[
        Path | None, typer.Option("--frames", help="file of measured frames, thinned as a test")
    ] = None,
    count: Annotated[
        int, typer.Option(min=2, help="simulated frames of each kind; 40 for the numbers of the card")
    ] = 40,
    seed: Annotated[int, typer.Option(min=0, help="of the simulated frames")] = 20261125,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    report: Annotated[Path | None, typer.Option(help="folder for tables and figures")] = None,
) -> None:
    """Measure rates, errors, peaks and the detection of weak satellites, beside classical filters at their best."""
    from twotime.cli.frames_training import evaluate_version

    evaluate_version(version, measured, count, seed, as_json, report, console)


@frames.command()
@says_errors
def denoise(
    file: Annotated[Path, typer.Argument(help="file of frames, as for `twotime process`")],
    out: Annotated[
        Path,
        typer.Option(
            help="file to write: .h5 or .nxs with all of it, .tif or .edf with the rates and others beside it"
        ),
    ],
    version: Version = None,
    sum_frames: Annotated[int, typer.Option("--sum", min=1, help="frames that are added to one image")] = 1,
    gain: Annotated[
        float | None, typer.Option(help="detector units for each photon, if frames hold no photons")
    ] = None,
    significance: Annotated[float, typer.Option(min=0.1, help="of the weakest peak, standard deviations")] = 5.0,
) -> None:
    """Denoise the frames of a file, without Tiled: rates, errors, residuals and peaks beside the raw counts."""
    from twotime.cli.frames_file import denoise_file

    denoise_file(file, out, version, sum_frames, gain, significance, console)
