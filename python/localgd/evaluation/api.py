"""``localgd.evaluate``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _validation as check
from ..errors import UnsupportedError
from ..frames import filled_from
from ..ids import client_index
from ..labels import numbers_of_labels, read_label_array
from ..losses import LOSSES
from ..predicting import scores_of
from ..problem import Problem
from ..randomness import random_generator
from .measures import MEASURES, measured
from .models import Trained, own_models, pooled_models, read_model, training_problem
from .resampling import Group, bounds, groups_of, samples
from .table import Evaluation, columns_of

__all__ = ["evaluate"]

LOG_ODDS = ("logistic", "softmax")  # losses whose scores are those


def evaluate(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    clients: Any = None,
    train: Any = None,
    l2: float | None = None,
    bootstrap: int = 1000,
    level: float = 0.95,
    seed: Any = 0,
) -> Evaluation:
    """Compare a federated model with that of the pooled rows and each client's own.

    ``w_pooled = argmin (1/N) Σ_ij ℓ(z_ij·w) + (λ/2)‖w‖²``,
    ``w_i = argmin (1/n_i) Σ_j ℓ(z_ij·w) + (λ/2)‖w‖²``

    Over all rows and for each client: accuracy, balanced accuracy, AUC, log-loss, Brier score and
    calibration slope, each with an interval of the bootstrap: rows are drawn anew within each
    client, the same ones for all models. Pooled means that every row counts the same; if the
    clients' weights p_i say otherwise, "client-weighted" is the minimiser with those. "own" is a
    client's own model on its own rows; over all rows, each row is scored by that of its client.

    Parameters
    ----------
    model : Run, or fitted FederatedClassifier
        The federated model; the estimator may end a pipeline or be found by a grid search.
    X : array, table or scipy.sparse of shape (N, d), or Problem
        The rows to score, as they were before a pipeline. A problem stands for its rows, labels
        and clients, and so does a table for a run on a problem of :meth:`Problem.from_frame`.
    y : array of shape (N,), optional
        Their labels, as those of the training.
    clients : array of shape (N,), optional
        The id of each row's client. Without, all rows are scored together.
    train : Problem, (X, y), (X, y, clients) or table, optional
        What the model was trained on, which the other models are trained on, too; the rows that
        are scored if not given. If the run's objective is another on them, they are refused.
    l2 : float >= 0, optional
        λ of the other models; that of the run if not given.
    bootstrap : int >= 0, default 1000
        Samples; 0: no intervals.
    level : float between 0 and 1, default 0.95
        Of the intervals.
    seed : int, SeedSequence, Generator or None, default 0
        Of the samples.

    Returns
    -------
    Evaluation
        A line for each group of rows and model; see its ``to_frame``, ``to_markdown``,
        ``to_latex``.

    Raises
    ------
    ValueError
        For rows that do not fit the model, training rows that are not those of the run, and
        λ = 0 if the pooled rows are separable: the other models want ``l2`` then.
    TypeError
        If ``model`` is none of these.
    UnsupportedError
        For regression.

    References
    ----------
    Calibration slope: Van Calster et al., BMC Medicine 17, 2019, doi:10.1186/s12916-019-1466-7.
    Percentile intervals: Efron and Tibshirani, 1993, doi:10.1201/9780429246593.

    Examples
    --------
    >>> import localgd as lg
    >>> X, y = lg.datasets.load_digits(classes=(3, 8))
    >>> problem = lg.partition(X, y, n_clients=3, scheme=lg.Dirichlet(0.3), seed=0)
    >>> run = lg.run(problem, lg.LocalGD(10, "1/H"), rounds=100, loss="logistic", l2=1e-3)
    >>> found = lg.evaluate(run, problem, bootstrap=0)
    >>> found.models, found.columns["n"][found.columns["model"] == "own"].tolist()
    (('federated', 'pooled', 'own'), [357, 246, 34, 77])
    """
    trained = read_model(model)
    run = trained.run
    if run.config["problem"]["task"] == "regression":
        raise UnsupportedError("model: it is of numbers; want one of classes")
    bootstrap = check.integer("bootstrap", bootstrap, 0)
    level = check.number("level", level, above=0, below=1)
    rng = random_generator(seed, stream=2)
    l2 = run.config["l2"] if l2 is None else check.number("l2", l2, minimum=0)
    scored, train = _read_rows(trained, X, y, clients, train)
    scores = _scores(trained, train, scored, l2)
    lines = [
        line
        for group in groups_of(scored.ids, scored.owners)
        for line in _lines(group, scored.y, scores, bootstrap, level, rng, run.config["loss"])
    ]
    return Evaluation(
        columns=columns_of(lines),
        models=tuple(scores),
        y=scored.y,
        scores=scores,
        bootstrap=bootstrap,
        level=level,
    )


class Scored(NamedTuple):
    """Rows as the model takes them, labels as numbers, ids, and whose of them each row is."""

    X: Any
    y: np.ndarray
    ids: tuple[Hashable, ...]
    owners: np.ndarray


def _read_rows(trained: Trained, X: Any, y: Any, clients: Any, train: Any) -> tuple[Scored, Any]:
    """What is scored, and what to train on."""
    about = trained.run.config["problem"]
    if isinstance(X, Problem):
        if y is not None or clients is not None:
            raise ValueError("y, clients: got them beside a problem, which has its own")
        if X.task != about["task"] or list(X.labels or ()) != about["labels"]:
            raise ValueError(f"X: a problem of {X.labels}; the model tells {about['labels']}")
        index = np.repeat(np.arange(X.n_clients), X.sizes)
        rows = X.X if X.intercept is None else X.X[:, :-1]
        return Scored(rows, X.y, X.client_ids, index), X if train is None else train
    y, clients = filled_from("X", about, X, y, clients)
    if y is None:
        raise ValueError("y: got None; want a label for each row")
    numbers = numbers_of_labels("y", read_label_array("y", y), about["task"], about["labels"])
    ids: tuple[Hashable, ...] = ()
    index = np.zeros(len(numbers), dtype=np.int64)
    if clients is not None:
        ids, index = client_index(clients, len(numbers))
    train = (X, y, clients) if train is None else train
    return Scored(trained.transform(X), numbers, ids, index), train


def _scores(trained: Trained, train: Any, scored: Scored, l2: float) -> dict[str, np.ndarray]:
    """Of all rows by each model; NaN of rows whose client has no model of its own."""
    run = trained.run
    about, loss = run.config["problem"], run.config["loss"]
    if loss not in LOSSES:
        raise UnsupportedError(
            f"run: its loss is your own, {loss!r}, whose minimisers a run does not know; want one "
            f"of {', '.join(map(repr, LOSSES))}"
        )
    scores = {"federated": run.decision_function(scored.X)}
    if len(scores["federated"]) != len(scored.y):
        raise ValueError(
            f"X: got {len(scores['federated'])} rows for {len(scored.y)} labels; want as many"
        )
    problem, has_clients = training_problem(trained, train)
    for name, weights in pooled_models(problem, loss, l2).items():
        scores[name] = scores_of(weights, about, scored.X)
    if not (has_clients and set(problem.client_ids) & set(scored.ids)):
        return scores
    known = own_models(problem, loss, l2)
    scores["own"] = np.full_like(scores["federated"], np.nan)
    for k, client in enumerate(scored.ids):
        if client in known:
            rows = scored.owners == k
            scores["own"][rows] = scores_of(known[client], about, scored.X)[rows]
    return scores


def _lines(
    group: Group,
    y: np.ndarray,
    scores: dict[str, np.ndarray],
    bootstrap: int,
    level: float,
    rng: np.random.Generator,
    loss: str,
) -> Iterator[dict[str, Any]]:
    """One for each model."""
    y = y[group.rows]
    scores = {name: of_model[group.rows] for name, of_model in scores.items()}
    ends = dict.fromkeys(scores, np.full((2, len(MEASURES)), np.nan))
    if bootstrap:
        drawn: dict[str, list[np.ndarray]] = {name: [] for name in scores}
        for counts in samples(group.sizes, bootstrap, rng):
            for name, values in drawn.items():
                values.append(measured(y, scores[name], counts, loss in LOG_ODDS))
        ends = {name: bounds(values, level) for name, values in drawn.items()}
    for name, of_model in scores.items():
        found = measured(y, of_model, np.ones((1, len(y))), loss in LOG_ODDS)[0]
        line = {
            "client": group.client,
            "model": name,
            "n": len(y),
            "prevalence": float(np.mean(y > 0)) if of_model.ndim == 1 else np.nan,
        }
        for measure, value, low, high in zip(MEASURES, found, *ends[name], strict=True):
            line |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        yield line
