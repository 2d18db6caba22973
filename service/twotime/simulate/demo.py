"""The scan that the demonstration simulates."""

import numpy as np
from numpy.typing import NDArray

from twotime.simulate.defects import Defects, with_defects
from twotime.simulate.speckle import SpeckleModel, simulate_frames
from twotime.xpcs.geometry import q_from_radius
from twotime.xpcs.types import Geometry

N_FRAMES = 120
RINGS = {"unit": "pixel", "inner_radius": 60.0, "width": 8.0, "spacing": 18.0, "num_rings": 6}
FASTEST_PER_FRAME = 0.11


def demo_model(seed: int = 7) -> SpeckleModel:
    """A colloid, short and dim: on the six `RINGS` rates from 0.012 to 0.11 per frame, 0.12 photons per pixel.

    The beam centre lies near the first corner, so that the rings are quarter circles on 256 x 256 pixels. So few frames
    and photons are what the denoiser is for; with plenty of both the raw fit is as good.
    """
    geometry = Geometry(
        beam_center_y=12.4,
        beam_center_x=9.7,
        distance_m=16.03,
        wavelength_angstrom=1.285,
        pixel_size_m=75e-6,
        frame_time_s=0.00134,
    )
    outermost = q_from_radius(geometry, np.array([198.0]))[0]
    diffusion = FASTEST_PER_FRAME / geometry.frame_time_s / outermost**2
    return SpeckleModel((256, 256), geometry, float(round(diffusion, -3)), contrast=0.18, mean_counts=0.12, seed=seed)


def demo_frames(model: SpeckleModel, n_frames: int = N_FRAMES) -> NDArray[np.uint16]:
    """The frames of `demo_model`, with gaps between modules, dead and hot pixels, a beam loss and a spike."""
    height, width = model.shape
    defects = Defects(
        gap_rows=((height // 2 - 3, height // 2 + 3),),
        gap_columns=((width // 2 + 20, width // 2 + 24),),
        dead=60,
        hot=25,
        lost_frames=(n_frames // 3, n_frames // 3 + 1),
        spike_frames=(n_frames // 2 + 31,),
        seed=model.seed,
    )
    return with_defects(simulate_frames(model, n_frames), defects)
