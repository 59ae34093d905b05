"""The estimator of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from ..predicting import probabilities_of
from .base import Federated

__all__ = ["FederatedClassifier"]

OF_CLASSES = {"logistic": "softmax"}  # of two classes, and of several


def _estimates_probabilities(model: Federated) -> bool:
    if model.loss in ("logistic", "softmax"):
        return True
    raise AttributeError(
        f"predict_proba: probabilities are those of loss='logistic'; got loss={model.loss!r}"
    )


class FederatedClassifier(ClassifierMixin, Federated):  # type: ignore[misc]
    """A linear model of two or more classes, trained by local updates, for scikit-learn.

    ``min_w Σ_i p_i (1/n_i) Σ_j ℓ(z_ij·w) + (λ/2)‖w‖²``

    With the defaults that minimum is reached: SCAFFOLD takes drift out of the local steps. Features
    should be of similar size (``StandardScaler``).

    Parameters
    ----------
    method : str or Method, default "Scaffold"
        A method of localgd, or its name, as "LocalGD", "GD" or "local-gd", of those that take no
        more than ``local_steps`` and ``lr``.
    local_steps : int >= 1 or sequence of M ints, optional
        L of a method that is given by name; 10 if not given.
    lr : float > 0, "1/H", "1/(LH)" or callable, optional
        η of a method that is given by name; "1/H" if not given.
    rounds : int >= 0, default 10_000
        Rounds at most.
    l2 : float >= 0, "κ=1e4" or "H/N", default 1e-3
        λ. With ``weights="samples"`` the minimiser is that of
        ``sklearn.linear_model.LogisticRegression(C=1/(l2 * N))``.
    loss : "logistic", "exponential", "squared_hinge" or "squared", default "logistic"
        As for :func:`localgd.run`; of several classes "logistic" is "softmax".
    class_weight : "balanced" or mapping of labels to numbers >= 0, optional
        As for :class:`localgd.Problem`.
    weights : "samples", "equal" or array of shape (M,), default "samples"
        p_i, as for :class:`localgd.Problem`: with "samples" every row counts the same. Of an array,
        in the order of the sorted ids.
    n_clients : int >= 1, optional
        M, default 10, at most one for each row, of rows that come without clients.
    scheme : Scheme or callable, optional
        How those are dealt, as for :func:`localgd.partition`; at random if not given.
    fit_intercept : bool, default True
        With an intercept, which λ leaves alone as in scikit-learn's linear models.
    tol : float or None, default 1e-4
        The run ends when ‖∇f‖ is at most this, which is asked ten times a decade of rounds. None:
        after all rounds.
    dtype : "float64" or "float32", default "float64"
        Of the rows and the local phase.
    engine : "auto", "gram", "hybrid" or "primal", default "auto"
        As for :func:`localgd.run`.
    n_jobs : int, optional
        Threads; -1: all. As many as help, if not given. The result has the same bits for any.
    random_state : int, RandomState or None, default 0
        Of dealing, batches and participation.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    coef_ : ndarray of shape (1, d), or (C, d) for several classes, float64
    intercept_ : ndarray of shape (1,) or (C,), float64
    n_iter_ : int
        Rounds taken.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)
        Of a table whose columns have names.
    run_ : Run
        History, settings and model of the training.

    Raises
    ------
    ValueError, TypeError, DivergedError
        By :meth:`fit`.

    References
    ----------
    SCAFFOLD: Karimireddy et al., ICML 2020, arXiv:1910.06378.

    Examples
    --------
    >>> import localgd as lg
    >>> from localgd.sklearn import FederatedClassifier
    >>> X, y = lg.datasets.load_digits(classes=(3, 8))
    >>> model = FederatedClassifier(n_clients=5, scheme=lg.Dirichlet(0.3)).fit(X, y)
    >>> model.run_.config["problem"]["n_clients"], bool(model.score(X, y) > 0.95)
    (5, True)

    Cross-validated by client, with the ids as groups and by metadata routing to ``fit``:

    >>> import numpy as np, sklearn
    >>> from sklearn.model_selection import GroupKFold, cross_validate
    >>> hospital = np.arange(len(y)) % 6
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     found = cross_validate(
    ...         FederatedClassifier().set_fit_request(clients=True), X, y, cv=GroupKFold(3),
    ...         params={"clients": hospital, "groups": hospital})
    >>> found["test_score"].shape
    (3,)
    """

    classes_: np.ndarray

    def __init__(
        self,
        method: Any = "Scaffold",
        *,
        local_steps: Any = None,
        lr: Any = None,
        rounds: int = 10_000,
        l2: float | str = 1e-3,
        loss: str = "logistic",
        class_weight: Any = None,
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
        super().__init__(
            method,
            local_steps=local_steps,
            lr=lr,
            rounds=rounds,
            l2=l2,
            loss=loss,
            weights=weights,
            n_clients=n_clients,
            scheme=scheme,
            fit_intercept=fit_intercept,
            tol=tol,
            dtype=dtype,
            engine=engine,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, clients: Any = None, sample_weight: Any = None) -> Any:
        """Train on rows that clients hold.

        ``w_0 = 0 → w_1 → … → w_R``, until ‖∇f(w_R)‖ ≤ ``tol`` or R is ``rounds``

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (N, d)
            Finite numbers.
        y : array of shape (N,)
            Labels: numbers, booleans or texts.
        clients : array of shape (N,), optional
            The id of the client that holds each row: integers or texts. In a pipeline
            ``pipe.fit(X, y, name__clients=ids)``; where scikit-learn splits the rows, metadata
            routing brings them after ``set_fit_request(clients=True)``. If not given, the rows are
            dealt by ``scheme``.
        sample_weight : array of shape (N,), optional
            At least 0. A row of weight 2 counts as the row twice.

        Returns
        -------
        FederatedClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError
            For parameters and data that do not fit together, and labels of one class only.
        DivergedError
            If the run diverges: ``lr`` is too large.

        Examples
        --------
        >>> from localgd.sklearn import FederatedClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["well", "well", "ill", "ill"]
        >>> model = FederatedClassifier().fit(X, y, clients=["north", "south", "north", "south"])
        >>> model.classes_.tolist(), model.predict([[0.5], [2.5]]).tolist()
        (['ill', 'well'], ['well', 'ill'])
        """
        X, y = self._checked(X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        several = len(self.classes_) > 2
        if len(self.classes_) < 2:
            raise ValueError(f"y: got one class only, {self.classes_[0]!r}; want at least two")
        self._train(
            X,
            y,
            clients,
            sample_weight,
            OF_CLASSES.get(self.loss, self.loss) if several else self.loss,
            task="multiclass" if several else "binary",
            labels=self.classes_.tolist(),
            class_weight=self.class_weight,
        )
        self.coef_, self.intercept_ = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores of rows.

        ``x·coef_ + intercept_``

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (n, d)
            Rows with the features of those trained on.

        Returns
        -------
        ndarray of shape (n,), or (n, C) for several classes, float64
            Above 0 for ``classes_[1]``; the largest is that of the likeliest class.

        Raises
        ------
        NotFittedError, ValueError
            Before :meth:`fit`; for other features, NaN or inf.

        Examples
        --------
        >>> from localgd.sklearn import FederatedClassifier
        >>> model = FederatedClassifier().fit([[-1.0], [1.0]], [0, 1])
        >>> bool(model.decision_function([[2.0]])[0] > 0)
        True
        """
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The labels of rows.

        ``classes_[1]`` if the score is at least 0, or that of the largest score

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (n, d)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n,)
            Of the type of ``classes_``.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`decision_function`.

        Examples
        --------
        >>> from localgd.sklearn import FederatedClassifier
        >>> model = FederatedClassifier().fit([[-1.0], [1.0]], ["no", "yes"])
        >>> model.predict([[2.0], [-0.5]]).tolist()
        ['yes', 'no']
        """
        scores = self.decision_function(X)
        places = (scores >= 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[places]

    @available_if(_estimates_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probabilities of the classes, if the loss is logistic.

        ``P(y = classes_[1] | x) = 1/(1 + exp(-score))``, or the softmax of the scores

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (n, d)
            As for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n, C), float64
            In the order of ``classes_``.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`decision_function`.

        Examples
        --------
        >>> from localgd.sklearn import FederatedClassifier
        >>> FederatedClassifier().fit([[-1.0], [1.0]], [0, 1]).predict_proba([[0.0]]).round(6)
        array([[0.5, 0.5]])
        """
        scores = self.decision_function(X)
        return probabilities_of(scores, "logistic" if scores.ndim == 1 else "softmax")
