"""Two-layer networks in plain NumPy, straight from their formula: an objective for oracle.Rounds.

``f(x) = s V^T σ(W^T x)`` with θ = (W, V) as one vector, W (d, h) and V (h, C) row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import oracle


def _tanh_slope(p):
    return 1 - np.tanh(p) ** 2


ACTIVATIONS = {  # with their slopes
    "relu": (lambda p: np.maximum(p, 0.0), lambda p: np.where(p > 0, 1.0, 0.0)),
    "leaky_relu": (lambda p: np.where(p > 0, p, 0.01 * p), lambda p: np.where(p > 0, 1.0, 0.01)),
    "tanh": (np.tanh, _tanh_slope),
    "softplus": (lambda p: np.logaddexp(0.0, p), lambda p: 1 / (1 + np.exp(-p))),
    "quadratic": (lambda p: p**2, lambda p: 2 * p),
}


@dataclass(frozen=True)
class NetworkObjective(oracle.Objective):
    """``f_i(θ) = (1/n_i) Σ_j ω_ij ℓ(f(x_ij), y_ij) + (λ/2)‖θ‖²``.

    A free intercept, which λ leaves alone, is the last row of W.
    """

    of: str = "logistic"
    hidden: int = 1
    outputs: int = 1
    activation: str = "relu"
    scale: float = 1.0
    train: str = "both"
    start: tuple | None = None  # θ_0, of which f_0 is subtracted

    @property
    def degree(self):
        """Of f in θ."""
        return 3 if self.activation == "quadratic" else 2

    @property
    def without_l2(self):
        return replace(self, l2=0.0)

    def intercept(self, theta):
        split = len(theta) - self.hidden * self.outputs
        return slice(split - self.hidden, split)

    def layers(self, theta, d):
        split = d * self.hidden
        return (
            theta[:split].reshape(d, self.hidden),
            theta[split:].reshape(self.hidden, self.outputs),
        )

    def plain(self, X, theta):
        W, V = self.layers(theta, X.shape[1])
        return self.scale * ACTIVATIONS[self.activation][0](X @ W) @ V

    def scores(self, X, theta):
        """(n,), or (n, C) of several outputs."""
        u = self.plain(X, theta)
        if self.start is not None:
            u = u - self.plain(X, np.array(self.start))
        return u if self.outputs > 1 else u[:, 0]

    def value(self, X, y, theta):
        return _of_scores(self.of, "value", self.scores(X, theta), y) + 0.5 * np.sum(
            theta * self.penalized(theta)
        )

    def data_gradient(self, X, y, theta):
        W, V = self.layers(theta, X.shape[1])
        value, slope = ACTIVATIONS[self.activation]
        P = X @ W
        # Of the mean loss by the scores of each row: the rows of the identity in place of X.
        E = self.scale * _of_scores(self.of, "gradient", self.scores(X, theta), y)
        first = X.T @ (E @ V.T * slope(P))
        second = value(P).T @ E
        if self.train == "second":
            first = np.zeros_like(first)
        if self.train == "first":
            second = np.zeros_like(second)
        return np.concatenate([first.ravel(), second.ravel()])


def _of_scores(loss, what, u, y):
    """Of rows of the identity the scores are the weights: a loss as a function of the former."""
    found = getattr(oracle.LOSSES[loss], what)(np.eye(len(y)), y, u)
    return found.reshape(len(y), -1) if what == "gradient" else found
