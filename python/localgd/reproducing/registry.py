"""Which experiments there are, in order."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

from .experiment import Experiment

__all__ = ["all_experiments", "find"]

# One line per experiment: a file of experiments/ that defines EXPERIMENT.
MODULES = (
    "e01_max_margin",
    "e02_residual",
    "e03_local_solve",
    "e04_heterogeneity",
    "e05_budget",
    "e06_local_sgd",
    "e07_not_separable",
    "e08_min_norm",
    "e09_gradient_alignment",
    "e10_last_layer",
    "e11_step_sizes",
    "e12_communication",
    "e13_shared_risk",
    "e14_own_risk",
    "e15_network_kkt",
    "e16_network_alignment",
    "e17_lazy_rich",
)
PACKAGE = f"{__package__}.experiments"


def all_experiments() -> list[Experiment]:
    """All experiments in order.

    Returns
    -------
    list of Experiment

    Examples
    --------
    >>> from localgd.reproducing import all_experiments
    >>> [experiment.id for experiment in all_experiments()][0]
    'E1'
    """
    names = [f"{PACKAGE}.{name}" for name in MODULES]
    return [
        importlib.import_module(name).EXPERIMENT
        for name in names
        if importlib.util.find_spec(name) is not None
    ]


def find(ids: Sequence[str]) -> list[Experiment]:
    """The experiments of these ids, in the order of the report; all of them for none.

    Parameters
    ----------
    ids : sequence of str
        "E3" or "e3".

    Returns
    -------
    list of Experiment

    Raises
    ------
    ValueError
        For an id that does not exist.

    Examples
    --------
    >>> from localgd.reproducing import find
    >>> [experiment.id for experiment in find(["e8", "E1"])]
    ['E1', 'E8']
    """
    known = all_experiments()
    wanted = {name.upper() for name in ids}
    unknown = sorted(wanted - {experiment.id for experiment in known})
    if unknown:
        raise ValueError(
            f"experiment: got {', '.join(unknown)}; want some of "
            f"{', '.join(experiment.id for experiment in known)}"
        )
    return [experiment for experiment in known if not wanted or experiment.id in wanted]
