"""The estimate: what a one-time correlation function tells about Γ, β, C∞ and α, as a learned posterior."""

from cnn_ed.posterior.estimates import Estimates, Estimator

__all__ = ["Estimates", "Estimator"]
