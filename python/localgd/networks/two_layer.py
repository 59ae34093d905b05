"""The network that a run is to train."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import _validation as check
from .._backend import core
from ..rows import Rows

__all__ = ["ACTIVATIONS", "TwoLayer", "layers_of", "outputs_of", "random_start"]

Values = Callable[[np.ndarray], np.ndarray]
DEGREES: dict[str, int] = core.schema()["activations"]  # σ(c p) = c^degree σ(p) for c > 0, or 0


def _softplus(p: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, p)


def _logistic(p: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * p))


# σ and σ', as the core has them.
ACTIVATIONS: dict[str, tuple[Values, Values]] = {
    "relu": (lambda p: np.maximum(p, 0.0), lambda p: (p > 0).astype(np.float64)),
    "leaky_relu": (lambda p: np.maximum(p, 0.01 * p), lambda p: np.where(p > 0, 1.0, 0.01)),
    "tanh": (np.tanh, lambda p: 1 - np.tanh(p) ** 2),
    "softplus": (_softplus, _logistic),
    "quadratic": (np.square, lambda p: 2 * p),
}
TRAIN = ("both", "first", "second")


@dataclass(frozen=True)
class TwoLayer:
    """A network with one hidden layer, as the ``model`` of :func:`localgd.run`.

    ``f(x) = s Vᵀ σ(Wᵀ x)``, W of shape (d, h) and V of shape (h, C)

    C is 1, but for softmax the number of classes. The hidden units have a bias, the last row of W,
    where the problem has an intercept: with ``intercept="column"`` λ penalises it, with
    ``intercept="free"`` it does not. The outputs have no bias of their own; a hidden unit that is
    active on all rows serves as one.

    Parameters
    ----------
    hidden : int >= 1
        h, the hidden units.
    activation : str, default "relu"
        σ: "relu" max(p, 0); "leaky_relu" max(p, p/100); "tanh"; "softplus" log(1 + e^p);
        "quadratic" p².
    scale : float, default 1.0
        s.
    centered : bool, default False
        Train ``s (f - f_0)``, f_0 the network at the start: with a large s it stays close to its
        linearisation there, the lazy regime.
    train : "both", "first" or "second", default "both"
        Which layers move.

    Raises
    ------
    ValueError, TypeError
        For arguments of other kinds or out of range.

    References
    ----------
    Chizat, Oyallon, Bach, NeurIPS 2019, arXiv:1812.07956 (scale and the lazy regime).

    Examples
    --------
    >>> import localgd as lg
    >>> problem = lg.Problem([([[1.0, 0.0], [0.0, 1.0]], [1, 1]), ([[1.0, 1.0]], [-1])])
    >>> run = lg.run(problem, lg.LocalGD(local_steps=5, lr=0.2), rounds=200, loss="logistic",
    ...              model=lg.TwoLayer(hidden=16), seed=1)
    >>> run.model.predict([[1.0, 0.0], [1.0, 1.0]])
    array([ 1, -1])
    """

    hidden: int
    activation: str = "relu"
    scale: float = 1.0
    centered: bool = False
    train: str = "both"

    def __post_init__(self) -> None:
        check.integer("hidden", self.hidden, 1)
        check.one_of("activation", self.activation, ACTIVATIONS)
        check.number("scale", self.scale, above=0)
        check.flag("centered", self.centered)
        check.one_of("train", self.train, TRAIN)

    @property
    def degree(self) -> int:
        """D of ``f(cθ) = c^D f(θ)`` for c > 0, in all parameters; 0 where there is none."""
        homogeneous = DEGREES[self.activation] > 0 and not self.centered and self.train == "both"
        return DEGREES[self.activation] + 1 if homogeneous else 0


def layers_of(model: TwoLayer, theta: np.ndarray, features: int) -> tuple[np.ndarray, np.ndarray]:
    """W (d, h) and V (h, C), views of all parameters θ = (W, V), which stand row by row."""
    split = features * model.hidden
    return theta[:split].reshape(features, -1), theta[split:].reshape(model.hidden, -1)


def outputs_of(model: TwoLayer, theta: np.ndarray, X: Rows) -> np.ndarray:
    """``s Vᵀ σ(Wᵀ x)`` of rows, (n, C): what is trained, unless it is centered."""
    W, V = layers_of(model, theta, X.shape[1])
    found: np.ndarray = model.scale * (ACTIVATIONS[model.activation][0](X @ W) @ V)
    return found


def random_start(
    model: TwoLayer, features: int, outputs: int, size: float, rng: np.random.Generator
) -> np.ndarray:
    """θ_0 with W of variance size² 2/d and V of variance size²/h: He's where size is 1."""
    W = rng.standard_normal((features, model.hidden)) * (size * math.sqrt(2 / features))
    V = rng.standard_normal((model.hidden, outputs)) * (size * math.sqrt(1 / model.hidden))
    return np.concatenate([W.ravel(), V.ravel()])
