"""The denoiser: CNN encoder-decoders for two-time correlation functions, after Konstantinova et al. 2021."""

from cnn_ed.applicability import Applicability
from cnn_ed.ensemble import DenoisedTwoTime, Ensemble

__all__ = ["Applicability", "DenoisedTwoTime", "Ensemble"]
