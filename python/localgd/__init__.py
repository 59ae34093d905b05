"""localgd: local-update training (Local-GD, FedAvg) of linear models at long horizons.

Each client takes many gradient steps on its own rows, a server averages the models now and then.
See ``localgd.run`` for the engine, ``localgd.reference`` for what the iterates converge to.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from ._backend import core as _core
from .errors import (
    DivergedError,
    MissingExtraError,
    NotSeparableError,
    TimeLimitError,
    UnsupportedError,
)
from .methods import (
    GD,
    FedAvg,
    FedGA,
    FedProx,
    GradAlign,
    LocalGD,
    LocalSGD,
    LocalSolve,
    MinibatchSGD,
    ModifiedLocalGD,
    Scaffold,
)
from .networks.two_layer import TwoLayer
from .participation import Cyclic, Markov, Periodic
from .problem import Problem
from .recording import log_spaced
from .result import Run, load
from .running import run
from .schedules import Polyak, Polynomial, RiskAdapted, TwoStage
from .servers import Anchored, Average, Server, ServerAdagrad, ServerAdam, ServerSGD, ServerYogi

if TYPE_CHECKING:
    from . import analysis, datasets, features, loggers, networks, plot, reference
    from .analysis import angle
    from .evaluation import Evaluation, evaluate
    from .extension import check_extension
    from .fast_forwarding import fast_forward
    from .own_loss import Loss
    from .partitioning import (
        ByClass,
        ByTarget,
        Contiguous,
        Dirichlet,
        FeatureShift,
        Iid,
        Natural,
        Quantity,
        Shards,
        partition,
    )
    from .sweeping import load_sweep, sweep, sweep_iter

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless asked

__version__: str = _core.build_info()["version"]

__all__ = [
    "GD",
    "Anchored",
    "Average",
    "ByClass",
    "ByTarget",
    "Contiguous",
    "Cyclic",
    "Dirichlet",
    "DivergedError",
    "Evaluation",
    "FeatureShift",
    "FedAvg",
    "FedGA",
    "FedProx",
    "GradAlign",
    "Iid",
    "LocalGD",
    "LocalSGD",
    "LocalSolve",
    "Loss",
    "Markov",
    "MinibatchSGD",
    "MissingExtraError",
    "ModifiedLocalGD",
    "Natural",
    "NotSeparableError",
    "Periodic",
    "Polyak",
    "Polynomial",
    "Problem",
    "Quantity",
    "RiskAdapted",
    "Run",
    "Scaffold",
    "Server",
    "ServerAdagrad",
    "ServerAdam",
    "ServerSGD",
    "ServerYogi",
    "Shards",
    "TimeLimitError",
    "TwoLayer",
    "TwoStage",
    "UnsupportedError",
    "analysis",
    "angle",
    "check_extension",
    "datasets",
    "evaluate",
    "fast_forward",
    "features",
    "load",
    "load_sweep",
    "log_spaced",
    "loggers",
    "networks",
    "partition",
    "plot",
    "reference",
    "run",
    "sweep",
    "sweep_iter",
]

# Loaded at first use, so that `import localgd` brings in neither scipy nor matplotlib.
_LAZY_MODULES = {
    *("analysis", "datasets", "features", "loggers", "networks", "plot", "reference", "sklearn"),
}
_LAZY_NAMES = {
    "Loss": "own_loss",
    "angle": "analysis",
    "check_extension": "extension",
    "fast_forward": "fast_forwarding",
    **dict.fromkeys(["Evaluation", "evaluate"], "evaluation"),
    **dict.fromkeys(["load_sweep", "sweep", "sweep_iter"], "sweeping"),
    **dict.fromkeys(
        [
            *("ByClass", "ByTarget", "Contiguous", "Dirichlet", "FeatureShift", "Iid", "Natural"),
            *("Quantity", "Shards", "partition"),
        ],
        "partitioning",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY_NAMES:
        value = getattr(importlib.import_module(f".{_LAZY_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
