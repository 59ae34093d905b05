"""Features of rows: random ones, and those of a trained network's layer."""

from .of_torch import from_torch
from .random_maps import random_fourier, random_relu

__all__ = ["from_torch", "random_fourier", "random_relu"]
