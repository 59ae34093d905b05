"""The models that are compared: that of a run, those of the pooled rows, and each client's own."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import reference
from ..frames import encoded, filled_from
from ..losses import LOSSES
from ..problem import Problem
from ..result import Run

__all__ = ["Trained", "own_models", "pooled_models", "read_model", "training_problem"]


class Trained(NamedTuple):
    """A run, what makes its rows of those that come, and options of its problem."""

    run: Run
    transform: Callable[[Any], Any]
    options: dict[str, Any]


def read_model(model: Any) -> Trained:
    """Of a run, a fitted estimator, a pipeline that ends with one, or a search for the best."""
    if isinstance(model, Run):
        return Trained(model, partial(encoded, "X", model.config["problem"]), {})
    found = getattr(model, "best_estimator_", model)
    steps = getattr(found, "steps", None)
    transform = _unchanged if steps is None or len(steps) == 1 else found[:-1].transform
    last = steps[-1][1] if steps else found
    run = getattr(last, "run_", None)
    if not isinstance(run, Run):
        raise TypeError(
            f"model: got {type(model).__name__}; want a Run or a fitted FederatedClassifier, "
            "alone or at the end of a pipeline"
        )
    options = {"weights": last.weights, "class_weight": getattr(last, "class_weight", None)}
    return Trained(run, transform, options)


def _unchanged(X: Any) -> Any:
    return X


def training_problem(trained: Trained, train: Any) -> tuple[Problem, bool]:
    """The rows that a run was trained on, and whether it is known by whom they are held.

    ``train``: a problem, or (X, y) with or without clients, or a table with columns of these.
    """
    if isinstance(train, Problem):
        _check_objective(trained.run, train)
        return train, True
    about, options = trained.run.config["problem"], trained.options
    y, clients = filled_from("train", about, train, None, None)
    train = train if y is None else (train, y, clients)
    try:
        X, y, clients = train if len(train) == 3 else (*train, None)
    except (TypeError, ValueError):
        raise TypeError(
            f"train: got {type(train).__name__}; want a Problem, (X, y) or (X, y, clients)"
        ) from None
    if clients is None:
        options = {**options, "weights": "samples"}
    problem = Problem.from_arrays(
        trained.transform(X),
        y,
        np.zeros(len(y), dtype=int) if clients is None else clients,
        task=about["task"],
        labels=about["labels"],
        intercept=None if about["intercept"] == "none" else about["intercept"],
        **options,
    )
    _check_objective(trained.run, problem)
    return problem, clients is not None


def _check_objective(run: Run, problem: Problem) -> None:
    """That the objective at the model of the run is what the run says of it."""
    wanted = "want train=problem, that of the run, or train=(X, y, clients)"
    w, loss = np.asarray(run.weights), LOSSES[run.config["loss"]]
    if w.shape != problem.weights_shape:
        raise ValueError(
            f"train: the model has shape {w.shape} and these rows want {problem.weights_shape}; "
            f"{wanted}"
        )
    value = problem.row_weights @ loss.row_values(problem.X @ w, problem.y)
    value += run.config["l2"] / 2 * np.sum(problem.penalized(w) ** 2)
    recorded = float(run.history["loss"][-1])
    rtol = 1e-4 if run.config["dtype"] == "float32" else 1e-7
    if not np.isclose(value, recorded, rtol=rtol):
        raise ValueError(
            f"train: the objective at the model is {recorded:.9g} on the rows that it was trained "
            f"on and {value:.9g} on these; {wanted}, with the weights of rows and clients it had"
        )


def pooled_models(problem: Problem, loss: str, l2: float) -> dict[str, np.ndarray]:
    """Minimisers: with every row alike, and, if that differs, with the clients' weights."""
    alike = problem.with_weights("samples")
    models = {"pooled": _minimiser(alike, loss, l2)}
    if not np.allclose(alike.weights, problem.weights, rtol=1e-12, atol=0):
        models["client-weighted"] = _minimiser(problem, loss, l2)
    return models


def _minimiser(problem: Problem, loss: str, l2: float) -> np.ndarray:
    try:
        return reference.minimizer(problem, loss=loss, l2=l2).weights
    except ValueError as error:
        raise ValueError(f"l2: got {l2:g}, with which there is no pooled model: {error}") from error


def own_models(problem: Problem, loss: str, l2: float) -> dict[Hashable, np.ndarray]:
    """The minimiser of each client's rows, of those where there is one."""
    models: dict[Hashable, np.ndarray] = {}
    labels = (-1, 1) if problem.task == "binary" else range(problem.n_classes)
    for i, client in enumerate(problem.client_ids[: 1 if problem.shares_rows else None]):
        rows = problem.rows(i)
        v = None if problem.sample_weight is None else [problem.sample_weight[rows]]
        X = problem.X[rows] if problem.intercept is None else problem.X[rows, :-1]
        own = Problem(
            [(X, problem.y[rows])],
            intercept=problem.intercept,
            task=problem.task,
            labels=list(labels),
            sample_weight=v,
        )
        try:
            models[client] = reference.minimizer(own, loss=loss, l2=l2).weights
        except ValueError:
            if l2 > 0 and not problem.free_intercept:  # which a client of one label does not bound
                raise
    if problem.shares_rows:  # of which all have the same
        return {client: w for w in models.values() for client in problem.client_ids}
    return models
