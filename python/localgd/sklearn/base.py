"""What the estimators have in common: a problem of what ``fit`` is given, and its run."""

from __future__ import annotations

import warnings
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _validation as check
from ..partitioning import partition
from ..problem import Problem
from ..result import Run
from ..running import run
from .named_methods import method_of

__all__ = ["Federated"]


class Federated(BaseEstimator):  # type: ignore[misc]
    """A linear model, trained by local updates of clients."""

    run_: Run
    coef_: np.ndarray
    intercept_: Any
    n_iter_: int

    def __init__(
        self,
        method: Any = "Scaffold",
        *,
        local_steps: Any = None,
        lr: Any = None,
        rounds: int = 10_000,
        l2: float | str = 1e-3,
        loss: str = "squared",
        weights: Any = "samples",
        n_clients: int | None = 10,
        scheme: Any = None,
        fit_intercept: bool = True,
        tol: float | None = 1e-4,
        dtype: Any = "float64",
        engine: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = 0,
    ):
        self.method = method
        self.local_steps = local_steps
        self.lr = lr
        self.rounds = rounds
        self.l2 = l2
        self.loss = loss
        self.weights = weights
        self.n_clients = n_clients
        self.scheme = scheme
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.dtype = dtype
        self.engine = engine
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X: Any, y: Any, **options: Any) -> tuple[Any, np.ndarray]:
        """Rows and targets to train on, as arrays or CSR."""
        floats = [np.float64, np.float32]
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=floats, **options)
        return X, y

    def _train(
        self, X: Any, y: np.ndarray, clients: Any, sample_weight: Any, loss: str, **labels: Any
    ) -> None:
        """Sets what was learnt; ``labels``: what the problem is to know of them."""
        seed = self._seed()
        problem = self._problem(X, y, clients, sample_weight, seed, labels)
        stop = None if self.tol is None else {"grad_norm": self.tol}
        with warnings.catch_warnings():  # it is an error here
            warnings.filterwarnings("ignore", "diverged", RuntimeWarning)
            found = run(
                problem,
                method_of(self.method, self.local_steps, self.lr),
                rounds=self.rounds,
                loss=loss,
                l2=self.l2,
                stop=stop,
                dtype=self.dtype,
                engine=self.engine,
                threads=None if self.n_jobs is None else joblib.effective_n_jobs(self.n_jobs),
                seed=seed,
            ).raise_for_status()
        if found.status == "interrupted":
            raise KeyboardInterrupt
        self._warn_unless_converged(found)
        self.run_, self.n_iter_ = found, found.round
        w, d = np.asarray(found.weights), self.n_features_in_
        self.coef_ = w[:d].T.copy()
        self.intercept_ = w[d].copy() if self.fit_intercept else np.zeros(w.shape[1:])[()]

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _problem(
        self, X: Any, y: np.ndarray, clients: Any, sample_weight: Any, seed: int, labels: Any
    ) -> Problem:
        if sample_weight is not None:
            sample_weight = check.real_array("sample_weight", sample_weight, 1, advice="")
            kept = sample_weight != 0  # which is as if the others were not there
            if not kept.any():
                raise ValueError("sample_weight: every weight is zero; want one above 0")
            if len(kept) == len(y) and not kept.all():
                X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
                clients = None if clients is None else np.asarray(clients)[kept]
        options = {
            **labels,
            "weights": self.weights,
            "sample_weight": sample_weight,
            "intercept": "free" if self.fit_intercept else None,
        }
        if clients is not None:
            return Problem.from_arrays(X, y, clients, **options)
        n_clients = self.n_clients
        if n_clients is not None:
            n_clients = min(check.integer("n_clients", n_clients, 1), len(y))
        return partition(X, y, n_clients=n_clients, scheme=self.scheme, seed=seed, **options)

    def _warn_unless_converged(self, found: Run) -> None:
        reached = float(found.history["grad_norm"][-1])
        if self.tol is not None and not reached <= self.tol:
            warnings.warn(
                f"after {found.round:,} rounds the norm of the gradient is {reached:.3g}, above "
                f"tol={self.tol:g}: bring the features to similar size, take more rounds or a "
                "larger l2; methods with batches, and LocalGD, settle near the minimiser, "
                "not at it: with them tol=None takes all rounds",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _scores(self, X: Any) -> np.ndarray:
        """``X coef_ᵀ + intercept_``, (n,) or (n, C)."""
        check_is_fitted(self)
        floats = [np.float64, np.float32]
        X = validate_data(self, X, accept_sparse="csr", dtype=floats, reset=False)
        scores: np.ndarray = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return scores
