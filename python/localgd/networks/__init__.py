"""Two-layer networks: the model of a run, and what is measured of it."""

from .kkt import kkt_residual
from .trained import TrainedNetwork
from .two_layer import TwoLayer

__all__ = ["TrainedNetwork", "TwoLayer", "kkt_residual"]
