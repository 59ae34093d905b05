"""What a run is compared with: the model that gradient descent converges to on these rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import reference
from ..errors import NotSeparableError, TimeLimitError
from ..losses import LOSSES, loss_with_tail
from ..problem import Problem
from ..reference import Limits
from ..reference._deadline import time_limited
from ..reference._max_margin import max_margin_if_separable

__all__ = ["Target", "find_target"]

Measure = Callable[[np.ndarray], float]
MOST_NUMBERS = 2e7  # in the constraints of all classes: 4e7 take many minutes
MOST_WEIGHTS = 1500  # Newton's method on more takes minutes
MOST_SECONDS = 60.0  # unless the reference, or pooled GD, was asked for


@dataclass(frozen=True)
class Target:
    """The limit, and how it is described.

    ``kind``: "max-margin", "min-norm", "minimiser", "regularised" (the minimiser with λ), "limits"
    (a minimiser in some directions, a ray in the others) or "none". ``solution`` has a
    ``direction`` to which angles are recorded, and for a single point its ``weights``; None where
    there is no direction. ``about`` describes it, or why there is none. ``measures`` are to be
    recorded during the run.
    """

    kind: str
    solution: Any
    about: str
    measures: dict[str, Measure] = field(default_factory=dict)


def find_target(problem: Problem, loss: str, wanted: bool | None = True, l2: float = 0.0) -> Target:
    """What the iterates converge to with this loss; ``wanted`` None: if it is found in time."""
    if wanted is False:
        return _none("switched off")
    constraints = problem.n_samples * (problem.n_classes - 1)
    if wanted is None and l2 == 0 and constraints * problem.n_features > MOST_NUMBERS:
        return _none(
            f"{constraints:,} constraints in {problem.n_features:,} features take many minutes; "
            "--reference computes it"
        )
    limit = MOST_SECONDS if wanted is None else None
    try:
        return _found(problem, loss, l2, time_limit=limit)
    except TimeLimitError:
        return _none(f"not found in {limit:g} s; --reference takes as long as it needs")
    except ValueError as error:
        return _none(str(error))


@time_limited
def _found(problem: Problem, loss: str, l2: float, *, time_limit: float | None) -> Target:
    if l2 > 0:
        return _regularised(problem, loss, l2)
    if LOSSES[loss].affine:
        return _squared(problem, loss)
    if problem.task == "regression":
        found = reference.minimizer(problem, loss=loss)
        return _minimiser(found.weights, "minimiser of the loss", found.gradient_norm)
    loss_with_tail(loss, problem, "the limit depends")
    return _max_margin(problem, loss)


def _max_margin(problem: Problem, loss: str) -> Target:
    if problem.task == "binary":
        found = max_margin_if_separable(problem)
        if found is None:
            return _limits(problem, loss)
    else:
        try:
            found = reference.max_margin(problem)
        except NotSeparableError:
            return _classes(problem, loss)
    return Target(
        "max-margin",
        found,
        f"max-margin model, margin {found.margin:.6g}, {len(found.support):,} support rows, "
        f"KKT residual {found.kkt_residual:.1e}",
    )


def _regularised(problem: Problem, loss: str, l2: float) -> Target:
    found = reference.minimizer(problem, loss=loss, l2=l2)
    if found.direction is None:
        return _none("the minimiser is 0")
    return Target(
        "regularised",
        found,
        f"minimiser with l2 {l2:g}, f* = {found.value:.9g}, norm "
        f"{np.linalg.norm(found.weights):.6g}, gradient norm {found.gradient_norm:.1e}",
    )


def _limits(problem: Problem, loss: str) -> Target:
    """Both parts of the limit on rows that are not separable."""
    found = reference.limits(problem, loss=loss)
    norm = float(np.linalg.norm(found.finite_part))
    if not len(found.subset):
        what = "the rows are not separable: minimiser of the loss"
        return _minimiser(found.finite_part, what, found.gradient_norm)
    return Target(
        "limits",
        found,
        f"the rows are not separable: {len(found.subset):,} of {problem.n_samples:,} are, beside "
        f"the others, which have a minimiser of norm {norm:.6g} in {len(found.basis):,} dimensions",
        {"distance_to_minimizer": found.finite_error, "angle_outside": AngleOutside(found)},
    )


@dataclass(frozen=True)
class AngleOutside:
    """The angle of the part of a model that goes to infinity."""

    limits: Limits

    def __call__(self, w: np.ndarray) -> float:
        """That of a model."""
        # Without a part outside, as at w = 0, there is no angle.
        return self.limits.angle(w) if np.any(self.limits.split(w)[1]) else math.nan


def _classes(problem: Problem, loss: str) -> Target:
    size = problem.n_features * problem.n_outputs
    if size > MOST_WEIGHTS:
        return _none(
            f"the classes are not separable, and a model of {size:,} numbers is too large to look "
            "for a minimiser"
        )
    found = reference.minimizer(problem, loss=loss)
    what = "the classes are not separable: minimiser of the loss"
    return _minimiser(found.weights, what, found.gradient_norm)


def _squared(problem: Problem, loss: str) -> Target:
    try:
        found = reference.min_norm(problem)
    except ValueError:
        least = reference.minimizer(problem, loss=loss)
        what = "no model fits all rows: least-squares model of least norm"
        return _minimiser(least.weights, what, least.gradient_norm)
    norm = float(np.linalg.norm(found.weights))
    if norm == 0:
        return _none("the interpolant of least norm is 0")
    return Target(
        "min-norm",
        found,
        f"interpolant of least norm, norm {norm:.6g}, rank {found.rank:,}, "
        f"residual {found.residual:.1e}",
    )


def _minimiser(weights: np.ndarray, what: str, gradient_norm: float) -> Target:
    norm = float(np.linalg.norm(weights))
    if norm == 0:
        return _none(f"{what.partition(':')[0]}, and the minimiser of the loss is 0")
    return Target(
        "minimiser",
        SimpleNamespace(weights=weights, direction=weights / norm),
        f"{what}, norm {norm:.6g}, gradient norm {gradient_norm:.1e}",
    )


def _none(why: str) -> Target:
    return Target("none", None, f"none: {why.removeprefix('problem: ')}")
