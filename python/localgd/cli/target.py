"""The model that a run is compared with: the max-margin model, or the interpolant of least norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import reference
from ..errors import NotSeparableError
from ..problem import Problem

__all__ = ["Target", "find_target"]


@dataclass(frozen=True)
class Target:
    """``kind``: "max-margin", "min-norm" or "none"; ``about`` tells it, or why there is none."""

    kind: str
    solution: Any
    about: str


def find_target(problem: Problem, loss: str) -> Target:
    """What the iterates converge to with this loss, where that is a single model."""
    return _min_norm(problem) if loss == "squared" else _max_margin(problem)


def _max_margin(problem: Problem) -> Target:
    try:
        found = reference.max_margin(problem)
    except NotSeparableError as error:
        strictly = int(np.sum(error.certificate == 0))
        return _none(
            f"the rows are not separable ({strictly:,} of {problem.n_samples:,} can be separated "
            "strictly with the others on the boundary), so there is no angle and no best margin"
        )
    except ValueError as error:
        return _none(str(error))
    return Target(
        "max-margin",
        found,
        f"max-margin model, margin {found.margin:.6g}, {len(found.support):,} support rows, "
        f"KKT residual {found.kkt_residual:.1e}",
    )


def _min_norm(problem: Problem) -> Target:
    try:
        found = reference.min_norm(problem)
    except ValueError as error:
        return _none(str(error))
    norm = float(np.linalg.norm(found.weights))
    if norm == 0:
        return _none("the interpolant of least norm is 0")
    return Target(
        "min-norm",
        found,
        f"interpolant of least norm, norm {norm:.6g}, rank {found.rank:,}, "
        f"residual {found.residual:.1e}",
    )


def _none(why: str) -> Target:
    return Target("none", None, f"none: {why.removeprefix('problem: ')}")
