"""The estimator of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from ..losses import LOSSES
from .base import Federated

__all__ = ["FederatedRegressor"]


class FederatedRegressor(RegressorMixin, Federated):  # type: ignore[misc]
    """A linear model of numbers, trained by local updates, as an estimator of scikit-learn.

    ``min_w Σ_i p_i (1/n_i) Σ_j ℓ(x_ij·w, y_ij) + (λ/2)‖w‖²``

    Parameters
    ----------
    method : str or Method, default "Scaffold"
        As for :class:`FederatedClassifier`, as all others.
    local_steps, lr, rounds, l2, weights, n_clients, scheme, fit_intercept, tol, dtype, engine
        As for :class:`FederatedClassifier`. With ``weights="samples"`` the minimiser is that of
        ``sklearn.linear_model.Ridge(alpha=l2 * N)``.
    n_jobs, random_state
        As for :class:`FederatedClassifier`.
    loss : "squared", "huber" or "poisson", default "squared"
        As for :func:`localgd.run`; "poisson", of counts, wants a number as ``lr``.

    Attributes
    ----------
    coef_ : ndarray of shape (d,), or (C, d) for several targets, float64
    intercept_ : float, or ndarray of shape (C,)
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
    >>> import numpy as np
    >>> from localgd.sklearn import FederatedRegressor
    >>> X = np.random.default_rng(0).standard_normal((60, 2))
    >>> y = X @ [1.0, -2.0] + 3.0
    >>> model = FederatedRegressor(l2=1e-6, n_clients=4).fit(X, y)
    >>> model.coef_.round(2), round(float(model.intercept_), 2)
    (array([ 1., -2.]), 3.0)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, clients: Any = None, sample_weight: Any = None) -> Any:
        """Train on rows that clients hold.

        As for :meth:`FederatedClassifier.fit`

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (N, d)
            Finite numbers.
        y : array of shape (N,) or (N, C)
            Targets, one of each row or several.
        clients : array of shape (N,), optional
            The id of the client that holds each row.
        sample_weight : array of shape (N,), optional
            At least 0. A row of weight 2 counts as the row twice.

        Returns
        -------
        FederatedRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            For parameters and data that do not fit together.
        DivergedError
            If the run diverges: ``lr`` is too large.

        Examples
        --------
        >>> from localgd.sklearn import FederatedRegressor
        >>> X, y = [[1.0], [2.0], [3.0], [4.0]], [1.0, 2.0, 3.0, 4.0]
        >>> FederatedRegressor(tol=1e-8).fit(X, y, clients=["a", "a", "b", "b"]).coef_.round(2)
        array([1.])
        """
        X, y = self._checked(X, y, y_numeric=True, multi_output=True)
        y = y.astype(np.float64, copy=False)
        self._train(X, y, clients, sample_weight, self.loss, task="regression")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The targets of rows.

        ``x·coef_ + intercept_``, with the Poisson loss e to that power

        Parameters
        ----------
        X : array, table or scipy.sparse of shape (n, d)
            Rows with the features of those trained on.

        Returns
        -------
        ndarray of shape (n,) or (n, C), float64
            A number for each row, or one for each target.

        Raises
        ------
        NotFittedError, ValueError
            Before :meth:`fit`; for other features, NaN or inf.

        Examples
        --------
        >>> from localgd.sklearn import FederatedRegressor
        >>> model = FederatedRegressor(l2=1e-6, tol=1e-8).fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 4])
        >>> model.predict([[3.0]]).round(3)
        array([3.])
        """
        scores = self._scores(X)
        return LOSSES[self.loss].means(scores)
