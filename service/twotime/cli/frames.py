"""``twotime frames``: collect data for the denoiser of frames, train, evaluate and apply it; a module for each."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from twotime.cli.app import TiledUri, VarDir, console, says_errors
from twotime.settings import load_settings

frames = typer.Typer(
    help="Frames of few photons: collect data for the denoiser that turns counts into rates with errors; train, "
    "evaluate and apply it.",
    no_args_is_help=True,
)

Version = Annotated[Path | None, typer.Option(help="folder of a network trained here; default: the shipped one")]


class Network(StrEnum):
    """Networks of Oppliger 2024, as in `frame_denoiser.published`, which is too slow to import for help."""

    VDSR = "vdsr"
    IRUNET = "irunet"


Data = Annotated[Path | None, typer.Option(help="folder that `twotime frames collect` wrote")]
Validation = Annotated[
    float, typer.Option(min=0, max=1, help="share of the scatterings of --data that training leaves to evaluation")
]


@frames.command()
@says_errors
def collect(
    out: Annotated[Path, typer.Argument(help="folder for the frames; goes on where it was stopped")],
    recipe: Annotated[
        Path | None,
        typer.Option(help="recipe of kind frames: detector, frames to add, gain, masks; default: all frames"),
    ] = None,
    sample: Annotated[list[str] | None, typer.Option(help="only runs of this sample; may be repeated")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="uid of a run to leave out; may be repeated")] = None,
    same: Annotated[
        list[str] | None,
        typer.Option(
            help="field of the start document; runs that agree in it (may be repeated), in sample and in detector show "
            "the same scattering and serve as long and short exposures of each other"
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="runs of each sample at most, the newest")] = 100,
    tiled: TiledUri = None,
    var: VarDir = None,
) -> None:
    """Store frames of runs in Tiled, to adapt the denoiser to one's own detector and samples."""
    from twotime.cli.frames_collect import collect_frames
    from twotime.recipe import FrameRecipe, load_recipe

    wanted = FrameRecipe(kind="frames") if recipe is None else load_recipe(recipe)
    if not isinstance(wanted, FrameRecipe):
        raise typer.BadParameter(f"{recipe} is a recipe of kind {wanted.kind}, expected kind: frames.")
    collect_frames(
        load_settings(tiled_uri=tiled, var_dir=var),
        out,
        recipe=wanted,
        samples=sample or [],
        excluded=exclude or [],
        same=same or [],
        limit=limit,
        console=console,
    )


@frames.command()
@says_errors
def train(
    out: Annotated[Path, typer.Argument(help="folder for checkpoint, network and card; its name is the version")],
    measured: Annotated[
        Path | None,
        typer.Option("--frames", help="file of measured frames: go on from a network by predicting held-out photons"),
    ] = None,
    data: Data = None,
    validation: Validation = 0.25,
    version: Annotated[
        Path | None,
        typer.Option(help="network to go on from; default: a new one, with --frames or --data the shipped one"),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="batches; default 5500, with --frames or --data 300")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of weights and frames")] = 20240180,
    network: Annotated[
        Network | None, typer.Option(help="a network of Oppliger 2024 as published, for comparison; 37500 batches")
    ] = None,
) -> None:
    """Train a network on simulated frames, or adapt one to measured frames; goes on where it was stopped."""
    from twotime.cli.frames_training import adapt_to_collection, adapt_version, train_rival, train_version

    if network is not None:
        if data is not None or measured is not None or version is not None:
            raise typer.BadParameter(
                "A published network is trained anew on simulated pairs; leave out data and version."
            )
        train_rival(out, network.value, steps, seed, console)
    elif data is not None:
        if measured is not None:
            raise typer.BadParameter("Give --frames with a file or --data with a folder, not both.")
        adapt_to_collection(out, data, validation, version, steps or 300, seed, console)
    elif measured is None:
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
    data: Data = None,
    validation: Validation = 0.25,
    rival: Annotated[
        list[Path] | None, typer.Option(help="folder of a network trained with --network, to compare; may be repeated")
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

    evaluate_version(version, measured, data, validation, rival or [], count, seed, as_json, report, console)


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
