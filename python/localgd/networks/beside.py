"""A run's network beside that of another run, such as of pooled gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..angles import angle
from ..held_out import Scores
from ..problem import Problem
from ..scoring import told
from .two_layer import TwoLayer

__all__ = ["check_beside", "measures_beside"]


def check_beside(reference: Any, model: TwoLayer, problem: Problem) -> Any:
    """The trained network of a reference, of the same layers as the run's; None for none."""
    if reference is None:
        return None
    from .trained import TrainedNetwork  # at first use, as most runs have no reference

    found = getattr(reference, "model", reference)
    if not isinstance(found, TrainedNetwork):
        raise TypeError(
            f"reference: got {type(reference).__name__}; for a network want another run of one, "
            "such as lg.run(problem, lg.GD(lr=…), rounds=…, model=…)"
        )
    shapes = found.first.shape, found.second.shape
    wanted = (problem.n_features, model.hidden), (model.hidden, problem.n_outputs)
    if shapes != wanted:
        raise ValueError(
            f"reference: got a network with layers of shapes {shapes[0]} and {shapes[1]}; want "
            f"those of the run, {wanted[0]} and {wanted[1]}"
        )
    return found


def measures_beside(
    other: Any, problem: Problem, test: Any, scores: Scores, others: Scores
) -> dict[str, Callable[[np.ndarray, int], float]]:
    """Angle of the parameters, and of the outputs on rows how far and how often they differ.

    ``scores`` are those of the run's network, ``others`` of the reference's; ``test``: rows that
    are held out, or None.
    """
    rows = {"": problem.X} if test is None else {"": problem.X, "test_": test}
    wanted = {name: others(X, other.parameters) for name, X in rows.items()}
    norm = float(np.linalg.norm(wanted[""]))

    def distance(theta: np.ndarray, _: int) -> float:
        return float(np.linalg.norm(scores(problem.X, theta) - wanted[""]) / norm)

    def agreement(name: str) -> Callable[[np.ndarray, int], float]:
        labels = told(wanted[name])
        return lambda theta, _: float(np.mean(told(scores(rows[name], theta)) == labels))

    found: Mapping[str, Callable[[np.ndarray, int], float]] = {
        "angle": lambda theta, _: angle(theta, other.parameters),
        "output_distance": distance,
    }
    if problem.task == "regression":
        return dict(found)
    return {**found, **{f"{name}agreement": agreement(name) for name in rows}}
