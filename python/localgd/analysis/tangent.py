"""The kernel of a network's linearisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..networks import TrainedNetwork
from ..networks.two_layer import ACTIVATIONS
from ..predicting import rows_of
from ..rows import dense_double

__all__ = ["tangent_kernel"]


def tangent_kernel(model: TrainedNetwork, X: Any, other: Any = None) -> np.ndarray:
    """Inner products of the gradients of a network at its parameters.

    ``K_jk = Σ_c ∇_θ f_c(x_j)·∇_θ f_c(x_k)``

    The gradients are those of the layers that are trained. With one output K is the kernel of the
    linearised network, which ``Problem.from_gram(K, y, clients)`` takes: what training does to it
    is what it does to the network as long as that stays close to where it is. Of C outputs it is
    the sum of their kernels.

    Parameters
    ----------
    model : TrainedNetwork
        Such as ``Run.model``; that of ``lg.run(…, rounds=0)`` has the parameters of the start.
    X : array of shape (n, d)
        Rows as :meth:`localgd.networks.TrainedNetwork.decision_function` takes them.
    other : array of shape (m, d), optional
        Further rows, by default the same.

    Returns
    -------
    ndarray of shape (n, n), or (n, m)
        K, float64; symmetric to the bit of one set of rows.

    Raises
    ------
    TypeError
        For what is no network.
    ValueError
        For rows of another width, NaN or inf.

    References
    ----------
    Jacot, Gabriel, Hongler, NeurIPS 2018, arXiv:1806.07572.

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.datasets.make_separable(n_clients=2, n_samples=5, n_features=20, seed=0)
    >>> start = lg.run(problem, lg.GD(lr=0.1), rounds=0, model=lg.TwoLayer(hidden=8)).model
    >>> K = lg.analysis.tangent_kernel(start, problem.X)
    >>> K.shape, bool((K == K.T).all())
    ((10, 10), True)
    """
    if not isinstance(model, TrainedNetwork):
        raise TypeError(f"model: got {type(model).__name__}; want a network, such as Run.model")
    rows = dense_double(rows_of(model.problem, X))
    others = rows if other is None else dense_double(rows_of(model.problem, other))
    value, slope = ACTIVATIONS[model.network.activation]
    P, Q = rows @ model.first, others @ model.first
    C = model.second.shape[1]
    kernel = np.zeros((len(rows), len(others)))
    if model.network.train != "first":
        kernel += C * (value(P) @ value(Q).T)
    if model.network.train != "second":
        weights = np.sqrt((model.second**2).sum(axis=1))  # of both sides: K stays symmetric
        kernel += (rows @ others.T) * ((slope(P) * weights) @ (slope(Q) * weights).T)
    return model.network.scale**2 * kernel
